"""A sparse matrix by rows, times a dense one: all that a truncated SVD asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

ENTRIES_PER_BLOCK = 16 * 1024
"""Entries multiplied in one step: few enough for their products to stay in the processor's cache."""

Floats = NDArray[Any]
Numbers = NDArray[np.int64]


class SparseRows:
    """Rows of which only the entries that are not zero are kept (compressed sparse rows).

    The entries of row i are `columns[starts[i] : starts[i + 1]]` and the same slice of `values`.
    """

    def __init__(self, starts: Numbers, columns: NDArray[Any], values: Floats, width: int) -> None:
        assert len(columns) == len(values) == starts[-1], "the rows end where the entries do"
        self.starts = starts
        self.columns = columns
        self.values = values
        self.width = width

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self.starts) - 1

    @property
    def entries(self) -> int:
        """How many entries are kept."""
        return len(self.values)

    def transposed(self) -> SparseRows:
        """Return the same matrix by its columns."""
        order = np.argsort(self.columns, kind="stable")
        counts = np.bincount(self.columns, minlength=self.width)
        rows = np.repeat(np.arange(self.height, dtype=np.int32), np.diff(self.starts))
        return SparseRows(_sums_before(counts), rows[order], self.values[order], self.height)

    def times(self, dense: Floats) -> Floats:
        """Multiply by a dense matrix of `width` rows."""
        result = np.zeros((self.height, dense.shape[1]), dtype=dense.dtype)
        for first, last in self._blocks():
            begin, end = int(self.starts[first]), int(self.starts[last])
            if end - begin <= ENTRIES_PER_BLOCK:
                # An empty segment would give the entry after it, so empty rows are left out.
                filled = first + np.flatnonzero(np.diff(self.starts[first : last + 1]))
                if len(filled):
                    products = dense[self.columns[begin:end]] * self.values[begin:end, None]
                    result[filled] = np.add.reduceat(products, self.starts[filled] - begin, axis=0)
                continue
            for at in range(begin, end, ENTRIES_PER_BLOCK):
                piece = slice(at, min(at + ENTRIES_PER_BLOCK, end))
                result[first] += self.values[piece] @ dense[self.columns[piece]]
        return result

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Runs of rows with few enough entries; a row that has more is a run of its own."""
        first = 0
        while first < self.height:
            most = int(self.starts[first]) + ENTRIES_PER_BLOCK
            within = np.searchsorted(self.starts, np.array([most]), side="right")
            last = max(int(within[0]) - 1, first + 1)
            yield first, last
            first = last


def rows_of(lengths: NDArray[Any], columns: NDArray[Any], values: Floats, width: int) -> SparseRows:
    """Make sparse rows of how many entries each row has, and the entries of all of them."""
    return SparseRows(_sums_before(lengths), columns, values, width)


def _sums_before(counts: NDArray[Any]) -> Numbers:
    starts = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
