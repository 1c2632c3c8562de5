//! Deliberate bugs of the index, to show that its tests can fail. As in the engine: a line that keeps an invariant asks whether to break
//! it; without the cargo feature `mutants` the answer is a constant `false`. With it, the environment variable
//! `SOPASYNC_MUTANT` switches one on for a process.

/// Every deliberate bug: its name, and what it breaks.
pub const MUTANTS: &[(&str, &str)] = &[
    ("text-ignore-deletions", "a deleted document is not found"),
    (
        "text-keep-df",
        "the df of a word counts only documents that are there",
    ),
    (
        "text-low-bound",
        "a block's bound is never below a score in it",
    ),
    ("text-reuse-slot", "a slot is never given twice"),
    (
        "text-count-twice",
        "a word that was folded is not counted in its deltas again",
    ),
    (
        "text-forget-dead",
        "a deletion that was folded is not forgotten",
    ),
    (
        "text-lose-positions",
        "positions stay with their posting when others are dropped",
    ),
    (
        "text-lose-words",
        "all words of a document are known when it is taken out of the index",
    ),
    (
        "text-forget-own",
        "a document that was added before the transaction's last search can be taken away",
    ),
    (
        "text-keep-lengths",
        "the average length is that of documents that are there",
    ),
];

/// Whether the deliberate bug `name` is on.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) fn mutant(_name: &'static str) -> bool {
    false
}

/// Whether the deliberate bug `name` is on.
#[cfg(feature = "mutants")]
pub(crate) fn mutant(name: &'static str) -> bool {
    static ACTIVE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let active = ACTIVE.get_or_init(|| std::env::var("SOPASYNC_MUTANT").unwrap_or_default());
    assert!(
        MUTANTS.iter().any(|(known, _)| *known == name),
        "there is no mutant '{name}'"
    );
    active == name
}
