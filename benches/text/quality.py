"""What is found: the ranking beside an independent BM25, and relevance on a public test collection.

The collection is Cranfield (1,400 abstracts on aerodynamics, 225 questions, judged by their authors): from a folder
with its three files, or through the package `ir_datasets`, which fetches it.
"""

from __future__ import annotations

import asyncio
import math
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import sopasync
from sopasync import Query, SearchConfig, SearchStore

from . import corpus, queries
from .engines import LABELS, engine
from .queries import Ask

Ranking = Callable[[str], list[int]]
Collection = tuple[list[str], list[tuple[str, dict[int, int]]]]
"""Texts; and questions with the places of relevant texts and how relevant each is, from 1."""

ASKED = 300
TOP = 10


def report(cache: Path, wordnet: Path | None, cranfield: Path | None) -> list[str]:
    """A sentence for each check."""
    checks = [ranking(corpus.glosses(cache, wordnet))]
    collection = load_cranfield(cranfield)
    if collection is None:
        checks.append(
            "relevance: not measured; give --cranfield a folder with cran.all.1400, cran.qry and cranqrel, or "
            "install ir_datasets"
        )
    else:
        checks += relevance(collection)
    return checks


# -- the same ranking ---------------------------------------------------------------------------------


def ranking(texts: list[str]) -> str:
    """Compare the ten best with those of bm25s on the same terms."""
    try:
        import bm25s
    except ImportError:
        return "ranking: not compared; bm25s is not installed"
    asks = queries.draw(texts, ASKED // 3)
    asked = [" ".join(ask.words) for kind in ("one", "two", "three") for ask in asks[kind]]
    ours, terms = asyncio.run(_ours(texts, asked))
    retriever = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    retriever.index(terms[: len(texts)], show_progress=False)
    same = 0
    for text, found, words in zip(asked, ours, terms[len(texts) :], strict=True):
        if not words:  # stop words alone, which bm25s cannot be asked
            same += not found
            continue
        scores = retriever.get_scores(words)
        best = sorted(scores, reverse=True)[: len(found)]
        close = all(
            math.isclose(score, scores[number], rel_tol=1e-3) and math.isclose(score, at_rank, rel_tol=1e-3)
            for (number, score), at_rank in zip(found, best, strict=True)
        )
        same += close
        if not close:
            print(f"  ranked otherwise: {text!r}: {found[:3]}, {best[:3]}")
    return f"ranking: {same} of {len(asked)} queries have the ten best of bm25s with their scores, ties aside"


async def _ours(texts: list[str], asked: list[str]) -> tuple[list[list[tuple[int, float]]], list[list[str]]]:
    with tempfile.TemporaryDirectory() as folder:
        async with sopasync.Database(folder) as db:
            async with db.begin_transaction() as tx:
                store = await tx.open_search("texts", SearchConfig(language="english", stored=False))
                await store.add_many(enumerate(texts))
            async with db.begin_transaction() as tx:
                store = await tx.open_search("texts")
                # Alike words of a query count as often as they stand there, here and there.
                found = [
                    [(hit.doc_id, hit.score) for hit in await store.search(text, limit=TOP)] for text in asked
                ]
                return found, [store.terms(text) for text in [*texts, *asked]]


# -- relevance ----------------------------------------------------------------------------------------


def relevance(collection: Collection) -> list[str]:
    """How well the questions of a collection are answered, by each engine."""
    texts, questions = collection
    lines = []
    for name in ("sopasync", "tantivy", "fts5"):
        label = f"{LABELS[name]} (no stop words left out)"
        with tempfile.TemporaryDirectory() as folder:
            try:
                one = engine(name, Path(folder))
            except ImportError as error:
                lines.append(f"relevance: {LABELS[name]}: not measured, {error}")
                continue
            one.index(texts)

            def answer(question: str, one: object = one) -> list[int]:
                words = tuple(re.findall(r"[a-z0-9]+", question.lower()))
                return one.search(one.prepare(Ask("many", words)))  # type: ignore[attr-defined]

            lines.append(_judged(label, answer, questions))
            one.close()
    lines.insert(0, asyncio.run(_judge_ours(texts, questions)))
    return lines


async def _judge_ours(texts: list[str], questions: list[tuple[str, dict[int, int]]]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with sopasync.Database(folder) as db, db.begin_transaction() as tx:
            store = await tx.open_search("texts", SearchConfig(language="english"))
            await store.add_many(enumerate(texts))
            answers = {question: await _answer(store, question) for question, _ in questions}
            return _judged("sopasync, as made for English", lambda question: answers[question], questions)


async def _answer(store: SearchStore, question: str) -> list[int]:
    words = Query.any_of(*(Query.term(word) for word in re.findall(r"[a-z0-9]+", question.lower())))
    return [hit.doc_id for hit in await store.search(words, limit=TOP)]


def _judged(label: str, answer: Ranking, questions: Iterable[tuple[str, dict[int, int]]]) -> str:
    gains, precisions, firsts = [], [], []
    for question, relevant in questions:
        found = answer(question)
        gain = sum(relevant.get(number, 0) / math.log2(rank + 2) for rank, number in enumerate(found))
        ideal = sum(
            grade / math.log2(rank + 2)
            for rank, grade in enumerate(sorted(relevant.values(), reverse=True)[:TOP])
        )
        gains.append(gain / ideal)
        precisions.append(sum(number in relevant for number in found) / TOP)
        firsts.append(next((1 / (rank + 1) for rank, number in enumerate(found) if number in relevant), 0.0))
    count = len(gains)
    return (
        f"relevance, Cranfield, {count} questions: {label}: nDCG@10 {sum(gains) / count:.3f}, "
        f"precision@10 {sum(precisions) / count:.3f}, MRR@10 {sum(firsts) / count:.3f}"
    )


def load_cranfield(folder: Path | None) -> Collection | None:
    """The collection; ``None`` when it is neither in a folder nor to be had."""
    if folder is not None:
        return _read_cranfield(folder)
    try:
        import ir_datasets
    except ImportError:
        return None
    dataset = ir_datasets.load("cranfield")
    places = {}
    texts = []
    for document in dataset.docs_iter():
        places[document.doc_id] = len(texts)
        texts.append(f"{document.title}\n{document.text}")
    judged: dict[str, dict[int, int]] = {}
    for judgement in dataset.qrels_iter():
        if judgement.relevance > 0:
            judged.setdefault(judgement.query_id, {})[places[judgement.doc_id]] = judgement.relevance
    return texts, [
        (query.text, judged[query.query_id]) for query in dataset.queries_iter() if query.query_id in judged
    ]


def _read_cranfield(folder: Path) -> Collection:
    texts = [f"{entry.get('T', '')}\n{entry.get('W', '')}" for entry in _entries(folder / "cran.all.1400")]
    asked = [entry.get("W", "") for entry in _entries(folder / "cran.qry")]
    judged: dict[int, dict[int, int]] = {}
    for line in (folder / "cranqrel").read_text(encoding="utf-8").splitlines():
        question, document, grade = map(int, line.split()[:3])
        # 1 is a complete answer, 4 of minimum interest; -1 stands for 5, none.
        if 1 <= grade <= 4:
            judged.setdefault(question, {})[document - 1] = 5 - grade
    return texts, [(asked[number - 1], relevant) for number, relevant in sorted(judged.items())]


def _entries(path: Path) -> Iterable[dict[str, str]]:
    for part in re.split(
        r"^\.I .*\n", path.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE
    )[1:]:
        fields = re.split(r"^\.([A-Z])\s*\n", part, flags=re.MULTILINE)
        entry: dict[str, str] = {}
        for name, text in zip(fields[1::2], fields[2::2], strict=True):
            entry.setdefault(name, text.strip())
        yield entry
