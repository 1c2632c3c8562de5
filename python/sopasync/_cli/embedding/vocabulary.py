"""Counting the words of many texts, and choosing those that an embedding knows."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sopasync._cli.embedding.sparse import SparseRows, rows_of
from sopasync._cli.embedding.words import Words

WORDS_MAX = 20_000
"""The words most texts have; what is rarer says little about other texts."""

TEXTS_PER_WORD_MIN = 2
"""A word of one text alone brings it near to no other."""


class TermCounts:
    """How often which words stand in which text. Texts are counted as they come and need not be kept."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._numbers: dict[str, int] = {}
        self._lengths = array("i")
        self._columns = array("i")
        self._counts = array("i")

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, texts: Iterable[str]) -> None:
        """Count the words of more texts."""
        numbers = self._numbers
        for text in texts:
            counts = Counter(self.words.of(text))
            self._lengths.append(len(counts))
            self._columns.extend([numbers.setdefault(word, len(numbers)) for word in counts])
            self._counts.extend(counts.values())

    def matrix(self, words_max: int) -> tuple[list[str], SparseRows]:
        """Choose the vocabulary, and return it, in order, with the counts of its words in each text."""
        columns, counts = np.asarray(self._columns, np.int32), np.asarray(self._counts, np.float32)
        lengths = np.asarray(self._lengths, np.int64)
        texts_with = np.bincount(columns, minlength=len(self._numbers))
        least = TEXTS_PER_WORD_MIN if len(self) > TEXTS_PER_WORD_MIN else 1
        # By frequency, then by the order they came in, which makes the choice the same every time.
        frequent = np.argsort(-texts_with, kind="stable")[:words_max]
        chosen = np.sort(frequent[texts_with[frequent] >= least])
        new_number = np.full(len(self._numbers), -1, np.int32)
        new_number[chosen] = np.arange(len(chosen), dtype=np.int32)
        kept = new_number[columns] >= 0
        rows = np.repeat(np.arange(len(lengths)), lengths)[kept]
        every = list(self._numbers)
        vocabulary = [every[int(number)] for number in chosen]
        lengths_kept = np.bincount(rows, minlength=len(lengths))
        return vocabulary, rows_of(lengths_kept, new_number[columns[kept]], counts[kept], len(vocabulary))


def weighted(counts: SparseRows, idf: NDArray[Any]) -> SparseRows:
    """TF-IDF: repetitions damped, rare words raised, every text that has any known word of length 1."""
    values = (1.0 + np.log(counts.values)) * idf[counts.columns]
    rows = np.repeat(np.arange(counts.height), np.diff(counts.starts))
    lengths = np.sqrt(np.bincount(rows, weights=values**2, minlength=counts.height))
    values = (values / lengths[rows]).astype(np.float32)
    return SparseRows(counts.starts, counts.columns, values, counts.width)


def inverse_frequencies(counts: SparseRows) -> NDArray[np.float32]:
    """How much each word says: the logarithm of how few texts have it, smoothed."""
    texts_with = np.bincount(counts.columns, minlength=counts.width)
    return np.asarray(np.log((1.0 + counts.height) / (1.0 + texts_with)) + 1.0, np.float32)
