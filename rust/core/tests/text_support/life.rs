//! Lives of text stores, for the tests and for the deliberate bugs these must notice.

use sopasync_core::disk::SimDisk;
use sopasync_core::text::TextPolicy;
use sopasync_core::{Access, Database, Error, Isolation, Options, Result, ScanRange, Transaction};

use super::index_support::Random;
use super::{Shape, Texts, change, look, look_through, make, text_store};
use crate::support::{begin, open, reader, simulated};

pub fn options(random: &mut Random) -> Options {
    let page_bytes = [512, 2048][random.below(2)];
    Options {
        segment_bytes: 64 << 10,
        ..simulated(page_bytes, 256 << 10)
    }
}

/// Maintenance that has something to do after a few documents.
pub fn eager(db: &Database, id: u64, random: &mut Random) {
    let policy = TextPolicy {
        fold_documents: [1, 10, 40][random.below(3)],
        deltas_max: [2, 4][random.below(2)],
        compact_postings: 1,
        step_bytes: [1, 2000, 1 << 20][random.below(3)],
    };
    text_store(&mut reader(db)).set_policy(policy);
    assert_eq!(text_store(&mut reader(db)).id(), id);
}

/// Commits, maintenance, changed rules, crashes and old snapshots in any order; searches after each.
pub fn random_life(seed: u64) {
    let mut random = Random::new(seed);
    let shape = Shape::any(&mut random);
    let options = options(&mut random);
    let disk = SimDisk::new(seed);
    let mut db = open(&disk, &options).unwrap();
    let id = make(&db, &shape);
    eager(&db, id, &mut random);
    let mut texts = Texts::default();
    let mut old: Vec<(Transaction, Texts)> = Vec::new();
    for turn in 0..40 {
        let place = format!("seed {seed}, turn {turn}");
        open_to_writers(&db).unwrap();
        let mut tx = begin(
            &db,
            [Isolation::Serializable, Isolation::Snapshot][random.below(2)],
        );
        let mut own = texts.clone();
        let operations = [1, 4, 30][random.below(3)];
        change(&mut tx, &mut own, &mut random, &shape, operations).unwrap();
        if random.below(2) == 0 {
            look(&mut tx, &own, &mut random, &shape, &format!("{place}, own")).unwrap();
            change(&mut tx, &mut own, &mut random, &shape, 3).unwrap();
        }
        if random.below(3) == 0 {
            tx.prepare().unwrap();
            look(
                &mut tx,
                &own,
                &mut random,
                &shape,
                &format!("{place}, prepared"),
            )
            .unwrap();
        }
        if random.below(6) > 0 {
            let info = tx.commit().unwrap();
            texts = own.committed(info.seq);
        }
        for _ in 0..random.below(5) {
            db.maintain_step().unwrap();
        }
        look(&mut reader(&db), &texts, &mut random, &shape, &place).unwrap();
        match random.below(12) {
            0 => db.checkpoint().unwrap(),
            7 | 8 if shape.stored => switch(&db, &shape, &mut random).unwrap(),
            1 => {
                old.clear();
                db.close().unwrap();
                db = open(&disk, &options).unwrap();
                eager(&db, id, &mut random);
            }
            2..=4 if old.len() < 3 => old.push((reader(&db), texts.clone())),
            5 | 6 if !old.is_empty() => {
                let (mut tx, then) = old.swap_remove(random.below(old.len()));
                look(
                    &mut tx,
                    &then,
                    &mut random,
                    &shape,
                    &format!("{place}, an old snapshot"),
                )
                .unwrap();
            }
            _ => {}
        }
    }
    look_through(&db, &texts, &mut random, &shape, "at the end");
    leaves_nothing(&db, id, &texts);
}

/// Lets a new index take over, where one is about to.
pub fn open_to_writers(db: &Database) -> Result<()> {
    loop {
        let mut tx = reader(db);
        if !text_store(&mut tx).options(&mut tx, true)?.closing {
            return Ok(());
        }
        db.maintain_step()?;
    }
}

/// Changes the rules: for others that make the same terms of these texts, so that the model holds by both.
pub fn switch(db: &Database, shape: &Shape, random: &mut Random) -> Result<()> {
    let other = Shape {
        variant: random.below(3) as u8,
        ..*shape
    };
    let mut tx = begin(db, Isolation::Serializable);
    text_store(&mut tx).change(&mut tx, &other.options(), true)?;
    tx.commit().map(drop)
}

