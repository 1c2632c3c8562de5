"""`BtreeActor`: one B-tree store of an open database handle, with its schema and its codecs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ._actor import StoreActor
from ._core import KeyCodec
from ._keys import KeyCheck, KeyMaker, key_check, key_maker
from ._schema import StoreSchema, check_fields
from ._values import ValueCodec, value_codec

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._core import StoreInfo, ValueForm


class TypedAccess(NamedTuple):
    """How one pair of key type and value type is read and written."""

    check_key: KeyCheck | None
    make_key: KeyMaker | None
    value: ValueCodec
    form: ValueForm | None
    """How the engine packs and unpacks values, where it does."""
    pack: Callable[[Any], bytes] | None
    unpack: Callable[[bytes], Any] | None

    @classmethod
    def of(cls, check_key: KeyCheck | None, make_key: KeyMaker | None, value: ValueCodec) -> TypedAccess:
        """Access with these checks and this codec."""
        if value.form is not None:
            return cls(check_key, make_key, value, value.form, None, None)
        return cls(check_key, make_key, value, None, value.encode, value.decode)


class BtreeActor(StoreActor):
    """One B-tree store of an open database handle."""

    __slots__ = ("_typed", "codec", "schema")

    def __init__(self, info: StoreInfo, schema: StoreSchema | None = None) -> None:
        super().__init__(info)
        self.schema = schema or StoreSchema.from_bytes(info.name, info.options)
        self.codec = KeyCodec(unique=self.schema.unique, fields=self.schema.fields)
        self._typed: dict[tuple[Any, Any], TypedAccess] = {}

    def decode_key(self, key: bytes) -> object:
        """The key whose bytes these are."""
        return self.codec.decode(key)

    def typed(self, key_type: Any, value_type: Any) -> TypedAccess:
        """How keys and values of these types are read and written."""
        access = self._typed.get((key_type, value_type))
        if access is None:
            check_fields(self.name, self.schema.fields, key_type)
            access = TypedAccess.of(
                key_check(self.name, key_type), key_maker(key_type), value_codec(value_type)
            )
            self._typed[key_type, value_type] = access
        return access
