"""sopasync without an event loop, for scripts and threads: the same calls without ``await``.

```python
from sopasync import sync

with sync.Database("data/shop") as db, db.begin_transaction() as tx:
    users = tx.new_btree("users", value_type=User)
    users.add("user_1", User("Ann"))
    for key, value in users.items(prefix="user_"):
        ...
```

Nothing here runs an event loop: a call goes straight to the engine, and one that must wait (for a page of the disk, for
the log) blocks its thread, with other threads running meanwhile. A `Database` may be used by any number of threads at
once; a transaction, and what was opened in it, belongs to one thread at a time. Commits that several threads wait for
share a sync. Handles of both kinds on one database share its engine.

Everything else, options and exceptions among it, is that of `sopasync`.
"""

from ._blobs import BlobStore, BlobStream, BlobWriter
from ._btree import BtreeStore
from ._cursor import Cursor
from ._database import Database
from ._index import Join, JoinColumns, Related, StoreIndex
from ._models import ModelStore
from ._retry import Attempt, Attempts
from ._scan import ColumnPages, Pages, Scan
from ._search import SearchStore
from ._transaction import Savepoint, Transaction
from ._vector import VectorStore

__all__ = (
    "Attempt",
    "Attempts",
    "BlobStore",
    "BlobStream",
    "BlobWriter",
    "BtreeStore",
    "ColumnPages",
    "Cursor",
    "Database",
    "Join",
    "JoinColumns",
    "ModelStore",
    "Pages",
    "Related",
    "Savepoint",
    "Scan",
    "SearchStore",
    "StoreIndex",
    "Transaction",
    "VectorStore",
)

# As in `sopasync`: the modules are private.
for _object in [globals()[name] for name in __all__]:
    _object.__module__ = __name__
