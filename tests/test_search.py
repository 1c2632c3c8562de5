"""Search stores: what is added is found, by its words, fields, phrases, spellings; and nothing else."""

from __future__ import annotations

import math

import pytest

import sopasync
from sopasync import (
    HighlightOptions,
    InvalidArgumentError,
    KeyNotFound,
    Query,
    QueryError,
    SearchConfig,
    SearchDocument,
    SearchHit,
    StoreExistsError,
    StoreNotFoundError,
    TextAnalyzer,
    TextField,
    TransactionMode,
    UnsupportedError,
    field,
)

pytestmark = pytest.mark.anyio

TEXTS = {
    "doc1": "The quick brown fox",
    "doc2": "jumps over the lazy dog",
    "doc3": "Foxes and dogs: a quick study of two lazy foxes",
}


async def fill(db, config=None, documents=TEXTS):
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles", config or SearchConfig())
        for doc_id, text in documents.items():
            await store.add(doc_id, text)


async def ids(db, query, **options):
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_search("articles")
        return [hit.doc_id for hit in await store.search(query, **options)]


async def test_what_is_added_is_found_with_its_score(db):
    await fill(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        (hit,) = await store.search("fox")
    # One of three documents, of four words; the others have five and ten.
    assert hit.doc_id == hit.DocID == hit["DocID"] == "doc1"
    expected = math.log(1 + 2.5 / 1.5) / (1 + 1.2 * (0.25 + 0.75 * 4 / (19 / 3)))
    assert hit.score == hit.Score == hit["score"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(KeyError):
        hit["id"]


async def test_zero_hits_are_an_empty_list(db):
    await fill(db)
    assert await ids(db, "unicorn") == []
    assert await ids(db, "") == []
    assert await ids(db, "...") == []


async def test_the_query_language(db):
    await fill(db)
    for query, expected in {
        "fox": {"doc1"},
        "fo*": {"doc1", "doc3"},
        "foxs~1": {"doc1", "doc3"},
        "lazy quick": {"doc1", "doc2", "doc3"},
        "lazy AND quick": {"doc3"},
        "+lazy quick": {"doc2", "doc3"},
        "lazy -quick": {"doc2"},
        "NOT quick": {"doc2"},
        '"lazy dog"': {"doc2"},
        '"lazy foxes"': {"doc3"},
        '"quick two"~3': {"doc3"},
        "(fox OR dog) AND NOT brown": {"doc2"},
        "text:fox": {"doc1"},
        "FÓX": {"doc1"},
        "*": {"doc1", "doc2", "doc3"},
    }.items():
        assert set(await ids(db, query)) == expected, query
    assert set(await ids(db, "lazy quick", operator="and")) == {"doc3"}


async def test_expressions_say_the_same(db):
    await fill(db)
    assert set(await ids(db, Query.term("lazy") & Query.term("quick"))) == {"doc3"}
    assert set(await ids(db, Query.term("lazy") & ~Query.term("quick"))) == {"doc2"}
    assert set(await ids(db, Query.phrase("lazy dog") | "brown")) == {"doc1", "doc2"}
    assert set(await ids(db, Query.any_of(Query.prefix("jum"), Query.fuzzy("brwn")))) == {"doc1", "doc2"}
    assert await ids(db, Query.term("brown") | Query.term("jumps").boost(9)) == ["doc2", "doc1"]
    assert set(await ids(db, Query.everything())) == set(TEXTS)
    assert set(await ids(db, Query.parse("lazy quick", operator="and"))) == {"doc3"}
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(Query.term("a"))


async def test_errors_of_a_query_point_at_the_place(db):
    await fill(db)
    for query, position, part in [
        ("fox (dog", 4, "not closed"),
        ("été body:fox", 4, "the fields are text"),
        ("fox~7", 5, "1 or 2"),
        ("a AND", 5, "should stand here"),
    ]:
        with pytest.raises(QueryError, match=part) as raised:
            await ids(db, query)
        assert (raised.value.query, raised.value.position) == (query, position)
    with pytest.raises(QueryError, match="no field 'body'"):
        await ids(db, Query.term("fox", field="body"))
    with pytest.raises(InvalidArgumentError, match="a str or a Query"):
        await ids(db, 7)
    with pytest.raises(InvalidArgumentError, match="limit"):
        await ids(db, "fox", limit=-1)
    with pytest.raises(InvalidArgumentError, match="surrogate"):
        await ids(db, "\ud800")


async def test_the_language_of_a_store_decides_what_a_word_is(db):
    await fill(db, SearchConfig(language="en"))
    assert set(await ids(db, "fox")) == {"doc1", "doc3"}
    assert set(await ids(db, "jumping")) == {"doc2"}
    assert await ids(db, "the") == []
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        assert store.terms("The Foxes jumped") == ["fox", "jump"]


async def test_other_scripts_and_analyzers(db):
    async with db.begin_transaction() as tx:
        plain = await tx.open_search("plain", SearchConfig())
        await plain.add(1, "東京都の美しい建物")
        await plain.add(2, "ภาษาไทยสวยงาม")
        assert [hit.doc_id for hit in await plain.search("東京")] == [1]
        assert [hit.doc_id for hit in await plain.search("京")] == [1]
        assert [hit.doc_id for hit in await plain.search("ไทย")] == [2]
        grams = await tx.open_search("grams", SearchConfig(analyzer=TextAnalyzer(kind="ngrams")))
        await grams.add(1, "Brainstorming")
        assert [hit.doc_id for hit in await grams.search("rainst")] == [1]
        assert [hit.doc_id for hit in await grams.search("ra")] == [1]
        assert await grams.search("rainy") == []
        raw = await tx.open_search("raw", SearchConfig(analyzer=TextAnalyzer(kind="raw", ignore_case=False)))
        await raw.add(1, "New York")
        assert await raw.search("new") == []
        assert [hit.doc_id for hit in await raw.search('"New York"')] == [1]


async def test_several_fields_and_their_boosts(db):
    config = SearchConfig(fields={"title": 5.0, "body": TextField(analyzer=TextAnalyzer(language="en"))})
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles", config)
        await store.add(1, {"title": "Cats", "body": "nothing about dogs here"})
        await store.add(2, {"title": "Dogs", "body": "nothing about cats here"})
        await store.add(3, {"title": "Birds"})
        assert [hit.doc_id for hit in await store.search("cats")] == [1, 2]
        assert [hit.doc_id for hit in await store.search("body:cat")] == [2]
        assert [hit.doc_id for hit in await store.search("cat", fields="title")] == []
        assert [hit.doc_id for hit in await store.search("title:birds")] == [3]
        with pytest.raises(InvalidArgumentError, match="the fields title, body"):
            await store.add(4, "one text")
        with pytest.raises(InvalidArgumentError, match="no field 'author'"):
            await store.add(4, {"author": "Ann"})
        assert await store.get(3) == SearchDocument(3, {"title": "Birds"})


async def test_documents_are_replaced_and_deleted_without_a_trace(db):
    await fill(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        await store.add("doc1", "a red panda", payload={"n": 1})
        assert await store.count() == 3
        assert await store.search("fox") == []
        assert (await store.get("doc1")) == SearchDocument("doc1", "a red panda", {"n": 1})
        await store.update("doc1", "a blue whale")
        assert await store.search("panda") == []
        with pytest.raises(KeyNotFound, match="doc9"):
            await store.update("doc9", "x")
        assert await store.delete("doc2")
        assert not await store.delete("doc2")
        assert not await store.contains("doc2")
        assert await store.delete_many(["doc3", "doc9"]) == 1
        assert await store.get("doc3") is None
        assert await store.count() == 1
    assert await ids(db, "panda OR fox OR lazy OR whale") == ["doc1"]
    assert await ids(db, "*") == ["doc1"]


async def test_payloads_come_back_and_are_filtered_by(db):
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles", SearchConfig())
        await store.add_many((n, f"number {n}", {"n": n, "even": n % 2 == 0}) for n in range(100))
        hits = await store.search("number", filter={"n": {"$lt": 10}, "even": True}, limit=20)
        assert sorted(hit.doc_id for hit in hits) == [0, 2, 4, 6, 8]
        assert all(hit.payload == {"n": hit.doc_id, "even": True} for hit in hits)
        hits = await store.search("number", filter=field("n").isin([3, 200]))
        assert [hit.doc_id for hit in hits] == [3]
        assert await store.search("number", filter=field("n") > 1000) == []
        with pytest.raises(InvalidArgumentError, match="filter"):
            await store.search("number", filter={"n": {"$near": 1}})


async def test_pages_follow_each_other(db):
    await fill(db, documents={n: "word " * (n % 7 + 1) for n in range(50)})
    every = await ids(db, "word", limit=100)
    assert sorted(every) == list(range(50))
    assert await ids(db, "word", limit=7, offset=21) == every[21:28]
    assert await ids(db, "word", limit=0) == []
    assert await ids(db, "word", offset=50) == []


async def test_highlights_show_where_something_was_found(db):
    await fill(db, SearchConfig(language="en"))
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        (hit,) = await store.search('+study "lazy fox"', highlight=True)
        (piece,) = hit.highlights["text"]
        assert piece.text == TEXTS["doc3"]
        assert [piece.text[start:end] for start, end in piece.marks] == ["study", "lazy", "foxes"]
        await store.add("doc4", "é <b>needle</b> " + "hay " * 200 + "needle straw")
        (hit,) = await store.search("needle AND straw", highlight=HighlightOptions(count=1, length=30))
        (piece,) = hit.highlights["text"]
        assert piece.marked("[", "]", escape=str).endswith("[needle] [straw]")
        (hit,) = await store.search("needle", highlight=HighlightOptions(length=20))
        assert hit.highlights["text"][0].marked() == "é &lt;b&gt;<b>needle</b>&lt;/b&gt; hay"
        assert (await store.search("needle"))[0].highlights == {}


async def test_a_store_without_texts_highlights_nothing(db):
    await fill(db, SearchConfig(stored=False))
    assert set(await ids(db, "lazy")) == {"doc2", "doc3"}
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        await store.add("doc2", "brisk")
        assert await store.delete("doc3")
        assert await store.search("lazy") == []
        assert (await store.get("doc2")) == SearchDocument("doc2", None)
        with pytest.raises(InvalidArgumentError, match="stored=True"):
            await store.search("brisk", highlight=True)


async def test_own_changes_are_seen_here_and_nowhere_else_before_the_commit(db):
    await fill(db)
    async with db.begin_transaction() as tx, db.begin_transaction() as other:
        store, elsewhere = await tx.open_search("articles"), await other.open_search("articles")
        await store.add("doc4", "a quick unicorn")
        await store.delete("doc1")
        assert [hit.doc_id for hit in await store.search("unicorn")] == ["doc4"]
        assert {hit.doc_id for hit in await store.search("quick")} == {"doc3", "doc4"}
        assert await elsewhere.search("unicorn") == []
        assert {hit.doc_id for hit in await elsewhere.search("quick")} == {"doc1", "doc3"}
    assert await ids(db, "unicorn") == ["doc4"]


async def test_a_snapshot_stays_as_it_is(db):
    await fill(db)
    async with db.begin_transaction(TransactionMode.FOR_READING) as old:
        store = await old.open_search("articles")
        before = await store.search("quick lazy")
        async with db.begin_transaction() as tx:
            articles = await tx.open_search("articles")
            await articles.delete("doc3")
            await articles.add_many((f"n{n}", "quick quick lazy") for n in range(200))
        await db.settle("articles")
        assert await store.search("quick lazy") == before
    assert len(await ids(db, "quick lazy", limit=500)) == 202


async def test_savepoints_take_documents_back(db):
    await fill(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        await store.add("kept", "unicorn one")
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                await store.add("gone", "unicorn two")
                await store.delete("doc1")
                assert len(await store.search("unicorn")) == 2
                raise RuntimeError
        assert [hit.doc_id for hit in await store.search("unicorn")] == ["kept"]
    assert await ids(db, "unicorn") == ["kept"]
    assert await ids(db, "fox") == ["doc1"]


async def test_add_many_is_all_or_nothing(db):
    await fill(db)
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles")
        with pytest.raises(InvalidArgumentError):
            await store.add_many([*((n, "zebra") for n in range(1000)), ("bad", 7)])
        assert await store.search("zebra") == []
        assert await store.count() == 3
        added = await store.add_many([SearchDocument("doc1", "zebra"), ("new", "zebra", {"a": 1})])
        assert added == 1


async def test_opening_and_removing(db):
    with pytest.raises(StoreNotFoundError, match="config"):
        async with db.begin_transaction() as tx:
            await tx.open_search("articles")
    await fill(db, SearchConfig(language="english", description="what we know"))
    async with db.begin_transaction() as tx:
        store = await tx.open_search("articles", SearchConfig(language="en"))
        assert store.description.kind == "search"
        assert store.description.text == "what we know"
        assert "articles" in repr(store)
        assert store.fields == ("text",)
        with pytest.raises(StoreExistsError, match="its fields are text but a, b"):
            await tx.open_search("articles", SearchConfig(fields=["a", "b"]))
        with pytest.raises(UnsupportedError, match="a search store"):
            await tx.open_btree("articles")
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        with pytest.raises(StoreExistsError, match="language='english'"):
            await tx.open_search("articles", SearchConfig(language="de"))
    await db.remove_search("articles")
    async with db.begin_transaction() as tx:
        assert await tx.stores() == []


async def test_configs_that_make_no_sense_are_refused(db):
    async with db.begin_transaction() as tx:
        for config, part in [
            (SearchConfig(language="klingon"), "klingon"),
            (SearchConfig(fields=[]), "1 to 64 fields"),
            (SearchConfig(fields=["a", "a"]), "one name"),
            (SearchConfig(fields="text"), "list of names"),
            (SearchConfig(fields={"a": 0}), "boost"),
            (SearchConfig(b=2), "b is 2"),
            (SearchConfig(k1=math.nan), "k1"),
            (SearchConfig(language="en", analyzer=TextAnalyzer()), "a language or an analyzer"),
            (SearchConfig(analyzer=TextAnalyzer(stem=True)), "need a language"),
            (SearchConfig(analyzer=TextAnalyzer(kind="ngrams", min_length=9, max_length=3)), "n-grams"),
        ]:
            with pytest.raises(InvalidArgumentError, match=part):
                await tx.open_search("articles", config)
        assert await tx.stores() == []


async def test_a_reading_transaction_adds_nothing(db):
    await fill(db)
    async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
        store = await tx.open_search("articles")
        with pytest.raises(sopasync.ReadOnlyError):
            await store.add("x", "y")
        with pytest.raises(sopasync.ReadOnlyError):
            await store.delete("doc1")
        with pytest.raises(sopasync.ReadOnlyError):
            await tx.open_search("other", SearchConfig())


async def test_two_who_replace_one_document_conflict_and_others_do_not(db):
    await fill(db)
    one, two, three = (db.begin_transaction() for _ in range(3))
    for tx, doc_id in ((one, "doc1"), (two, "doc1"), (three, "doc2")):
        tx.begin()
        await (await tx.open_search("articles")).add(doc_id, f"changed {doc_id}")
    await one.commit()
    await three.commit()
    with pytest.raises(sopasync.ConflictError) as raised:
        await two.commit()
    assert raised.value.keys == ("doc1",)
    assert set(await ids(db, "changed")) == {"doc1", "doc2"}


async def test_ids_of_every_kind(db):
    keys = [1, "one", (1, "a"), 2.5, None, b"bytes"]
    await fill(db, documents=dict.fromkeys(keys, "same text"))
    assert sorted(map(repr, await ids(db, "same"))) == sorted(map(repr, keys))
    async with db.begin_transaction() as tx:
        with pytest.raises(sopasync.KeyTypeError):
            await (await tx.open_search("articles")).add(object(), "text")


async def test_statistics_say_what_is_there(db):
    await fill(db)
    async with db.begin_transaction() as tx:
        statistics = await (await tx.open_search("articles")).statistics()
    assert statistics.documents == 3


async def test_hits_are_frozen(db):
    hit = SearchHit("a", 1.0)
    with pytest.raises(AttributeError):
        hit.score = 2.0
