"""The search stores of ``_core``, in a file of their own. There is no such module at run time."""

from collections.abc import Sequence
from typing import final

from ._core import Completions, KeyBatch, Miss

def search_language(name: str) -> str:
    """The English name of a language with stems or stop words, given by its name or code."""

@final
class SearchSchema:
    """Options of a search store, read once: the constructor refuses what makes no sense."""

    def __init__(self, options: bytes) -> None: ...
    def terms(self, field: int, text: str) -> list[tuple[str, int, int, int]]:
        """The terms of a text: term, position, and where its word begins and ends, in bytes."""

@final
class SearchParticipant:
    """One search store inside one transaction. Calls return ``MISS`` also when they have much to do.

    Texts are a str per document, or a tuple with a str or ``None`` for each field; payloads are packed, or ``None``.
    """

    @property
    def store_id(self) -> int:
        """Number of the store."""

    def options(self) -> tuple[bytes, bytes | None]:
        """The options in force, and those that it is being changed to, if there are any."""

    def change(self, options: bytes) -> None:
        """Change the options; what makes other terms than before is done in the background."""

    def terms(self, field: int, text: str) -> list[tuple[str, int, int, int]]:
        """The terms of a text in a field: term, position, and where its word begins and ends, in bytes."""

    def put(
        self,
        keys: Sequence[object],
        texts: Sequence[str | tuple[str | None, ...]],
        payloads: Sequence[bytes | None],
    ) -> int | Miss:
        """Add documents, replacing those of the same keys; how many were replaced."""

    def update(
        self,
        keys: Sequence[object],
        texts: Sequence[str | tuple[str | None, ...]],
        payloads: Sequence[bytes | None],
    ) -> int | Miss:
        """Replace documents that are there: -1, or the index of the first that is not."""

    def delete(self, keys: Sequence[object]) -> int | Miss:
        """Delete documents; how many were there."""

    def get(self, key: object) -> tuple[tuple[str | None, ...], bytes | None] | Miss | None:
        """Texts and payload of a document."""

    def contains(self, key: object) -> bool | Miss:
        """Whether a document is there."""

    def count(self) -> int | Miss:
        """Count the documents."""

    def statistics(self) -> dict[str, int] | Miss:
        """What is in the store, and how far its index has been merged."""

    def search(
        self,
        query: bytes,
        limit: int,
        offset: int = 0,
        filter: bytes | None = None,  # noqa: A002
        highlight: tuple[int, int] | None = None,
        among: KeyBatch | None = None,
    ) -> (
        list[
            tuple[
                object,
                float,
                bytes | None,
                list[tuple[int, list[tuple[str, int, tuple[tuple[int, int], ...]]]]] | None,
            ]
        ]
        | Miss
    ):
        """The best documents: key, score, packed payload, and pieces of texts by number of the field."""

    def retry(self, completions: Completions, token: int) -> None:
        """Have an engine thread repeat the call that has just returned ``MISS``."""
