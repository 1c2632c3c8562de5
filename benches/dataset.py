"""The rows that every store is given: the same bytes for all, made from a seed, outside of any measured time.

Keys are 24 and values 150 printable bytes without order or pattern, the sizes of redb's published
comparison; printable, because sop4py stores no bytes. Records are what an application keeps: six fields.
"""

from __future__ import annotations

import base64
import random

import msgspec

KEY_BYTES = 24
VALUE_BYTES = 150
ROW_BYTES = KEY_BYTES + VALUE_BYTES
SEED = 20_260_101


class Record(msgspec.Struct):
    """A typed value; peers pack and unpack it with the same msgspec codec."""

    name: str
    email: str
    age: int
    balance: float
    active: bool
    city: str


encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


def _text(generator: random.Random, size: int) -> bytes:
    """Printable bytes, six random bits each."""
    return base64.b64encode(generator.randbytes(size * 3 // 4 + 3))[:size]


def keys(count: int, seed: int = SEED) -> list[bytes]:
    """Distinct random keys."""
    text = _text(random.Random(seed), count * KEY_BYTES)
    return [text[at : at + KEY_BYTES] for at in range(0, count * KEY_BYTES, KEY_BYTES)]


def values(count: int, seed: int = SEED) -> list[bytes]:
    """Random values."""
    text = _text(random.Random(seed + 1), count * VALUE_BYTES)
    return [text[at : at + VALUE_BYTES] for at in range(0, count * VALUE_BYTES, VALUE_BYTES)]


def rows(count: int, seed: int = SEED) -> list[tuple[bytes, bytes]]:
    """Random keys with their values."""
    return list(zip(keys(count, seed), values(count, seed), strict=True))


def records(count: int, seed: int = SEED) -> list[tuple[bytes, bytes]]:
    """Random keys with packed records."""
    generator = random.Random(seed + 2)
    found = []
    for key in keys(count, seed):
        name = key[:10].decode()
        record = Record(
            name=name,
            email=f"{name}@example.org",
            age=generator.randrange(100),
            balance=generator.random() * 10_000,
            active=generator.random() < 0.5,
            city=key[10:20].decode(),
        )
        found.append((key, encode_record(record)))
    return found
