//! Given transactions that add, replace and delete documents, and maintenance between any two of them: every search finds what BM25 over
//! the documents of its snapshot finds; so it is at old snapshots, inside a transaction, after a crash at any write of
//! the disk, and when any call to the disk fails.

mod support;
mod text_support;

use sopasync_core::disk::{CrashOptions, Fault, FaultKind, SimDisk};
use sopasync_core::text::{TextPolicy, TextSearch};
use sopasync_core::{Database, Error, Isolation, Options, Transaction};
use sopasync_text::{FieldTerm, Query};
use support::{begin, for_seeds, open, reader, simulated};
use text_support::index_support::Random;
use text_support::life::{eager, open_to_writers, options, promises, random_life, switch};
use text_support::{LOOK, Shape, Texts, add, any_document, change, look_through, make, text_store};

#[test]
fn searches_equal_brute_force_in_random_lives() {
    for_seeds(16, random_life);
}

/// A life of commits and maintenance; the state after each commit.
fn live(
    db: &Database,
    random: &mut Random,
    shape: &Shape,
    turns: usize,
    versions: &mut Vec<(u64, Texts)>,
) -> Result<(), Error> {
    for _ in 0..turns {
        if shape.stored && random.below(8) == 0 {
            let before = db.last_seq();
            let switched = switch(db, shape, random);
            let texts = versions.last().unwrap().1.clone();
            versions.push((before + 1, texts));
            switched?;
        }
        open_to_writers(db)?;
        let mut tx = begin(db, Isolation::Serializable);
        let mut texts = versions.last().unwrap().1.clone();
        let operations = 1 + random.below(10);
        change(&mut tx, &mut texts, random, shape, operations)?;
        let before = db.last_seq();
        let result = tx.commit();
        match result {
            Ok(info) => versions.push((info.seq, texts.committed(info.seq))),
            Err(error) => {
                // It may be there after all.
                versions.push((before + 1, texts.committed(before + 1)));
                return Err(error);
            }
        }
        for _ in 0..random.below(4) {
            db.maintain_step()?;
        }
        if random.below(6) == 0 {
            db.checkpoint()?;
        }
    }
    Ok(())
}

fn version(versions: &[(u64, Texts)], seq: u64) -> &Texts {
    &versions
        .iter()
        .rev()
        .find(|version| version.0 <= seq)
        .expect("the empty store at least")
        .1
}

#[test]
fn every_crash_leaves_an_index_that_fits_its_documents() {
    for_seeds(3, |seed| {
        let mut random = Random::new(seed + 100);
        let shape = Shape::any(&mut random);
        let options = options(&mut random);
        let disk = SimDisk::new(seed);
        let db = open(&disk, &options).unwrap();
        let id = make(&db, &shape);
        eager(&db, id, &mut random);
        let mut versions = vec![(0, Texts::default())];
        let from = disk.trace_len();
        live(&db, &mut random, &shape, 30, &mut versions).unwrap();
        disk.kill();
        drop(db);
        let mut images = 0;
        for image in disk.crash_images(CrashOptions {
            seed,
            from,
            stride: 1,
            images_per_point: 2,
            combinations_max: 2,
            ..CrashOptions::default()
        }) {
            images += 1;
            let place = format!("seed {seed}, {image}");
            let db = open(&image.disk, &options).unwrap_or_else(|error| panic!("{place}: {error}"));
            let mut chance = Random::new(images);
            eager(&db, id, &mut chance);
            look_through(
                &db,
                version(&versions, db.last_seq()),
                &mut chance,
                &shape,
                &place,
            );
        }
        assert!(images > 20, "{images} crashes");
    });
}

