"""The embedding of the command line: its factorization beside numpy's own, its weights beside their definition."""

from __future__ import annotations

import anyio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sopasync
from sopasync._cli.embedding import Embedding, TermCounts, Words, fit, sparse
from sopasync._cli.embedding.sparse import SparseRows, rows_of
from sopasync._cli.embedding.svd import truncated_svd

TEXTS = [
    "open a file for reading",
    "open the file and write lines",
    "close an open file",
    "files are read line by line",
    "sort a list of numbers",
    "numbers in a list are summed",
    "a sorted list of sums",
    "",
    "zymurgy",
]


def sparse_of(dense: np.ndarray) -> SparseRows:
    rows, columns = np.nonzero(dense)
    lengths = np.bincount(rows, minlength=len(dense))
    return rows_of(lengths, columns.astype(np.int32), dense[rows, columns], dense.shape[1])


def random_matrix(height: int, width: int, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((height, width)) * (rng.random((height, width)) < share)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.integers(0, 99), st.integers(1, 40))
def test_sparse_products_are_those_of_the_dense_matrix(height, width, share, seed, block):
    dense = random_matrix(height, width, share, seed)
    other = np.random.default_rng(seed + 1).standard_normal((width, 3))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sparse, "ENTRIES_PER_BLOCK", block)  # rows in several blocks, and rows cut in pieces
        np.testing.assert_allclose(sparse_of(dense).times(other), dense @ other, atol=1e-12)
        turned = sparse_of(dense).transposed()
        np.testing.assert_allclose(turned.times(dense[:, :2]), dense.T @ dense[:, :2], atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(200, 60), (60, 200), (80, 80)])
def test_the_truncated_svd_is_numpys(height: int, width: int) -> None:
    dense = random_matrix(height, width, 0.2, seed=1)
    dense += 3 * np.outer(random_matrix(height, 1, 1, 2), random_matrix(1, width, 1, 3))
    rank = 12
    values, vectors = truncated_svd(sparse_of(dense), rank, seed=5, iterations=30)
    _, expected, turned = np.linalg.svd(dense, full_matrices=False)
    np.testing.assert_allclose(values, expected[:rank], rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(vectors * turned[:rank].T, axis=0)), 1, atol=1e-4)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(rank), atol=1e-9)


def test_few_iterations_leave_hardly_more_than_the_best_approximation() -> None:
    dense = random_matrix(300, 150, 0.1, seed=4)
    _, vectors = truncated_svd(sparse_of(dense), 20, seed=5)
    left = np.linalg.norm(dense - dense @ vectors @ vectors.T)
    best = np.sqrt((np.linalg.svd(dense, compute_uv=False)[20:] ** 2).sum())
    assert best <= left <= 1.01 * best


def test_a_matrix_of_low_rank_is_found_whole_and_rank_is_capped() -> None:
    dense = random_matrix(40, 3, 1, 6) @ random_matrix(3, 25, 1, 7)
    values, vectors = truncated_svd(sparse_of(dense), 100, seed=1)
    assert vectors.shape == (25, 25)
    np.testing.assert_allclose(values[:3], np.linalg.svd(dense, compute_uv=False)[:3], rtol=1e-9)
    assert values[3:].max() < 1e-6 * values[0]


def counted(texts: list[str]) -> TermCounts:
    counts = TermCounts(Words("english"))
    counts.add(texts)
    return counts


def test_the_same_seed_gives_the_same_embedding_and_another_seed_the_same_meaning() -> None:
    first, again, other = (fit(counted(TEXTS), seed, dimension=4) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    np.testing.assert_array_equal(first.embedding.weights, again.embedding.weights)
    np.testing.assert_allclose(first.vectors @ first.vectors.T, other.vectors @ other.vectors.T, atol=1e-3)


def test_vectors_are_the_normalized_projection_of_tf_idf_weights() -> None:
    embedding = fit(counted(TEXTS), 1, dimension=5).embedding
    assert list(embedding.numbers) == ["open", "file", "read", "line", "sort", "list", "number", "sum"]
    with_word = [3, 4, 2, 2, 2, 3, 2, 2]
    idf = np.log((1 + len(TEXTS)) / (1 + np.array(with_word))) + 1
    np.testing.assert_allclose(embedding.idf, idf, rtol=1e-6)
    weights = np.zeros(8)
    weights[embedding.numbers["list"]] = (1 + np.log(2)) * idf[5]
    weights[embedding.numbers["sum"]] = idf[7]
    expected = weights @ embedding.weights
    (found,) = embedding.embed(["lists, the unknown, SUMS and a List"])
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-6)


def test_texts_are_embedded_as_they_were_when_it_was_learned() -> None:
    fitted = fit(counted(TEXTS), 1, dimension=4)
    np.testing.assert_allclose(fitted.embedding.embed(TEXTS), fitted.vectors, atol=1e-6)
    lengths = np.linalg.norm(fitted.vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 1, 1, 0, 0], atol=1e-6)


def test_what_is_alike_is_near() -> None:
    fitted = fit(counted(TEXTS), 1, dimension=3)
    nearness = fitted.vectors[:7] @ fitted.embedding.embed(["reading files"])[0]
    assert nearness[:4].min() > nearness[4:].max()


def test_names_are_taken_apart() -> None:
    assert Words("").of("TarFile.open_file2(HTTPServer)") == ["tar", "file", "open", "file2", "httpserver"]


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["one", "two"]])
def test_hardly_any_text_is_enough(texts: list[str]) -> None:
    fitted = fit(counted(texts), 1, dimension=8)
    assert fitted.vectors.shape == (len(texts), 8)
    assert fitted.embedding.embed(["anything"]).shape == (1, 8)


def test_no_more_words_than_asked_for() -> None:
    embedding = fit(counted(TEXTS), 1, dimension=4, words_max=3).embedding
    assert list(embedding.numbers) == ["open", "file", "list"]


def test_it_comes_back_from_a_model_store(tmp_path) -> None:
    fitted = fit(counted(TEXTS), 1, dimension=4)

    async def scenario() -> Embedding:
        async with sopasync.Database(tmp_path / "db") as db, db.begin_transaction() as tx:
            models = await tx.open_model_store("models")
            await models.save("embedding", "texts", fitted.embedding)
            return await models.load("embedding", "texts", into=Embedding)

    loaded = anyio.run(scenario)
    np.testing.assert_array_equal(loaded.embed(TEXTS), fitted.embedding.embed(TEXTS))
    assert loaded.metrics == fitted.embedding.metrics


def test_the_steps_of_learning_are_told_one_by_one() -> None:
    rng = np.random.default_rng(1)
    words = np.array([f"w{number}" for number in range(30_000)])
    chosen = rng.zipf(1.3, (4_000, 20)) % len(words)
    texts = [" ".join(row) for row in words[chosen]]
    steps: list[tuple[int, int]] = []

    fit(counted(texts), 1, on_progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == list(range(steps[0][1] + 1))
