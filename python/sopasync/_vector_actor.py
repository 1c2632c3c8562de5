"""`VectorActor`: one vector store of an open database handle, with its config and its codecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ._actor import StoreActor
from ._core import KeyCodec
from ._exceptions import VectorError
from ._values import value_codec
from ._vector_config import VectorConfig

if TYPE_CHECKING:
    from ._core import StoreInfo

NIL = b"\xc0"


class PayloadCodec(NamedTuple):
    """The two directions of one type of payloads."""

    encode: Callable[[Any], bytes | None]
    decode: Callable[[bytes], Any]


class VectorActor(StoreActor):
    """One vector store of an open database handle."""

    __slots__ = ("_payloads", "codec", "config")

    def __init__(self, info: StoreInfo) -> None:
        super().__init__(info)
        self.config = VectorConfig.from_bytes(info.name, info.options)
        self.codec = KeyCodec(unique=True)
        self._payloads: dict[Any, PayloadCodec] = {}

    def decode_key(self, key: bytes) -> object:
        """The id in the key of a conflict; rows under ids begin with one byte that says so."""
        return self.codec.decode(key[1:]) if key[:1] == b"\x10" else key

    def payload(self, payload_type: Any) -> PayloadCodec:
        """How payloads of this type are packed and unpacked."""
        codec = self._payloads.get(payload_type)
        if codec is None:
            codec = self._payloads[payload_type] = _payload_codec(payload_type)
        return codec


def _payload_codec(payload_type: Any) -> PayloadCodec:
    values = value_codec(payload_type)

    def encode(payload: Any) -> bytes | None:
        if payload is None:
            return None
        packed = values.encode(payload)
        if not (0x80 <= packed[0] <= 0x8F or packed[0] in (0xDE, 0xDF)):
            raise VectorError(
                f"a payload is a dict, or a record with named fields, got {type(payload).__name__}: {payload!r:.60}"
            )
        return packed

    def decode(packed: bytes) -> Any:
        return None if packed == NIL else values.decode(packed)

    return PayloadCodec(encode, decode)