/// What is settled has rows of one generation, and none that belong to no document.
pub fn leaves_nothing(db: &Database, id: u64, texts: &Texts) {
    let (mut tx, mut families) = (reader(db), [0usize; 256]);
    let everything = ScanRange::default();
    let access = Access {
        may_wait: true,
        track: false,
    };
    tx.scan(id, &everything, access, &mut |key, _, _| {
        families[usize::from(key[0])] += 1
    })
    .unwrap();
    assert_eq!(families[0x10], texts.documents.len(), "names");
    assert!(
        families[0x20] <= families[0x10],
        "{} long rows",
        families[0x20]
    );
    assert_eq!(families[0x12], 0, "a rebuild goes on");
    let old: usize = families[0x30..0x50].iter().sum();
    let new: usize = families[0xb0..0xd0].iter().sum();
    assert!(
        old == 0 || new == 0,
        "{old} and {new} rows of two generations"
    );
}

/// Short checks of promises that random lives cannot break.
pub fn promises() {
    for isolation in [
        Isolation::Serializable,
        Isolation::Snapshot,
        Isolation::NoCheck,
    ] {
        writers_of_one_document_conflict(isolation);
    }
    searches_are_claimed();
    late_writers_conflict();
    what_is_undone_is_not_found();
    long_documents_leave_nothing();
}

fn small() -> (Database, u64) {
    let db = open(&SimDisk::new(1), &simulated(2048, 1 << 20)).unwrap();
    let shape = Shape {
        fields: 1,
        stored: true,
        words: 10,
        keys: 10,
        variant: 0,
    };
    let id = make(&db, &shape);
    (db, id)
}

fn put(tx: &mut Transaction, key: &[u8], text: &str) {
    text_store(tx).add(tx, key, &[text], b"", true).unwrap();
}

fn conflicts(tx: Transaction) -> bool {
    matches!(tx.commit(), Err(Error::Conflict { .. }))
}

fn writers_of_one_document_conflict(isolation: Isolation) {
    let (db, _) = small();
    let (mut first, mut second) = (begin(&db, isolation), begin(&db, isolation));
    put(&mut first, b"a", "one");
    put(&mut second, b"a", "two");
    assert!(!conflicts(first) && conflicts(second), "{isolation:?}");
}

fn searches_are_claimed() {
    let (db, _) = small();
    let mut tx = begin(&db, Isolation::Serializable);
    let store = text_store(&mut tx);
    assert_eq!(store.count(&mut tx, super::LOOK).unwrap(), 0);
    tx.create_store("result", 1, b"").unwrap();
    let mut other = begin(&db, Isolation::Serializable);
    put(&mut other, b"a", "one");
    assert!(!conflicts(other) && conflicts(tx));
}

fn late_writers_conflict() {
    let (db, id) = small();
    let mut late = begin(&db, Isolation::Snapshot);
    put(&mut late, b"late", "one");
    let shape = Shape {
        fields: 1,
        stored: true,
        words: 10,
        keys: 10,
        variant: 1,
    };
    let mut tx = begin(&db, Isolation::Serializable);
    text_store(&mut tx)
        .change(&mut tx, &shape.options(), true)
        .unwrap();
    tx.commit().unwrap();
    db.settle(id).unwrap();
    assert!(
        conflicts(late),
        "its documents are indexed by rules that are gone"
    );
}

fn what_is_undone_is_not_found() {
    let (db, _) = small();
    let mut tx = begin(&db, Isolation::Serializable);
    let count = |tx: &mut Transaction| text_store(tx).count(tx, super::LOOK).unwrap();
    put(&mut tx, b"a", "one");
    let savepoint = tx.savepoint();
    put(&mut tx, b"b", "one");
    assert_eq!(count(&mut tx), 2);
    tx.rollback_to(savepoint).unwrap();
    assert_eq!(count(&mut tx), 1);
}

fn long_documents_leave_nothing() {
    let (db, id) = small();
    let long = "word ".repeat(600);
    for _ in 0..2 {
        let mut tx = begin(&db, Isolation::Serializable);
        put(&mut tx, b"a", &long);
        put(&mut tx, b"a", &long);
        tx.commit().unwrap();
    }
    let mut tx = begin(&db, Isolation::Serializable);
    assert!(text_store(&mut tx).delete(&mut tx, b"a", true).unwrap());
    tx.commit().unwrap();
    leaves_nothing(&db, id, &Texts::default());
}
