"""`fetch_page`: the page of a store, or of an index, that a `PagingInfo` asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._item import Item, PagingDirection, PagingInfo
from ._scan import ItemScan, KeyRange, KeyScan, Scan

if TYPE_CHECKING:
    from ._btree import BtreeStore
    from ._index import StoreIndex


async def fetch_page(
    store: BtreeStore[Any, Any],
    paging: PagingInfo,
    *,
    values: bool,
    index: StoreIndex[Any, Any] | None = None,
    within: KeyRange | None = None,
) -> list[Item[Any, Any]]:
    """Fetch the items of a page, without values unless asked; a page past the end is empty.

    Pages are counted within a range; without one from the store's cursor. Through an index they are pages of that.
    """
    reverse = paging.direction == PagingDirection.BACKWARD
    bounds = store.shared_cursor.range_from(reverse=reverse) if within is None else within
    if paging.skipped:
        source = store if index is None else index
        first = await source.run(source.participant.skip, bounds.low, bounds.high, reverse, paging.skipped)
        if first is None:
            return []
        bounds = KeyRange(bounds.low, following(first)) if reverse else KeyRange(first, bounds.high)
    if values:
        return await _take(ItemScan(store, bounds, reverse, index), paging.fetched)
    keys = await _take(KeyScan(store, bounds, reverse, index), paging.fetched)
    return [Item(key) for key in keys]


def following(raw: bytes) -> bytes:
    """The next key bytes there could be, so that `raw` itself is in a range that ends there."""
    return raw + b"\x00"


async def _take(scan: Scan[Any], count: int) -> list[Any]:
    async for page in scan.pages(count):
        return page
    return []
