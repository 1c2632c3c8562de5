//! Comparing a database with the model.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use sopasync_core::{Database, Result, ScanRange, Transaction};

use super::state::{Contents, Item, State};
use super::{WAIT, reader};

/// Everything the transaction sees.
pub fn read_all(tx: &mut Transaction) -> Result<State> {
    let mut state = State::default();
    for info in tx.stores() {
        let mut contents = Contents::new();
        tx.scan(
            info.id,
            &ScanRange::default(),
            WAIT,
            &mut |key, meta, value| {
                let item = Item {
                    meta: meta.into(),
                    value: value.expect("values were asked for").into(),
                };
                let before = contents.insert(key.to_vec(), item);
                assert!(before.is_none(), "a scan shows a key twice");
            },
        )?;
        state
            .stores
            .insert(info.name, (info.kind, Arc::new(contents)));
    }
    Ok(state)
}

/// Panics unless the transaction sees exactly `expected`, forwards, backwards, counted and looked up.
pub fn assert_sees(tx: &mut Transaction, expected: &State, place: &str) {
    let seen = read_all(tx).unwrap_or_else(|error| panic!("{place}: reading everything: {error}"));
    if let Some(difference) = seen.difference(expected) {
        panic!("{place}: the database against the model: {difference}");
    }
    for info in tx.stores() {
        let contents = expected.contents(&info.name);
        let count = tx.count(info.id, WAIT).expect("a count");
        assert_eq!(
            count,
            contents.len() as u64,
            "{place}: count of {}",
            info.name
        );
        let backwards = ScanRange {
            reverse: true,
            keys_only: true,
            low: Bound::Unbounded,
            ..ScanRange::default()
        };
        let mut keys = Vec::new();
        tx.scan(info.id, &backwards, WAIT, &mut |key, _, _| {
            keys.push(key.to_vec())
        })
        .expect("a scan backwards");
        assert!(
            keys.iter().eq(contents.keys().rev()),
            "{place}: scan of {} backwards",
            info.name
        );
        // A few by key, so that this stays cheap.
        for (key, item) in contents.iter().step_by(1 + contents.len() / 5) {
            let entry = tx
                .get(info.id, key, WAIT)
                .expect("a get")
                .expect("the key is there");
            assert!(
                entry.value[..] == item.value[..] && entry.meta[..] == item.meta[..],
                "{place}: a key looked up"
            );
        }
    }
}

/// Panics unless the newest commit of `db` is exactly `expected`.
pub fn assert_holds(db: &Database, expected: &State, place: &str) {
    assert_sees(&mut reader(db), expected, place);
}

/// Panics unless everything stored verifies: checksums, order, fences, reachability, free space, counts.
pub fn assert_sound(db: &Database, place: &str) {
    let report = db.check(&mut |_, _| ControlFlow::Continue(()));
    let report = report.unwrap_or_else(|error| panic!("{place}: the check: {error}"));
    assert!(report.is_sound(), "{place}: the check finds {report:?}");
}

/// Panics when pages are given out to nobody: there are no transactions open and no commits on their way.
pub fn assert_nothing_in_flight(db: &Database, place: &str) {
    let report = db.check(&mut |_, _| ControlFlow::Continue(()));
    let pages = report.expect("the check").in_flight_pages;
    assert_eq!(pages, 0, "{place}: pages that nobody will give back");
}