#[test]
fn a_failing_disk_gives_errors_and_no_wrong_answer() {
    for seed in 0..2u64 {
        let run = |fault: Option<Fault>| -> u64 {
            let mut random = Random::new(seed + 200);
            let shape = Shape::any(&mut random);
            let options = options(&mut random);
            let disk = SimDisk::new(seed);
            let db = open(&disk, &options).unwrap();
            let id = make(&db, &shape);
            eager(&db, id, &mut random);
            let begun = disk.call_count();
            if let Some(fault) = fault {
                disk.add_fault(Fault {
                    call: begun + fault.call,
                    ..fault
                });
            }
            let mut versions = vec![(0, Texts::default())];
            if let Err(error) = live(&db, &mut random, &shape, 8, &mut versions) {
                assert!(
                    !matches!(error, Error::Corruption { .. } | Error::Conflict { .. }),
                    "{fault:?}: {error}"
                );
            }
            let calls = disk.call_count() - begun;
            drop(db);
            let db = open(&disk.next_process(), &options)
                .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            eager(&db, id, &mut random);
            look_through(
                &db,
                version(&versions, db.last_seq()),
                &mut random,
                &shape,
                &format!("{fault:?}"),
            );
            calls
        };
        let calls = run(None);
        for kind in FaultKind::ALL {
            for call in (1..=calls).step_by(7) {
                run(Some(Fault {
                    call,
                    kind,
                    forever: false,
                }));
            }
        }
    }
}

#[test]
fn sixteen_indexers_never_conflict_and_nothing_is_lost() {
    let shape = Shape {
        fields: 1,
        stored: true,
        words: 50,
        keys: 1,
        variant: 0,
    };
    let disk = SimDisk::new(1);
    let db = open(
        &disk,
        &Options {
            background: true,
            ..simulated(2048, 4 << 20)
        },
    )
    .unwrap();
    let id = make(&db, &shape);
    eager(&db, id, &mut Random::new(1));
    let all = std::sync::Mutex::new(Texts::default());
    std::thread::scope(|scope| {
        for thread in 0..16u64 {
            let (db, all) = (&db, &all);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                for number in 0..12 {
                    let mut tx = begin(db, Isolation::Serializable);
                    let (mut own, mut ordinal) = (Texts::default(), 0);
                    let document = any_document(&mut random, &shape);
                    add(
                        &mut tx,
                        &mut own,
                        format!("{thread} {number}").as_bytes(),
                        &document,
                        &mut ordinal,
                    )
                    .unwrap();
                    if number > 0 {
                        let gone = format!("{thread} {}", number - 1);
                        if number % 3 == 0 {
                            assert!(
                                text_store(&mut tx)
                                    .delete(&mut tx, gone.as_bytes(), true)
                                    .unwrap()
                            );
                        }
                    }
                    let info = tx.commit().expect("no two of them touch one key");
                    let mut all = all.lock().unwrap();
                    all.documents.append(&mut own.committed(info.seq).documents);
                    if number > 0 && number % 3 == 0 {
                        all.documents
                            .remove(format!("{thread} {}", number - 1).as_bytes());
                    }
                }
            });
        }
    });
    look_through(
        &db,
        &all.into_inner().unwrap(),
        &mut Random::new(5),
        &shape,
        "after all threads",
    );
    assert_eq!(db.statistics().maintenance_errors, 0);
}

fn word(term: &str) -> Query {
    let terms = vec![FieldTerm {
        field: 0,
        term: term.into(),
    }];
    Query::Term { terms, boost: 1.0 }
}

fn found(tx: &mut Transaction, term: &str) -> Vec<Vec<u8>> {
    let query = word(term);
    let search = TextSearch {
        query: &query,
        limit: 10,
        offset: 0,
        filter: None,
        among: None,
        texts: false,
    };
    let hits = text_store(tx).search(tx, &search, LOOK).unwrap();
    hits.into_iter().map(|hit| hit.key).collect()
}

const SIMPLE: Shape = Shape {
    fields: 1,
    stored: true,
    words: 10,
    keys: 10,
    variant: 0,
};

fn put(db: &Database, key: &str, text: &str) {
    let mut tx = begin(db, Isolation::Serializable);
    text_store(&mut tx)
        .add(&mut tx, key.as_bytes(), &[text], b"", true)
        .unwrap();
    tx.commit().unwrap();
}

