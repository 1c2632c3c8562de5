"""What a model store keeps: a row for each model, and its payload beside it when that is large.

    ("m", category, name) -> ModelRow
    ("p", id)             -> bytes     the payload of the version with this id: a safetensors file, or a pickle

Every save gets a new id, so that a payload never changes. The first elements "m" and "p" leave room for rows of
other kinds.
"""

# Annotations are evaluated here: users see these classes in `sopasync`, where their names mean nothing.
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from ._exceptions import InvalidArgumentError
from ._rows import OPTIONS_FORMAT
from ._tensors import Place

NAME_CHARACTERS_MAX: Final = 512

Key = tuple[Any, ...]


class Model(msgspec.Struct, kw_only=True):
    """A model in the simplest form: what it is called, how it was made, its parameters and how good it is."""

    id: str
    algorithm: str
    parameters: Any = None
    """Numbers, arrays, or anything else that can be stored."""
    metrics: dict[str, float] = {}
    hyperparameters: dict[str, Any] = {}
    description: str = ""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a saved model, without its content."""

    category: str
    name: str
    version: int
    """Counts the saves under this name, from 1."""
    size: int
    """Bytes that its content takes."""
    type_name: str
    """The class of what was saved."""
    format: str
    """``"msgpack"``, ``"safetensors"`` when it holds arrays, or ``"pickle"``."""
    created_at: datetime
    saved_at: datetime
    metadata: Mapping[str, Any] = {}


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A model as it is stored."""

    version: int
    type_name: str
    format: str
    created_at: datetime
    saved_at: datetime
    value: bytes = b""
    """The packed value without its arrays."""
    places: list[Place] = []
    payload: bytes | None = None
    """Id of the payload."""
    payload_bytes: int = 0
    metadata: dict[str, Any] = {}

    def info(self, category: str, name: str) -> ModelInfo:
        """What users see of it."""
        return ModelInfo(
            category=category,
            name=name,
            version=self.version,
            size=len(self.value) + self.payload_bytes,
            type_name=self.type_name,
            format=self.format,
            created_at=self.created_at,
            saved_at=self.saved_at,
            metadata=self.metadata,
        )


def model_options(description: str) -> bytes:
    """What the catalogue keeps about a model store."""
    return msgspec.msgpack.encode({"format": OPTIONS_FORMAT, "description": description})


def model_key(category: str, name: str) -> Key:
    """Key of a model's row."""
    return ("m", check_name("category", category), check_name("name", name))


def payload_key(payload: bytes) -> Key:
    """Key of a payload."""
    return ("p", payload)


def check_name(what: str, given: str) -> str:
    """Refuse what cannot be a category or a name."""
    if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(f"the {what} of a model is a str, not {type(given).__name__} {given!r}")
    if not 1 <= len(given) <= NAME_CHARACTERS_MAX:
        raise InvalidArgumentError(
            f"the {what} of a model has between 1 and {NAME_CHARACTERS_MAX} characters; this one has {len(given)}"
        )
    return given
