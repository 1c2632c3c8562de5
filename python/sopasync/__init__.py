"""An async, transactional store for Python with a Rust core.

Example:
    ```python
    async with sopasync.Database("data/shop") as db:
        async with db.begin_transaction() as tx:
            users = await tx.new_btree("users", value_type=User)
            await users.add("user_1", User("Ann"))
    ```
"""

from __future__ import annotations

from ._blob_rows import BlobConfig, BlobInfo, UploadInfo
from ._blob_writer import BlobWriter
from ._blobs import BlobStore, BlobStream
from ._btree import BtreeStore
from ._btree_options import (
    BtreeOptions,
    IndexFieldSpecification,
    IndexSpecification,
    Relation,
    SecondaryIndex,
    ValueDataSize,
)
from ._core import __version__
from ._cursor import Cursor
from ._database import Database, DatabaseState
from ._exceptions import (
    ChangesLostError,
    ClosedError,
    CodecError,
    CommitUnknownError,
    ConflictError,
    CorruptionError,
    DatabaseLockedError,
    DuplicateKeyError,
    ForkedProcessError,
    IndexNotFoundError,
    IndexNotReadyError,
    InvalidArgumentError,
    KeyNotFound,
    KeyTypeError,
    LoopMismatchError,
    NotIndexableError,
    QueryError,
    ReadOnlyError,
    RelationError,
    SnapshotExpiredError,
    SopasyncError,
    StaleVersionError,
    StorageError,
    StoreError,
    StoreExistsError,
    StoreNotFoundError,
    TransactionClosedError,
    TransactionExpiredError,
    TransactionStateError,
    UniqueIndexError,
    UnsupportedError,
    UnsupportedFormatError,
    UntrustedPickleError,
    ValueTooLargeError,
    VectorError,
)
from ._filters import Field, Filter, field
from ._hybrid import HybridHit, hybrid_search
from ._index import StoreIndex
from ._indexes import IndexDescription, IndexState
from ._item import Item, PagingDirection, PagingInfo
from ._iteration import Pages
from ._joins import Join, JoinColumn, JoinColumns, Joined, Related
from ._model_rows import Model, ModelInfo
from ._models import ModelStore
from ._options import DatabaseOptions, DatabaseType, TransactionMode
from ._retry import Attempt, Attempts, set_retrying
from ._savepoint import Savepoint
from ._scan import ColumnPages, Scan
from ._search import SearchStore
from ._search_config import SearchConfig, TextAnalyzer, TextField
from ._search_hit import Highlight, HighlightOptions, SearchDocument, SearchHit, SearchStatistics
from ._search_query import Query
from ._statistics import DatabaseStatistics, StoreDescription, StoreStatistics
from ._transaction import Transaction, TransactionOutcome, TransactionState
from ._vector import VectorStore
from ._vector_config import VectorConfig
from ._vector_items import VectorHit, VectorHits, VectorItem
from ._vector_scan import VectorScan
from ._vector_statistics import VectorSegment, VectorStatistics
from ._watch import Change, Commit, Watch, WatchCommits

__all__ = (
    "Attempt",
    "Attempts",
    "BlobConfig",
    "BlobInfo",
    "BlobStore",
    "BlobStream",
    "BlobWriter",
    "BtreeOptions",
    "BtreeStore",
    "Change",
    "ChangesLostError",
    "ClosedError",
    "CodecError",
    "ColumnPages",
    "Commit",
    "CommitUnknownError",
    "ConflictError",
    "CorruptionError",
    "Cursor",
    "Database",
    "DatabaseLockedError",
    "DatabaseOptions",
    "DatabaseState",
    "DatabaseStatistics",
    "DatabaseType",
    "DuplicateKeyError",
    "Field",
    "Filter",
    "ForkedProcessError",
    "Highlight",
    "HighlightOptions",
    "HybridHit",
    "IndexDescription",
    "IndexFieldSpecification",
    "IndexNotFoundError",
    "IndexNotReadyError",
    "IndexSpecification",
    "IndexState",
    "InvalidArgumentError",
    "Item",
    "Join",
    "JoinColumn",
    "JoinColumns",
    "Joined",
    "KeyNotFound",
    "KeyTypeError",
    "LoopMismatchError",
    "Model",
    "ModelInfo",
    "ModelStore",
    "NotIndexableError",
    "Pages",
    "PagingDirection",
    "PagingInfo",
    "Query",
    "QueryError",
    "ReadOnlyError",
    "Related",
    "Relation",
    "RelationError",
    "Savepoint",
    "Scan",
    "SearchConfig",
    "SearchDocument",
    "SearchHit",
    "SearchStatistics",
    "SearchStore",
    "SecondaryIndex",
    "SnapshotExpiredError",
    "SopasyncError",
    "StaleVersionError",
    "StorageError",
    "StoreDescription",
    "StoreError",
    "StoreExistsError",
    "StoreIndex",
    "StoreNotFoundError",
    "StoreStatistics",
    "TextAnalyzer",
    "TextField",
    "Transaction",
    "TransactionClosedError",
    "TransactionExpiredError",
    "TransactionMode",
    "TransactionOutcome",
    "TransactionState",
    "TransactionStateError",
    "UniqueIndexError",
    "UnsupportedError",
    "UnsupportedFormatError",
    "UntrustedPickleError",
    "UploadInfo",
    "ValueDataSize",
    "ValueTooLargeError",
    "VectorConfig",
    "VectorError",
    "VectorHit",
    "VectorHits",
    "VectorItem",
    "VectorScan",
    "VectorSegment",
    "VectorStatistics",
    "VectorStore",
    "Watch",
    "WatchCommits",
    "__version__",
    "field",
    "hybrid_search",
    "set_retrying",
)

# Users see `sopasync.Database` wherever a class names itself; the modules are private. A native class keeps its
# place, where tools for documentation look for it.
_NATIVE = (VectorHit, VectorHits)
for _object in [globals()[name] for name in __all__]:
    if getattr(_object, "__module__", "").startswith(f"{__name__}._") and _object not in _NATIVE:
        _object.__module__ = __name__