#[test]
fn writers_conflict_where_they_must_and_long_documents_leave_nothing() {
    promises();
}

#[test]
fn a_search_conflicts_with_later_documents_and_not_with_maintenance() {
    let db = open(&SimDisk::new(1), &simulated(2048, 1 << 20)).unwrap();
    let id = make(&db, &SIMPLE);
    eager(&db, id, &mut Random::new(3));
    put(&db, "a", "one two");
    for (change, conflict) in [(false, false), (true, true)] {
        put(&db, "b", "two three");
        let mut tx = begin(&db, Isolation::Serializable);
        assert_eq!(found(&mut tx, "one"), [b"a"]);
        tx.create_store(&format!("result {change}"), 1, b"")
            .unwrap();
        if change {
            put(&db, "c", "four");
        }
        db.settle(id).unwrap();
        assert_eq!(matches!(tx.commit(), Err(Error::Conflict { .. })), conflict);
    }
    // Two transactions that replace one document.
    for isolation in [
        Isolation::Serializable,
        Isolation::Snapshot,
        Isolation::NoCheck,
    ] {
        let (mut first, mut second) = (begin(&db, isolation), begin(&db, isolation));
        for tx in [&mut first, &mut second] {
            text_store(tx).add(tx, b"a", &["again"], b"", true).unwrap();
        }
        first.commit().unwrap();
        assert!(
            matches!(second.commit(), Err(Error::Conflict { .. })),
            "{isolation:?}"
        );
    }
}

#[test]
fn adding_a_document_again_leaves_nothing_of_the_old_one() {
    let db = open(&SimDisk::new(1), &simulated(2048, 1 << 20)).unwrap();
    let id = make(&db, &SIMPLE);
    let mut policy = TextPolicy {
        fold_documents: 1,
        compact_postings: 1,
        ..TextPolicy::default()
    };
    policy.deltas_max = 2;
    text_store(&mut reader(&db)).set_policy(policy);
    for turn in 0..6 {
        put(&db, "a", &format!("word{turn} common"));
        if turn % 2 == 1 {
            db.settle(id).unwrap();
        }
        let mut tx = reader(&db);
        for other in 0..6 {
            assert_eq!(
                found(&mut tx, &format!("word{other}")).len(),
                usize::from(other == turn)
            );
        }
        assert_eq!(found(&mut tx, "common"), [b"a"]);
        assert_eq!(text_store(&mut tx).count(&mut tx, LOOK).unwrap(), 1);
    }
    // In one transaction.
    let mut tx = begin(&db, Isolation::Serializable);
    for text in ["x1", "x2", "x3"] {
        assert!(
            text_store(&mut tx)
                .add(&mut tx, b"a", &[text], b"", true)
                .unwrap()
        );
        assert_eq!(found(&mut tx, text), [b"a"]);
    }
    assert!(found(&mut tx, "x1").is_empty() && found(&mut tx, "common").is_empty());
    tx.commit().unwrap();
    db.settle(id).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    assert_eq!(found(&mut tx, "x3"), [b"a"]);
    assert!(text_store(&mut tx).delete(&mut tx, b"a", true).unwrap());
    assert!(!text_store(&mut tx).delete(&mut tx, b"a", true).unwrap());
    tx.commit().unwrap();
    db.settle(id).unwrap();
    assert!(found(&mut reader(&db), "x3").is_empty());
}

