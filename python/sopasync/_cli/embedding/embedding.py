"""`Embedding`: what was learned from texts, as it is kept in a model store, and the vectors it gives."""

# Annotations are evaluated here: msgspec makes an Embedding again from what the model store kept.
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sopasync._cli.embedding.sparse import SparseRows, rows_of
from sopasync._cli.embedding.vocabulary import weighted
from sopasync._cli.embedding.words import Words


class Embedding(msgspec.Struct, kw_only=True, dict=True):
    """Turns a text into a vector: its TF-IDF weights, projected onto the directions that texts vary in most."""

    language: str
    """Whose stems and stop words; empty for none."""
    vocabulary: NDArray[Any]
    """The words it knows in order, in UTF-8, a line break between them."""
    idf: NDArray[Any]
    """(words,) float32: how much each word says."""
    weights: NDArray[Any]
    """(words, dimension) float32: the projection, orthonormal columns."""
    metrics: dict[str, float] = {}

    @property
    def dimension(self) -> int:
        """Elements of a vector."""
        return int(self.weights.shape[1])

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The words it knows, with their places in the vocabulary."""
        text = self.vocabulary.tobytes().decode()
        return {word: number for number, word in enumerate(text.split("\n"))} if text else {}

    @cached_property
    def words(self) -> Words:
        """What takes texts apart."""
        return Words(self.language)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, (texts, dimension), of length 1; zeros for texts without any known word."""
        numbers = self.numbers
        columns: list[int] = []
        values: list[int] = []
        lengths: list[int] = []
        for text in texts:
            known = Counter(word for word in self.words.of(text) if word in numbers)
            columns += [numbers[word] for word in known]
            values += known.values()
            lengths.append(len(known))
        counts = rows_of(
            np.array(lengths, np.int64),
            np.array(columns, np.int32),
            np.array(values, np.float32),
            len(numbers),
        )
        return self.project(weighted(counts, self.idf))

    def project(self, weights: SparseRows) -> NDArray[np.float32]:
        """Return the vectors of texts whose TF-IDF weights are known already."""
        vectors = weights.times(self.weights)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)
