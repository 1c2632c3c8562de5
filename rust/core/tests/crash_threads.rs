//! Given a crash while several threads commit and checkpoints run beside them: what comes back is what the commits up
//! to some number made, all of them and nothing else, and every acknowledged one is among them.

mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use sopasync_core::disk::{CrashOptions, SimDisk, SplitMix64};
use sopasync_core::{Durability, Isolation, Options, ScanRange};
use support::check::assert_sound;
use support::clients::submit;
use support::{WAIT, begin, for_seeds, open, reader, simulated};

/// Commits by number: the key each one put, and the point of the trace at which it was acknowledged.
type Commits = BTreeMap<u64, (Vec<u8>, usize)>;

fn live(disk: &SimDisk, options: &Options, seed: u64) -> Commits {
    let db = open(disk, options).expect("a new database");
    let mut tx = begin(&db, Isolation::Serializable);
    let id = tx.create_store("items", 0, b"").expect("a store").id;
    tx.put(id, b"first", b"", b"v", true).expect("a put");
    let first = tx.commit().expect("a commit").seq;
    let commits = Mutex::new(Commits::from([(
        first,
        (b"first".to_vec(), disk.trace_len()),
    )]));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, commits) = (&db, &commits);
            scope.spawn(move || {
                let mut random = SplitMix64::new(seed << 8 | thread);
                for number in 0..40 {
                    let key =
                        format!("{number}-{thread}-{}", "x".repeat(random.below(60))).into_bytes();
                    let mut tx = begin(db, Isolation::Serializable);
                    let size = [20, 20, 300, 3000, 70_000][random.below(5)];
                    tx.put(id, &key, b"", &vec![thread as u8; size], true)
                        .expect("a put");
                    // Overwritten by every commit, so that pages and large values die all the time.
                    let clock = format!("clock-{}", random.below(3)).into_bytes();
                    tx.put(
                        id,
                        &clock,
                        b"",
                        &vec![number as u8; [9, 2000, 66_000][random.below(3)]],
                        true,
                    )
                    .expect("a put");
                    let result = if random.chance(1, 2) {
                        submit(tx)
                    } else {
                        tx.commit()
                    };
                    let info = result.expect("blind writes commit");
                    let before = commits
                        .lock()
                        .unwrap()
                        .insert(info.seq, (key, disk.trace_len()));
                    assert!(before.is_none(), "two commits have number {}", info.seq);
                    if thread == 0 && number % 10 == 5 {
                        db.checkpoint().expect("a checkpoint");
                    }
                }
            });
        }
    });
    disk.kill();
    commits.into_inner().unwrap()
}

#[test]
fn a_crash_under_threads_leaves_a_prefix_with_all_that_was_acknowledged() {
    let total = Mutex::new(0);
    for_seeds(12, |seed| {
        let options = Options {
            background: true,
            checkpoint_log_bytes: 64 << 10,
            durability: if seed % 4 == 3 {
                Durability::Relaxed
            } else {
                Durability::Full
            },
            ..simulated(512, 256 << 10)
        };
        let disk = SimDisk::new(seed);
        let commits = live(&disk, &options, seed);
        let alone = Options {
            background: false,
            ..options.clone()
        };
        let images = CrashOptions {
            seed,
            stride: 5,
            images_per_point: 3,
            combinations_max: 3,
            ..CrashOptions::default()
        };
        for image in disk.crash_images(images) {
            let db = open(&image.disk, &alone).unwrap_or_else(|error| panic!("{image}: {error}"));
            let seq = db.last_seq();
            let floor = commits
                .iter()
                .filter(|(_, (_, point))| *point <= image.point)
                .map(|(seq, _)| *seq)
                .max();
            if options.durability == Durability::Full {
                assert!(
                    Some(seq) >= floor,
                    "{image}: {floor:?} was acknowledged, {seq} came back"
                );
            }
            let mut expected: Vec<&[u8]> = commits
                .range(..=seq)
                .map(|(_, (key, _))| key.as_slice())
                .collect();
            expected.sort_unstable();
            assert_eq!(
                expected.len() as u64,
                seq,
                "{image}: commit {seq} was never made"
            );
            let mut tx = reader(&db);
            let mut found = Vec::new();
            if let Some(store) = tx.find_store("items") {
                tx.scan(store.id, &ScanRange::default(), WAIT, &mut |key, _, _| {
                    if !key.starts_with(b"clock") {
                        found.push(key.to_vec());
                    }
                })
                .unwrap_or_else(|error| panic!("{image}: {error}"));
            }
            assert!(
                found.iter().eq(&expected),
                "{image}: not what the first {seq} commits made"
            );
            assert_sound(&db, &image.to_string());
            *total.lock().unwrap() += 1;
        }
    });
    eprintln!("{} images", total.lock().unwrap());
}
