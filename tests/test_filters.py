"""Filters mean what they say: dicts and expressions alike, and what is no filter is refused with its place."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import operator
import uuid

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopasync import Filter, InvalidArgumentError, field
from sopasync._filters import pack_filter, tree_of

NAMES = ["a", "b", "a.b"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**53 + 1, 2**64, 2**64 + 1, -(2**70)]),
    st.sampled_from([0.0, -0.0, 1.5, 2.0**53, 2.0**64, math.inf, -math.inf, 0.1]),
    st.sampled_from(["", "a", "ab", "b", "é"]),
    st.sampled_from([b"", b"a"]),
    st.sampled_from([decimal.Decimal("0.1"), decimal.Decimal("1.50"), decimal.Decimal("1e400")]),
    st.sampled_from(
        [
            datetime.datetime(2026, 1, 1),
            datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
            datetime.datetime(1969, 1, 1, tzinfo=datetime.UTC),
            datetime.date(2026, 1, 1),
            datetime.date(1969, 1, 1),
            datetime.timedelta(days=-1, seconds=5),
            datetime.timedelta(seconds=5),
            datetime.time(1, 2),
        ]
    ),
    st.builds(lambda number: uuid.UUID(int=number), st.integers(0, 2)),
)
PAYLOADS = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.one_of(
        SCALARS,
        st.just(math.nan),
        st.lists(SCALARS, max_size=3),
        st.lists(SCALARS, max_size=3).map(tuple),
        st.dictionaries(st.just("b"), SCALARS, max_size=1),
        st.lists(st.dictionaries(st.just("b"), SCALARS, max_size=1), max_size=2),
    ),
    max_size=2,
)
COMPARISONS = {
    "$eq": operator.eq,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
}


def values_of(payload, name):
    """Every scalar of a field, as the documentation says."""
    found = payload.get(name, [])
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    values = [value for value in found if not isinstance(value, dict)]
    if "." in name:
        first, rest = name.split(".")
        inner = payload.get(first, {})
        for one in inner if isinstance(inner, (list, tuple)) else [inner]:
            if isinstance(one, dict):
                values += values_of(one, rest)
    return values


def kind(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float, decimal.Decimal)):
        return "number"
    if isinstance(value, (datetime.datetime, datetime.time)):
        return type(value).__name__, value.tzinfo is not None
    return type(value).__name__


def compares(value, name, operand):
    if value != value:
        return False  # NaN; Decimals would rather raise
    return kind(value) == kind(operand) and COMPARISONS[name](value, operand)


@settings(max_examples=800)
@given(PAYLOADS, st.sampled_from(NAMES), st.sampled_from(sorted(COMPARISONS)), SCALARS)
def test_a_comparison_holds_when_python_says_so_of_one_value_of_the_same_class(
    payload, name, comparison, operand
):
    if comparison != "$eq" and operand is None:
        return
    expected = any(compares(value, comparison, operand) for value in values_of(payload, name))
    given_dict = Filter(tree_of({name: {comparison: operand}}))
    assert given_dict.matches(payload) is expected
    assert (~given_dict).matches(payload) is not expected


CONDITIONS = st.recursive(
    st.tuples(
        st.just("leaf"),
        st.sampled_from(NAMES),
        st.sampled_from([*COMPARISONS, "$ne", "$in", "$nin"]),
        SCALARS,
    ).filter(lambda leaf: leaf[3] is not None or leaf[2] in ("$eq", "$ne", "$in", "$nin")),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
        st.tuples(st.just("not"), inner),
    ),
    max_leaves=6,
)


def as_dict(condition):
    match condition:
        case ("leaf", name, "$in" | "$nin" as comparison, operand):
            return {name: {comparison: [operand, 1]}}
        case ("leaf", name, comparison, operand):
            return {name: {comparison: operand}}
        case ("not", inner):
            return {"$not": as_dict(inner)}
        case (how, one, other):
            return {f"${how}": [as_dict(one), as_dict(other)]}


def as_expression(condition):
    match condition:
        case ("leaf", name, "$in", operand):
            return field(name).isin([operand, 1])
        case ("leaf", name, "$nin", operand):
            return ~field(name).isin([operand, 1])
        case ("leaf", name, "$ne", operand):
            return field(name) != operand
        case ("leaf", name, comparison, operand):
            return COMPARISONS[comparison](field(name), operand)
        case ("not", inner):
            return ~as_expression(inner)
        case ("and", one, other):
            return as_expression(one) & as_expression(other)
        case (_, one, other):
            return as_expression(one) | as_expression(other)


def holds(condition, payload):
    match condition:
        case ("leaf", name, "$ne" | "$nin" as comparison, operand):
            return not holds(("leaf", name, {"$ne": "$eq", "$nin": "$in"}[comparison], operand), payload)
        case ("leaf", name, "$in", operand):
            return holds(("leaf", name, "$eq", operand), payload) or holds(("leaf", name, "$eq", 1), payload)
        case ("leaf", name, comparison, operand):
            return any(compares(value, comparison, operand) for value in values_of(payload, name))
        case ("not", inner):
            return not holds(inner, payload)
        case ("and", one, other):
            return holds(one, payload) and holds(other, payload)
        case (_, one, other):
            return holds(one, payload) or holds(other, payload)


@settings(max_examples=800)
@given(CONDITIONS, PAYLOADS)
def test_dicts_and_expressions_are_the_same_filters(condition, payload):
    assert tree_of(as_dict(condition)) == as_expression(condition).tree
    assert as_expression(condition).matches(payload) is holds(condition, payload)


def test_the_forms_of_a_dict():
    assert tree_of({"name": "Laptop"}) == ["eq", "name", "Laptop"]
    assert tree_of({"name": "Laptop", "price": {"$lt": 100, "$gte": 10}}) == [
        "and",
        [["eq", "name", "Laptop"], ["range", "price", 10, True, 100, False]],
    ]
    assert tree_of({"$or": [{"a": 1}, field("b").exists()]}) == ["or", [["eq", "a", 1], ["exists", "b"]]]
    assert tree_of({"a": {"$exists": False}}) == ["not", ["exists", "a"]]
    assert tree_of({"a": {"$not": {"$in": {1}}}}) == ["not", ["in", "a", [1]]]
    assert tree_of({}) == ["and", []]
    assert tree_of({"a": 1} & (field("b") == 2)) == tree_of((field("a") == 1) & {"b": 2})
    assert field("p").between(1, 2).tree == ["range", "p", 1, True, 2, True]
    assert pack_filter(None) is None


def test_enums_and_numpy_scalars_are_plain_values():
    class Colour(enum.Enum):
        RED = "red"

    assert (field("c") == Colour.RED).tree == ["eq", "c", "red"]
    assert (field("n") == np.float32(1.5)).matches({"n": 1.5})
    assert (field("n") == 1.5).matches({"n": np.float32(1.5)})
    assert field("n").isin(np.array([1, 2])).matches({"n": np.int8(2)})


def test_long_texts_are_compared_whole():
    long = "x" * 5000
    assert (field("t") == long + "a").matches({"t": long + "a"})
    assert not (field("t") == long + "a").matches({"t": long + "b"})
    assert (field("t") > "w").matches({"t": long})


def too_deep():
    given = {"a": 1}
    for _ in range(70):
        given = {"$not": given}
    return given


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("price < 100", "a filter is a dict such as"),
        ([("a", 1)], "a filter is a dict such as"),
        (field("a"), r"field\('a'\) alone is no condition"),
        ({"price": {"$less": 100}}, r"filter at price\.\$less: there is no operator \$less. There are \$eq"),
        ({"$nor": []}, r"filter at \$nor: there is no operator \$nor here"),
        ({"$or": {"a": 1}}, r"filter at \$or: a list of filters is expected, got dict"),
        (
            {"$and": [{"a": 1}, {"b": {"$in": 3}}]},
            r"filter at \$and\[1\]\.b\.\$in: a list of values is expected, got int",
        ),
        ({"a": {"$in": "abc"}}, "a list of values is expected, got str"),
        ({"a": {"$in": [1, math.nan]}}, r"filter at a\.\$in\[1\]: NaN is equal to nothing"),
        ({"a": [1, 2]}, r"filter at a: payloads are not compared with list \[1, 2\]: use \$in"),
        (
            {"a": {"b": 1}},
            r"filter at a: a dict here holds operators .* join the names with a dot: 'a\.<name>'",
        ),
        ({"a": {}}, "a dict here holds operators"),
        ({"a": object()}, "payloads are not compared with object"),
        ({"a": {"$exists": 1}}, "True or False is expected, got int"),
        ({"a": {"$gt": 1, "$gte": 1}}, r"\$gt and \$gte at once"),
        ({"a": {"$gt": 1, "$lt": "b"}}, "the bounds of a range are of one type, got number and str"),
        ({"a": {"$gt": None}}, "a range has no bound None"),
        ({"a": {"$gt": "x" * 257}}, "a bound of a range has at most 256 bytes"),
        ({1: 2}, "a field's name is a str, got int: 1"),
        ({"n" * 2000: 2}, "a field's name has at most 1024 bytes"),
        (too_deep(), "filters nest at most 64 deep"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(wrong, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tree_of(wrong)


def test_filters_and_fields_are_not_taken_for_truths():
    with pytest.raises(TypeError, match="combine filters with &"):
        bool(field("a") == 1)
    with pytest.raises(TypeError, match="between"):
        1 < field("a") < 3  # noqa: B015
    with pytest.raises(TypeError, match="exists"):
        bool(field("a"))
