"""The largest singular values of a sparse matrix, and the directions that belong to them.

Halko, Martinsson and Tropp, "Finding structure with randomness: probabilistic algorithms for constructing
approximate matrix decompositions", SIAM Review 53, 2011: the randomized range finder with subspace iteration
(algorithm 4.4), applied to the rows' side, and the small factorization of algorithm 5.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sopasync._cli.embedding.sparse import SparseRows

OVERSAMPLING = 16
"""Directions carried along beside those wanted: they take up what is left of the smaller singular values."""

ITERATIONS = 5
"""Each one makes the singular values that are left out fall behind by the square of their ratio to those kept."""

ORTHONORMAL_WITHIN = 1e-10


def _ignore(_done: int, _total: int) -> None:
    pass


def truncated_svd(
    matrix: SparseRows,
    rank: int,
    seed: int,
    *,
    iterations: int = ITERATIONS,
    on_progress: Callable[[int, int], None] = _ignore,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the `rank` largest singular values of a matrix A, and their right singular vectors.

    Args:
        matrix: A, with `height` rows and `width` columns.
        rank: How many; less when A has fewer rows or columns.
        seed: Of the random directions it starts with. The same seed gives the same result.
        iterations: More come closer to the true vectors, where singular values lie close together.
        on_progress: Called with products done, and products in all.

    Returns:
        The singular values, largest first, and an array of (width, rank) whose columns are the vectors. The largest
        element of each is positive.
    """
    rank = min(rank, matrix.height, matrix.width)
    carried = min(rank + OVERSAMPLING, matrix.height, matrix.width)
    across = matrix.transposed()
    directions = np.random.default_rng(seed).standard_normal((matrix.width, carried))
    basis = _orthonormal(directions.astype(matrix.values.dtype))
    for done in range(iterations):
        on_progress(2 * done, 2 * iterations + 1)
        image = matrix.times(basis)
        on_progress(2 * done + 1, 2 * iterations + 1)
        # Orthonormal between the products, or rounding leaves nothing but the first direction.
        basis = _orthonormal(across.times(image))
    on_progress(2 * iterations, 2 * iterations + 1)
    image = matrix.times(basis).astype(np.float64)
    # A ~ (A Q) Q'. A Q is tall, so its right singular vectors come from the small matrix of its inner products.
    squares, turned = np.linalg.eigh(image.T @ image)
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    turned = turned[:, ::-1]
    vectors = (basis.astype(np.float64) @ turned)[:, :rank]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(rank)]
    vectors *= np.where(largest < 0, -1.0, 1.0)
    on_progress(2 * iterations + 1, 2 * iterations + 1)
    return values[:rank], vectors.astype(matrix.values.dtype)


def _orthonormal(columns: NDArray[Any]) -> NDArray[Any]:
    """Orthonormal columns that span the same space.

    By Cholesky factorization of the inner products, twice (Yamamoto et al., "Roundoff error analysis of the
    CholeskyQR2 algorithm", 2015): a few large products, where Householder reflections are hundreds of small ones,
    which cost threaded linear algebra ten times as much on a machine that is busy. Columns that are nearly dependent
    go the longer way.
    """
    result = columns.astype(np.float64)
    try:
        for _ in range(2):
            result = result @ np.linalg.inv(np.linalg.cholesky(result.T @ result)).T
    except np.linalg.LinAlgError:
        return np.linalg.qr(columns)[0]
    if np.abs(result.T @ result - np.eye(columns.shape[1])).max() > ORTHONORMAL_WITHIN:
        return np.linalg.qr(columns)[0]
    return result.astype(columns.dtype)
