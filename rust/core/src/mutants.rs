//! Deliberate bugs, to show that the tests can fail.
//!
//! Where an invariant is kept by one line of code, that line asks `mutant("name")` whether to break it:
//!
//! ```ignore
//! if !mutant("log-skip-sync") {
//!     file.sync()?;
//! }
//! ```
//!
//! Without the cargo feature `mutants` the answer is a constant `false` and the compiler removes the question.
//! With it, `set_mutant(Some("log-skip-sync"))` switches one on for the calling process, and the environment
//! variable `SOPASYNC_MUTANT` does so for a whole test run. Each name belongs to the list `MUTANTS`; asking for
//! another panics under the feature, so that a renamed mutant cannot silently stop being tested.

/// Every deliberate bug: its name, and the invariant it breaks.
pub const MUTANTS: &[(&str, &str)] = &[
    (
        "commit-skip-extent-sync",
        "a large value is durable before the log names it",
    ),
    (
        "commit-show-what-failed",
        "readers see only commits that were written",
    ),
    (
        "commit-keep-half",
        "of a transaction that fails while it is applied nothing is left",
    ),
    (
        "commit-forgive-log-error",
        "a commit whose log write failed is never acknowledged",
    ),
    (
        "checkpoint-forgive-sync-error",
        "after a failed sync of the page file nothing is built on it",
    ),
    (
        "checkpoint-unpinned",
        "pages that the last checkpoint reaches are not overwritten",
    ),
    (
        "root-in-one-slot",
        "a root is written to the slot that does not hold the newest one",
    ),
    (
        "reuse-pinned-page",
        "a page that an open snapshot can see is not reused",
    ),
    (
        "reuse-mapped-run",
        "where a mapped value lies is not reused while somebody looks at it",
    ),
    (
        "close-under-mapping",
        "a mapped value stays as it is when the database is closed",
    ),
    (
        "map-unverified",
        "a value is mapped only when its hash matches",
    ),
    (
        "reuse-before-durable",
        "what a commit frees is not reused before that commit is durable",
    ),
    (
        "replay-drops-a-record",
        "replay applies every transaction of a group",
    ),
    (
        "gather-keeps-the-first-word",
        "of several puts of one key that are replayed together the last one counts",
    ),
    (
        "gather-skips-the-rest",
        "what was gathered is applied before a record that cannot be",
    ),
    (
        "replay-ignores-extents",
        "replay builds no pages where the log's extents lie",
    ),
    (
        "replay-skips-sweep",
        "replay frees removed stores before their pages carry extents again",
    ),
    (
        "stamp-one-early",
        "a stamped entry carries the number of its own commit",
    ),
    (
        "derived-skip-sync",
        "a derived file is whole when it has its name",
    ),
    (
        "vector-show-later",
        "a query sees no vector that was added after its snapshot",
    ),
    (
        "vector-ignore-tombstones",
        "a query sees no vector that was deleted before its snapshot",
    ),
    (
        "vector-forget-floor",
        "a snapshot that could see what was purged since is answered from the rows",
    ),
    (
        "vector-lose-marks",
        "a vector that was deleted stays deleted when it moves to a segment",
    ),
    (
        "vector-skip-tail",
        "a query sees every vector that was added before its snapshot",
    ),
    (
        "vector-part-as-whole",
        "a search finds all of a commit of which a part was read earlier",
    ),
    (
        "index-skip-schema-validation",
        "a commit fails when an index of a store it wrote was made meanwhile",
    ),
    (
        "index-skip-claim",
        "two transactions that change one item of an indexed store conflict",
    ),
    (
        "index-keep-old-entry",
        "an item that changes leaves no entry of what it was",
    ),
    (
        "index-skip-unique-claim",
        "two transactions cannot both take one entry of a unique index",
    ),
    (
        "index-build-skip-claim",
        "a piece of a store that is being indexed is as it was when its entries are committed",
    ),
    (
        "relation-skip-target-claim",
        "an item is not removed while another transaction refers to it",
    ),
    (
        "relation-skip-referrer-claim",
        "an item is not referred to while another transaction removes it",
    ),
    (
        "relation-fill-skip-claim",
        "a relation that is added holds for what others wrote meanwhile",
    ),
    (
        "feed-skip-after-error",
        "after an error the feed goes on with the same commit",
    ),
    (
        "feed-drop-rest-of-group",
        "the feed hands out every commit of a group",
    ),
    (
        "feed-hide-recycled",
        "what is no longer kept is told, never left out silently",
    ),
    (
        "feed-skip-evicted",
        "who is behind what is kept in memory has the rest from the log",
    ),
    (
        "feed-forget-place",
        "who reads the log again goes on behind what he had from memory",
    ),
    (
        "feed-forget-joined",
        "a store that two transactions made at once is one store in the feed",
    ),
    (
        "feed-leave-stamps",
        "an entry in the feed carries the number of its commit where it has it in the store",
    ),
    (
        "text-claim-no-name",
        "two transactions that replace one document conflict",
    ),
    (
        "text-claim-nothing",
        "a serializable writer that searched conflicts with whoever changed what is there to find",
    ),
    (
        "text-keep-undone",
        "what was rolled back is not found by the transaction",
    ),
    ("text-leave-long", "a document that is gone leaves no row"),
    (
        "text-late-writer",
        "nobody commits by rules that are no longer in force",
    ),
    (
        "text-rebuild-keeps-dead",
        "an index that takes over has no document that went meanwhile",
    ),
    (
        "text-rebuild-too-early",
        "an index takes over when it has every document",
    ),
    (
        "skip-point-validation",
        "a commit fails when a key it read was written meanwhile",
    ),
    (
        "skip-absent-validation",
        "a commit fails when a key it found absent was written meanwhile",
    ),
    (
        "skip-count-validation",
        "a commit fails when a number of entries it read changed meanwhile",
    ),
    (
        "skip-write-validation",
        "under snapshot isolation the first to write a key wins",
    ),
    (
        "accept-bad-page",
        "a page is only used when its checksum matches",
    ),
    (
        "accept-stale-page",
        "a page is only used when it is the version its parent names",
    ),
    (
        "accept-bad-value",
        "a large value is only used when its hash matches",
    ),
    (
        "keep-aborted-extents",
        "large values of transactions that did not commit give their pages back",
    ),
    (
        "log-accept-bad-crc",
        "a payload that does not match its checksum is refused",
    ),
    ("log-skip-sync", "an acknowledged group survives a crash"),
    (
        "log-skip-previous-sync",
        "a group behind a switch of segments is acknowledged after the segment before is durable",
    ),
    (
        "log-skip-header-sync",
        "a segment's header is durable before the segment gets its name",
    ),
    (
        "log-skip-folder-sync",
        "a segment's name is durable before the log leads into it",
    ),
    (
        "log-keep-salt",
        "bytes of a segment's earlier life are never a frame",
    ),
    (
        "log-skip-cut",
        "groups behind a torn one can never be read again",
    ),
    (
        "log-clear-what-shows",
        "what is behind the end of the log is cleared even if the system shows zeros",
    ),
    (
        "log-skip-rewrite",
        "recovered groups are durable again before the log goes on, also after a failed sync",
    ),
    (
        "log-ignore-later-frames",
        "damage in the middle of the log is refused, not taken for its end",
    ),
    (
        "log-ignore-later-segments",
        "damage in an earlier segment is refused, not taken for the end of the log",
    ),
    (
        "log-trust-all-later-frames",
        "a torn tail of several unsynced groups is not taken for damage",
    ),
    (
        "log-retry-after-error",
        "after an error the log takes nothing more",
    ),
    (
        "commit-skip-sync",
        "an acknowledged commit survives a crash",
    ),
    (
        "skip-range-validation",
        "a commit fails when a range it read was written meanwhile",
    ),
    (
        "bulk-skip-sync",
        "the pages of a loaded tree are durable before the log names them",
    ),
    (
        "bulk-skip-hold",
        "the pages of a loaded tree are not reused before a checkpoint holds what came of it",
    ),
    (
        "bulk-skip-checkpoint-after-replay",
        "after a replay that met a load, a checkpoint holds its tree before any page of it is reused",
    ),
    (
        "follow-go-on-after-half",
        "a follower that took a group in by half begins again",
    ),
    (
        "follow-look-at-roots-only",
        "opening is tried again when another group stands where one was",
    ),
    (
        "threads-show-before-sync",
        "readers see a commit only when it is durable",
    ),
    (
        "threads-install-unlocked",
        "the pages of a sealed group are in the table before the next transaction is applied",
    ),
    (
        "threads-forget-who-waits",
        "whoever waits for a commit is told when an error elsewhere ends all writing",
    ),
    (
        "threads-look-then-take",
        "a commit is either withdrawn or sequenced",
    ),
    (
        "threads-checkpoint-of-two-moments",
        "a checkpoint's snapshot and its place in the log belong together",
    ),
    (
        "threads-keep-late",
        "who follows commits closely finds in memory what he sees",
    ),
    (
        "threads-keep-for-nobody",
        "nothing is kept in memory when the last reader of changes has gone",
    ),
    (
        "threads-detach-forgets-pins",
        "before a fork, the place of a value that is being read is kept",
    ),
    (
        "checkpoint-skip-page-sync",
        "a root is written only after everything it reaches is durable",
    ),
];

