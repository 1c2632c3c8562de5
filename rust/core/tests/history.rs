//! Given concurrent clients, on threads: their histories of lists, registers and ranges have no anomaly. And the
//! checker finds one where there must be one: under snapshot isolation, which permits write skew.

mod support;

use sopasync_core::Isolation;
use support::clients::{Load, run};
use support::elle::{Checked, check};
use support::{for_seeds, scale};

fn load(seed: u64) -> Load {
    Load {
        seed,
        isolation: Isolation::Serializable,
        clients: 2 + seed as usize % 7,
        each: 200,
        keys: [6, 40, 12][seed as usize % 3],
        submit: seed % 2 == 1,
    }
}

#[test]
fn serializable_histories_have_no_cycle() {
    let total = std::sync::Mutex::new(Checked::default());
    for_seeds(40, |seed| {
        let (history, outcome) = run(load(seed));
        let checked = check(&history, &outcome).unwrap_or_else(|anomaly| panic!("{anomaly}"));
        let mut total = total.lock().unwrap();
        total.committed += checked.committed;
        total.refused += checked.refused;
        total.edges += checked.edges;
    });
    let total = *total.lock().unwrap();
    eprintln!("{total:?}");
    if std::env::var("SOPASYNC_TEST_SEED").is_err() {
        assert!(total.refused > 100, "the clients never met: {total:?}");
    }
}

#[test]
fn the_checker_finds_the_write_skew_that_snapshot_isolation_permits() {
    let found = (0..20 * scale() as u64).any(|seed| {
        let (history, outcome) = run(Load {
            isolation: Isolation::Snapshot,
            ..load(seed)
        });
        check(&history, &outcome).is_err_and(|anomaly| anomaly.contains("cycle"))
    });
    assert!(found, "no cycle in any history");
}
