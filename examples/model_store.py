"""Models beside the data: settings and weights under a category and a name, saved with whatever belongs to them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np
from numpy.typing import NDArray

import sopasync
from sopasync import Model, StaleVersionError, TransactionMode


@dataclass
class AgentConfig:
    """Settings of an assistant."""

    system_prompt: str
    temperature: float
    model_name: str


@dataclass
class LoraAdapter:
    """Weights of a low-rank adapter."""

    rank: int
    alpha: float
    weights: NDArray[np.float32]


async def main(folder: Path) -> None:
    """Save settings, weights and a classical model; load them again; raise a version together with other data."""
    weights = np.random.default_rng(7).standard_normal((64, 1024), dtype=np.float32)
    async with sopasync.Database(folder / "registry") as db:
        async with db.begin_transaction() as tx:
            store = await tx.open_model_store("registry")
            await store.save("agents", "coder_v1", AgentConfig("You are helpful.", 0.7, "llama-3-8b"))
            await store.save("adapters", "coder_lora", LoraAdapter(8, 16.0, weights))
            churn = Model(
                id="churn_v1", algorithm="random_forest", parameters=[0.5, 0.1], metrics={"auc": 0.98}
            )
            await store.save("classifiers", "churn_v1", churn)

        async with db.begin_transaction(TransactionMode.FOR_READING) as tx:
            store = await tx.open_model_store("registry")
            agent = await store.load("agents", "coder_v1", into=AgentConfig)
            adapter = await store.load("adapters", "coder_lora", into=LoraAdapter)
            assert np.array_equal(adapter.weights, weights)
            loaded = await store.get("classifiers", "churn_v1")  # without a type: a dict
            print(
                f"Loaded agent {agent.model_name!r}, weights {adapter.weights.shape}, model {loaded['id']!r}"
            )
            for category in await store.categories():
                for info in await store.infos(category):
                    print(
                        f"  {category}/{info.name}: version {info.version}, {info.format}, {info.size} bytes"
                    )

        # The model and the row that says which one is in use change in one commit, or not at all.
        async with db.begin_transaction() as tx:
            store = await tx.open_model_store("registry")
            status = await tx.new_btree("status")
            info = await store.save("adapters", "coder_lora", LoraAdapter(8, 16.0, weights * 0.5), expect=1)
            await status.upsert("in use", {"name": info.name, "version": info.version})

        # Somebody who still builds on version 1 is told.
        try:
            async with db.begin_transaction() as tx:
                store = await tx.open_model_store("registry")
                await store.save("adapters", "coder_lora", LoraAdapter(4, 8.0, weights), expect=1)
        except StaleVersionError as error:
            print(f"As expected: {error}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
