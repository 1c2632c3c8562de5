"""`SearchActor`: one search store of an open database handle, with the schema it was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._actor import StoreActor
from ._core import KeyCodec
from ._search_config import SearchSchema

if TYPE_CHECKING:
    from ._core import StoreInfo


class SearchActor(StoreActor):
    """One search store of an open database handle."""

    __slots__ = ("codec", "names", "schema")

    def __init__(self, info: StoreInfo) -> None:
        super().__init__(info)
        self.schema = SearchSchema.from_bytes(info.name, info.options)
        self.names = self.schema.names
        self.codec = KeyCodec(unique=True, fields=None)

    def decode_key(self, key: bytes) -> object:
        """The id of the document whose row has this key; the rows of the index have none."""
        return self.codec.decode(key[1:]) if key[:1] == b"\x10" else key
