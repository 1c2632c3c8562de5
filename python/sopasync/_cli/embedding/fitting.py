"""Learning an embedding from the counted words of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sopasync._cli.embedding.embedding import Embedding
from sopasync._cli.embedding.svd import truncated_svd
from sopasync._cli.embedding.vocabulary import WORDS_MAX, TermCounts, inverse_frequencies, weighted

DIMENSION = 96


@dataclass(frozen=True)
class Fitted:
    """An embedding, and the vectors of the texts it was learned from."""

    embedding: Embedding
    vectors: NDArray[np.float32]
    """(texts, dimension): the same that `Embedding.embed` gives."""


def _ignore(_done: int, _total: int) -> None:
    pass


def fit(
    counts: TermCounts,
    seed: int,
    *,
    dimension: int = DIMENSION,
    words_max: int = WORDS_MAX,
    on_progress: Callable[[int, int], None] = _ignore,
) -> Fitted:
    """Learn an embedding. Takes seconds for tens of thousands of texts: call it on a thread.

    Args:
        counts: The words of the texts.
        seed: Of the random directions the factorization starts with. The same seed gives the same embedding.
        dimension: Elements of a vector. A corpus of few texts or words fills the first of them only.
        words_max: The most words to know.
        on_progress: Called with steps done, and steps in all.
    """
    vocabulary, found = counts.matrix(words_max)
    idf = inverse_frequencies(found)
    weights = weighted(found, idf)
    projection = np.zeros((weights.width, dimension), np.float32)
    explained = 0.0
    if weights.entries:
        values, vectors = truncated_svd(weights, dimension, seed, on_progress=on_progress)
        projection[:, : vectors.shape[1]] = vectors
        explained = float((values**2).sum() / (weights.values.astype(np.float64) ** 2).sum())
    embedding = Embedding(
        language=counts.words.language,
        vocabulary=np.frombuffer("\n".join(vocabulary).encode(), np.uint8),
        idf=idf,
        weights=projection,
        metrics={"explained": explained, "texts": len(counts), "words": len(vocabulary)},
    )
    return Fitted(embedding, embedding.project(weights))
