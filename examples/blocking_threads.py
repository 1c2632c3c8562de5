"""Without an event loop: threads share one blocking handle and count words together."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sopasync import sync

TEXTS = ["to be or not to be", "that is the question", "whether it is nobler to be"] * 20


def count(db: sync.Database, text: str) -> None:
    """Count the words of a text in one transaction; increments of the same word do not conflict."""
    with db.begin_transaction() as tx:
        words = tx.open_btree("words", value_type=int)
        for word in text.split():
            words.increment(word)


def main(folder: Path) -> None:
    """Count in five threads, then show the most frequent words."""
    with sync.Database(folder) as db:
        with db.begin_transaction() as tx:
            tx.new_btree("words", value_type=int)
        with ThreadPoolExecutor(5) as pool:
            for counted in [pool.submit(count, db, text) for text in TEXTS]:
                counted.result()
        with db.begin_transaction() as tx:
            words = tx.open_btree("words", value_type=int)
            found = sorted(words.items(), key=lambda item: item.value, reverse=True)
        shown = ", ".join(f"{word} {times}" for word, times in found[:3])
        print(f"{sum(item.value for item in found)} words; the most frequent: {shown}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary) / "words")
