"""Queries drawn from the texts themselves, the same for every engine."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from dataclasses import dataclass

WORD = re.compile(r"[a-z]{3,}")
STOP = frozenset(
    re.findall(
        "[a-z]+",
        "the and for with that from are was his her its their not but has have had been who which this one used into "
        "than you your they when what can all any other some such being were him she will would out off only",
    )
)
KINDS = ("one", "two", "three", "common", "phrase", "and", "prefix", "fuzzy")

TITLES = {
    "one": "one word",
    "two": "two words",
    "three": "three words",
    "common": "three frequent words",
    "phrase": "phrase of two words",
    "and": "both of two words",
    "prefix": "prefix of four letters",
    "fuzzy": "one letter wrong",
}


@dataclass(frozen=True)
class Ask:
    """One query: its kind, and its words."""

    kind: str
    words: tuple[str, ...]


def draw(texts: list[str], count: int, seed: int = 7) -> dict[str, list[Ask]]:
    """So many queries of each kind. Words come as often as they stand in the texts, stop words left out."""
    rng = random.Random(seed)
    split = [[word for word in WORD.findall(text.lower()) if word not in STOP] for text in texts]
    split = [words for words in split if len(words) >= 4]
    frequency = Counter(word for words in split for word in words)
    frequent = [word for word, _ in frequency.most_common(50)]

    def word() -> str:
        return rng.choice(rng.choice(split))

    asks: dict[str, list[Ask]] = {kind: [] for kind in KINDS}
    for _ in range(count):
        asks["one"].append(Ask("one", (word(),)))
        asks["two"].append(Ask("two", (word(), word())))
        asks["three"].append(Ask("three", (word(), word(), word())))
        asks["common"].append(Ask("common", tuple(rng.sample(frequent, 3))))
        asks["phrase"].append(Ask("phrase", _pair(texts, rng)))
        words = rng.choice(split)
        asks["and"].append(Ask("and", tuple(rng.sample(words, 2))))
        asks["prefix"].append(Ask("prefix", (_long(word, 5)[:4],)))
        asks["fuzzy"].append(Ask("fuzzy", (_mistyped(_long(word, 6), rng),)))
    return asks


def _pair(texts: list[str], rng: random.Random) -> tuple[str, str]:
    while True:
        words = re.findall(r"[a-z]+", rng.choice(texts).lower())
        pairs = [
            (one, two)
            for one, two in itertools.pairwise(words)
            if not {one, two} & STOP and min(len(one), len(two)) > 2
        ]
        if pairs:
            return rng.choice(pairs)


def _long(word, length: int) -> str:
    while True:
        found: str = word()
        if len(found) >= length:
            return found


def _mistyped(word: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word))
    return word[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[at + 1 :]
