"""`ModelStore`: models under a category and a name, as one transaction sees them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar, final, overload

from ._blob_rows import check_metadata
from ._core import prefix_end
from ._exceptions import (
    CorruptionError,
    InvalidArgumentError,
    KeyNotFound,
    StaleVersionError,
    ValueTooLargeError,
)
from ._model_codec import Packed, is_only_mapped, pack_model, unpack_model
from ._model_rows import ModelInfo, ModelRow, check_name, model_key, payload_key
from ._opening import on_thread
from ._rows import RawRows, RowsTurn, decode_row, encode_row
from ._scan import KeyRange, KeyScan

T = TypeVar("T")

Verify = Literal["once", "always"]
"""When the checksum of arrays is verified."""

# Named outside the class, where `list` is a method.
Names = list[str]
Infos = list[ModelInfo]

PAYLOAD_BYTES_MAX: Final = 1 << 30
"""Longest payload: the largest value the engine takes in one piece."""


@final
class ModelStore:
    """A model store, opened by `Transaction.open_model_store`.

    A model is any dataclass, Struct, pydantic model, dict, list or array, or a `Model`. What it holds of numpy
    arrays, and of regular nested lists of floats, is kept in the safetensors format.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: RawRows) -> None:
        self._rows = rows

    def __repr__(self) -> str:
        return f"<sopasync.ModelStore {self.name!r}, {id(self):#x}>"

    @property
    def name(self) -> str:
        """Name of the store."""
        return self._rows.name

    async def save(
        self,
        category: str,
        name: str,
        value: Any,
        *,
        expect: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        pickle: bool = False,
    ) -> ModelInfo:
        """Save a model, in place of the one that is there.

        Packing and writing arrays run on worker threads. What is saved is what the value holds now: do not
        change its arrays until the call returns. Arrays that are contiguous are written from where they are.

        Args:
            category: What kind of model it is.
            name: What it is called among those of its category.
            value: The model.
            expect: Save only when the one that is there is at this version; 0, when there is none.
            metadata: Anything worth keeping beside it: a dict of what msgpack can hold, 64 KiB packed at most.
            pickle: Keep it as a pickle, when nothing else can. Loading it then takes ``trust_pickle=True``.

        Raises:
            StaleVersionError: It is at another version than `expect`; nothing was changed.
            CodecError: The value cannot be stored.
            ValueTooLargeError: Its arrays take more than 1 GiB: save them in parts, or as blobs.
        """
        key = model_key(category, name)
        checked = check_metadata(metadata)
        packed = await on_thread(lambda: pack_model(value, as_pickle=pickle))
        self._check_size(packed, category, name)
        payload_id = uuid.uuid4().bytes if packed.payload else None
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            before = None if data is None else self._decode(category, name, data)
            version = 0 if before is None else before.version
            if expect is not None and expect != version:
                raise self._stale(category, name, version, expect)
            now = datetime.now(UTC)
            row = ModelRow(
                version=version + 1,
                type_name=packed.type_name,
                format=packed.format,
                created_at=now if before is None else before.created_at,
                saved_at=now,
                value=packed.value,
                places=packed.places,
                payload=payload_id,
                payload_bytes=packed.payload_bytes,
                metadata=checked,
            )
            if payload_id is not None:
                await turn.put_parts(payload_key(payload_id), packed.payload)
            await turn.put(key, encode_row(row))
            if before is not None and before.payload is not None:
                await turn.remove([payload_key(before.payload)])
        return row.info(category, name)

    @overload
    async def load(
        self,
        category: str,
        name: str,
        into: type[T],
        *,
        trust_pickle: bool = False,
        verify: Verify = "once",
    ) -> T: ...
    @overload
    async def load(
        self,
        category: str,
        name: str,
        into: None = None,
        *,
        trust_pickle: bool = False,
        verify: Verify = "once",
    ) -> Any: ...
    async def load(
        self,
        category: str,
        name: str,
        into: Any = None,
        *,
        trust_pickle: bool = False,
        verify: Verify = "once",
    ) -> Any:
        """Load a model. Its arrays are read-only.

        Arrays of 64 KiB and more in all are not read: they are views of the page file, mapped into memory, and shared
        by all who load this version. They stay as they are, whatever happens to the model, as long as they
        are used; their space is free again only then. Closing the database copies what is still used into memory, in
        place. A read-only handle always reads a copy.

        Args:
            category: What kind of model it is.
            name: What it is called.
            into: The type to make of it; without one, dataclasses, Structs and pydantic models come back as dicts.
            trust_pickle: Load it also when it is a pickle, which can run any code.
            verify: ``"once"`` verifies the checksum of its arrays when they are loaded for the first time since the
                database was opened, which reads them whole; ``"always"`` verifies them now.

        Raises:
            KeyNotFound: There is none of that category and name.
            CorruptionError: What is stored is not what was saved.
            CodecError: It does not read as `into`.
            UntrustedPickleError: It is a pickle, and `trust_pickle` is false.
        """
        data = await self._rows.get(model_key(category, name))
        if data is None:
            raise self._missing(category, name)
        return await self._unpack(category, name, data, into, trust_pickle=trust_pickle, verify=verify)

    async def get(self, category: str, name: str, default: Any = None, *, trust_pickle: bool = False) -> Any:
        """Load a model as `load` does without a type; `default` when it is not there."""
        data = await self._rows.get(model_key(category, name))
        if data is None:
            return default
        return await self._unpack(category, name, data, None, trust_pickle=trust_pickle, verify="once")

    async def info(self, category: str, name: str) -> ModelInfo:
        """Return what is known about a model, without loading it.

        Raises:
            KeyNotFound: There is none of that category and name.
        """
        data = await self._rows.get(model_key(category, name))
        if data is None:
            raise self._missing(category, name)
        return self._decode(category, name, data).info(category, name)

    async def exists(self, category: str, name: str) -> bool:
        """Tell whether there is a model of that category and name."""
        return await self._rows.contains(model_key(category, name))

    async def list(self, category: str) -> Names:
        """List the names of the models of a category, in order."""
        check_name("category", category)
        low = self._rows.actor.codec.prefix(("m", category))
        scan = KeyScan(self._rows, KeyRange(low, prefix_end(low)), reverse=False)
        return [key[2] async for key in scan]

    async def infos(self, category: str) -> Infos:
        """List what is known about the models of a category, in the order of their names."""
        names = await self.list(category)
        rows = await self._rows.get_many([model_key(category, name) for name in names])
        return [
            self._decode(category, name, row).info(category, name)
            for name, row in zip(names, rows, strict=True)
            if row is not None
        ]

    async def categories(self) -> Names:
        """List the categories there are, in order. Skips from one to the next."""
        codec = self._rows.actor.codec
        low: bytes | None = codec.prefix(("m",))
        end = prefix_end(codec.prefix(("m",)))
        found: Names = []
        while low is not None:
            scan = KeyScan(self._rows, KeyRange(low, end), reverse=False)
            page = await scan.fetch(1)
            if not page:
                break
            found.append(page[0][1])
            low = prefix_end(codec.prefix(("m", page[0][1])))
        return found

    async def delete(self, category: str, name: str, *, expect: int | None = None) -> None:
        """Remove a model.

        Args:
            category: What kind of model it is.
            name: What it is called.
            expect: Remove it only when it is at this version.

        Raises:
            KeyNotFound: There is none of that category and name.
            StaleVersionError: It is at another version than `expect`; nothing was changed.
        """
        key = model_key(category, name)
        async with RowsTurn(self._rows) as turn:
            data = await turn.get(key)
            if data is None:
                raise self._missing(category, name)
            row = self._decode(category, name, data)
            if expect is not None and expect != row.version:
                raise self._stale(category, name, row.version, expect)
            payload = [] if row.payload is None else [payload_key(row.payload)]
            await turn.remove([key, *payload])

    async def _unpack(
        self, category: str, name: str, data: bytes, into: Any, *, trust_pickle: bool, verify: Verify
    ) -> Any:
        row = self._decode(category, name, data)
        where = f"model '{category}/{name}' in store '{self.name}'"
        if verify not in {"once", "always"}:
            raise InvalidArgumentError(f"verify={verify!r}: give 'once' or 'always'")
        if row.payload is None:
            return unpack_model(row, None, into, where=where, trust_pickle=trust_pickle)
        async with RowsTurn(self._rows) as turn:
            payload = await turn.map(payload_key(row.payload), verify=verify == "always")
        if payload is None or len(payload) != row.payload_bytes:
            raise CorruptionError(f"the payload of {where} is missing or cut: restore it from a backup")
        if is_only_mapped(row, into):
            return unpack_model(row, payload, into, where=where, trust_pickle=trust_pickle)
        return await on_thread(
            lambda: unpack_model(row, payload, into, where=where, trust_pickle=trust_pickle)
        )

    def _decode(self, category: str, name: str, data: bytes) -> ModelRow:
        return decode_row(self.name, f"model '{category}/{name}'", data, ModelRow)

    def _check_size(self, packed: Packed, category: str, name: str) -> None:
        if packed.payload_bytes > PAYLOAD_BYTES_MAX:
            raise ValueTooLargeError(
                f"model '{category}/{name}' takes {packed.payload_bytes} bytes, over {PAYLOAD_BYTES_MAX}: save its "
                "parts under names of their own, or keep it in a blob store and its name here",
                store=self.name,
            )

    def _missing(self, category: str, name: str) -> KeyNotFound:
        return KeyNotFound(
            f"there is no model '{category}/{name}' in store '{self.name}'",
            store=self.name,
            key=(category, name),
        )

    def _stale(self, category: str, name: str, found: int, expected: int) -> StaleVersionError:
        return StaleVersionError(
            f"model '{category}/{name}' in store '{self.name}' is at version {found}, not at {expected}: load it "
            "and decide again",
            store=self.name,
            key=(category, name),
            found=found,
            expected=expected,
        )
