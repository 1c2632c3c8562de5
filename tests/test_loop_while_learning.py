"""Learning an embedding, and putting it in place with its texts and vectors, leaves the event loop alone."""

from __future__ import annotations

import random

import pytest
from tests.heartbeat import assert_loop_stays_free

import sopasync
from sopasync._cli.demo.corpus import Definition
from sopasync._cli.demo.texts import learn_definitions, write_everything

pytestmark = pytest.mark.anyio

DEFINITIONS = 1_000
"""Several times as many as are taken on the event loop's thread at a time."""


def definitions() -> list[Definition]:
    chance = random.Random(1)
    words = [f"word{number}" for number in range(200)]
    return [
        Definition(
            module=f"module{number % 50}",
            kind="function",
            qualified_name=f"function{number}",
            name=f"function{number}",
            signature=f"({', '.join(chance.choices(words, k=3))})",
            docstring=" ".join(chance.choices(words, k=8)),
            file="file.py",
            line=number,
        )
        for number in range(DEFINITIONS)
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_while_an_embedding_is_learned_and_published(db: sopasync.Database) -> None:
    given = definitions()

    async def work(_number: int) -> None:
        fitted = await learn_definitions(given)
        async with db.begin_transaction() as tx:
            await write_everything(tx, given, fitted)

    await assert_loop_stays_free(work, rest_s=0.0003)