/// Whether the deliberate bug `name` is on.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) fn mutant(_name: &'static str) -> bool {
    false
}

#[cfg(feature = "mutants")]
pub(crate) use switched::mutant;
#[cfg(feature = "mutants")]
pub use switched::set_mutant;

#[cfg(feature = "mutants")]
mod switched {
    use super::MUTANTS;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const UNREAD: usize = usize::MAX;
    const NONE: usize = usize::MAX - 1;

    /// Index into `MUTANTS` of the one that is on.
    static ACTIVE: AtomicUsize = AtomicUsize::new(UNREAD);

    fn index(name: &str) -> usize {
        MUTANTS
            .iter()
            .position(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("there is no mutant '{name}'; add it to MUTANTS"))
    }

    /// Switches the deliberate bug `name` on, or all off, for the whole process.
    pub fn set_mutant(name: Option<&str>) {
        ACTIVE.store(name.map_or(NONE, index), Ordering::Relaxed);
    }

    pub(crate) fn mutant(name: &'static str) -> bool {
        let mut active = ACTIVE.load(Ordering::Relaxed);
        if active == UNREAD {
            active = match std::env::var("SOPASYNC_MUTANT") {
                Ok(wanted) if !wanted.is_empty() => index(&wanted),
                _ => NONE,
            };
            ACTIVE.store(active, Ordering::Relaxed);
        }
        index(name) == active
    }
}
