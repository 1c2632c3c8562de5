"""Every limit of the Python layer, in one place."""

from __future__ import annotations

from typing import Final

TURNS_PER_CHECK: Final = 16
"""Inline turns of one store handle between two looks at the clock."""

TURNS_PER_YIELD_MAX: Final = 256
"""Inline turns of one database handle after which the event loop gets a turn of its own."""

MAILBOX_TURNS_MAX: Final = 256
"""Messages a mailbox holds, of one transaction; further senders wait in front of it."""

CALL_TURNS: Final = 4
"""Inline turns that opening a store, or beginning a commit, counts for."""

INLINE_NS_MAX: Final = 1_000_000
"""Time inline turns may take before the event loop gets a turn of its own."""

BATCH_ITEMS_FIRST: Final = 64
"""Items of a list handed to the engine in the first call; then as many as take about a millisecond."""

BATCH_ITEMS_MAX: Final = 1024
"""Items of a list handed to the engine in one call at most."""

BATCH_BYTES: Final = 256 * 1024
"""Value bytes handed to the engine in one call, unless one value alone is larger."""

QUERIES_MAX: Final = 1024
"""Vectors to search for that are handed to the engine in one call at most."""

QUERY_NUMBERS_FIRST: Final = 32 * 1024
"""Numbers in the vectors to search for of the first such call; then as many as take about a millisecond."""

BULK_ITEMS: Final = 2048
"""Items of a bulk load handed to its worker thread at a time."""

SUBMIT_INLINE_BYTES_MAX: Final = 256 * 1024
"""Writes of a transaction up to which its commit is packed on the event loop's thread."""

SEAL_BYTES: Final = 16 * 1024
"""Writes of commits requested in one tick from which on they are handed to the engine before its end."""

PAGE_ITEMS: Final = 1000
"""Items an iterator fetches at a time at most, so that one fetch stays far under 5 ms."""

PAGE_ITEMS_FIRST: Final = 32
"""Items an iterator fetches first; it doubles from there."""

TRANSACTION_SECONDS_DEFAULT: Final = 15 * 60.0
"""Time limit of a transaction unless told otherwise."""

TRANSACTION_SECONDS_MAX: Final = 60 * 60.0
"""Longest time limit a transaction may ask for: an open one pins its snapshot."""

ATTEMPTS_SECONDS_DEFAULT: Final = 45.0
"""How long `Database.run` and `Database.attempts` go on trying, unless told otherwise."""

BACKOFF_SECONDS_MIN: Final = 0.0005
"""Upper bound of the random pause after the first conflict; it doubles each time."""

BACKOFF_SECONDS_MAX: Final = 0.25
"""Upper bound of the random pause after any conflict."""

CONFLICT_KEYS_SHOWN: Final = 3
"""Keys an error message lists before it says how many more there are."""