#[test]
fn an_index_made_by_other_rules_is_made_anew() {
    let db = open(&SimDisk::new(1), &simulated(2048, 1 << 20)).unwrap();
    let id = make(&db, &SIMPLE);
    put(&db, "a", "one two");
    put(&db, "b", "two three");
    // What an older version of the analysis might have written: other terms, another fingerprint.
    let mut tx = begin(&db, Isolation::Serializable);
    let mut keys = Vec::new();
    let (low, high) = ([0x30], [0x31]);
    let range = sopasync_core::ScanRange {
        low: std::ops::Bound::Included(&low),
        high: std::ops::Bound::Excluded(&high),
        ..Default::default()
    };
    tx.scan(id, &range, LOOK, &mut |key, _, _| keys.push(key.to_vec()))
        .unwrap();
    assert_eq!(keys.len(), 2);
    let mut pending = sopasync_text::index::Pending::new(1, 99);
    pending.add(0, b"a\0"); // its name, and that it has no payload
    pending.term(0, "older", 0);
    tx.put(id, &keys[0], b"", &pending.delta(), true).unwrap();
    tx.commit().unwrap();
    assert_eq!(found(&mut reader(&db), "older"), [b"a"]);
    // Deletions go by the new rules, and do no harm before the index is made anew.
    let mut tx = begin(&db, Isolation::Serializable);
    assert!(text_store(&mut tx).delete(&mut tx, b"a", true).unwrap());
    assert!(found(&mut tx, "older").is_empty() && found(&mut tx, "one").is_empty());
    tx.rollback();
    db.settle(id).unwrap();
    let mut tx = reader(&db);
    assert!(found(&mut tx, "older").is_empty());
    assert_eq!(found(&mut tx, "one"), [b"a"]);
    assert_eq!(found(&mut tx, "two").len(), 2);
}

#[test]
fn other_rules_are_in_force_when_the_index_by_them_is_complete_and_the_old_one_answers_until_then()
{
    let mut disk = SimDisk::new(1);
    let mut db = open(&disk, &simulated(2048, 1 << 20)).unwrap();
    make(&db, &SIMPLE);
    for number in 0..40 {
        put(
            &db,
            &format!("{number:02}"),
            &format!("Word{number} Shared"),
        );
    }
    let mut change = begin(&db, Isolation::Serializable);
    let folded = Shape {
        variant: 1,
        ..SIMPLE
    };
    text_store(&mut change)
        .change(&mut change, &folded.options(), true)
        .unwrap();
    change.commit().unwrap();
    let small = TextPolicy {
        step_bytes: 1,
        ..TextPolicy::default()
    };
    let mut steps = 0;
    loop {
        text_store(&mut reader(&db)).set_policy(small);
        let mut tx = reader(&db);
        let options = text_store(&mut tx).options(&mut tx, true).unwrap();
        let new = options.in_force == folded.options();
        assert_eq!(
            options.wanted.is_none(),
            new,
            "in force when it is complete"
        );
        assert_eq!(
            found(&mut tx, "word7").len(),
            usize::from(new),
            "step {steps}"
        );
        assert_eq!(
            found(&mut tx, "Word7").len(),
            usize::from(!new),
            "step {steps}"
        );
        drop(tx);
        if new {
            break;
        }
        // Each step in a process of its own.
        assert!(db.maintain_step().unwrap());
        steps += 1;
        assert!(steps < 200, "it has no end");
        disk.kill();
        drop(db);
        disk = disk.next_process();
        db = open(&disk, &simulated(2048, 1 << 20)).unwrap();
    }
    assert!(steps > 40, "{steps} steps");
}

#[test]
fn what_only_weighs_is_in_force_at_once_and_what_cannot_be_changed_is_refused() {
    let db = open(&SimDisk::new(1), &simulated(2048, 1 << 20)).unwrap();
    make(&db, &SIMPLE);
    let mut tx = begin(&db, Isolation::Serializable);
    let store = text_store(&mut tx);
    let weighed = Shape {
        variant: 3,
        ..SIMPLE
    };
    store.change(&mut tx, &weighed.options(), true).unwrap();
    let now = store.options(&mut tx, true).unwrap();
    assert_eq!((now.in_force, now.wanted), (weighed.options(), None));
    for other in [
        Shape {
            fields: 2,
            ..SIMPLE
        },
        Shape {
            stored: false,
            ..SIMPLE
        },
    ] {
        assert!(store.change(&mut tx, &other.options(), true).is_err());
    }
}
