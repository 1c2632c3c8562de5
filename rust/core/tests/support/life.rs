//! A life of a database on a simulated disk: random commits, checkpoints, old snapshots held open,
//! reopenings; and what must hold of every crash that could have ended it.

use sopasync_core::disk::{CrashImage, CrashOptions, SimDisk, SplitMix64};
use sopasync_core::{Database, Durability, Error, Isolation, Options, Transaction};

use super::check::{assert_holds, assert_nothing_in_flight, assert_sees, assert_sound};
use super::history::History;
use super::session::{Session, Shape};
use super::{open, reader};

/// How a database is used in one life, and how many crashes are tried.
#[derive(Clone)]
pub struct Plan {
    pub options: Options,
    pub shape: Shape,
    pub steps: usize,
    /// Operations of one transaction, at most.
    pub operations: usize,
    pub images_per_point: usize,
    pub stride: usize,
    /// One crash image in so many is lived on, and crashed again.
    pub again_one_of: usize,
    pub depth: usize,
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub images: usize,
    pub lives: usize,
    pub commits: usize,
    pub checkpoints: usize,
    pub operations: usize,
    pub page_reads: u64,
    pub evictions: u64,
}

impl Tally {
    pub fn add(&mut self, more: Self) {
        self.images += more.images;
        self.lives += more.lives;
        self.commits += more.commits;
        self.checkpoints += more.checkpoints;
        self.operations += more.operations;
        self.page_reads += more.page_reads;
        self.evictions += more.evictions;
    }

    fn count_cache(&mut self, db: &Database) {
        let statistics = db.statistics();
        self.page_reads += statistics.page_reads;
        self.evictions += statistics.evictions;
    }
}

/// Old snapshots held open, so that their pages must stay.
struct Held {
    tx: Transaction,
    seq: usize,
}

/// Lives on `disk` from where `history` stands, then tries the crashes; those that are lived on recurse.
pub fn explore(
    disk: &SimDisk,
    history: &History,
    plan: &Plan,
    random: &mut SplitMix64,
    depth: usize,
    tally: &mut Tally,
) {
    let mut history = history.clone();
    live(disk, &mut history, plan, random, tally);
    tally.lives += 1;
    let options = CrashOptions {
        seed: random.next_u64(),
        stride: plan.stride,
        from: random.below(plan.stride),
        combinations_max: plan.images_per_point,
        images_per_point: plan.images_per_point,
        ..CrashOptions::default()
    };
    for image in disk.crash_images(options) {
        let again = (depth < plan.depth && random.chance(1, plan.again_one_of))
            .then(|| image.disk.duplicate(random.next_u64()));
        let seq = check_image(&image, &history, plan, depth);
        tally.images += 1;
        if let Some(disk) = again {
            let shorter = Plan {
                steps: plan.steps / 3 + 1,
                stride: plan.stride * 2,
                ..plan.clone()
            };
            explore(&disk, &history.cut(seq), &shorter, random, depth + 1, tally);
        }
    }
}

/// Recovers from a crash; the commit it came back to, which must be one that was made, and not
/// before the last one acknowledged.
fn check_image(image: &CrashImage, history: &History, plan: &Plan, depth: usize) -> usize {
    let place = format!("{image}, depth {depth}");
    let create = Options {
        create: true,
        ..plan.options.clone()
    };
    let db =
        open(&image.disk, &create).unwrap_or_else(|error| panic!("{place}: cannot open: {error}"));
    let seq = db.last_seq() as usize;
    let floor = history.floor(image.point);
    assert!(
        seq >= floor,
        "{place}: commit {floor} was acknowledged, {seq} came back"
    );
    assert!(
        seq <= history.last_seq(),
        "{place}: commit {seq} was never made"
    );
    assert_holds(&db, &history.versions[seq], &place);
    assert_sound(&db, &place);
    seq
}

/// Opens the database, uses it at random, and closes or kills it.
pub fn live(
    disk: &SimDisk,
    history: &mut History,
    plan: &Plan,
    random: &mut SplitMix64,
    tally: &mut Tally,
) {
    let base = history.last_seq();
    let full = plan.options.durability == Durability::Full;
    let mut db = open(disk, &plan.options).unwrap_or_else(|error| panic!("cannot open: {error}"));
    assert_eq!(db.last_seq() as usize, base, "the commit it opens at");
    // What a reader has seen after an opening stays, whatever comes.
    history.acknowledge(disk.trace_len(), base);
    let mut held: Vec<Held> = Vec::new();
    for _ in 0..plan.steps {
        match random.below(24) {
            0 => {
                db.checkpoint()
                    .unwrap_or_else(|error| panic!("checkpoint: {error}"));
                tally.checkpoints += 1;
                history.acknowledge(disk.trace_len(), history.last_seq());
            }
            1 if random.chance(1, 3) => {
                held.clear();
                tally.count_cache(&db);
                db.close().unwrap_or_else(|error| panic!("close: {error}"));
                history.acknowledge(disk.trace_len(), history.last_seq());
                drop(db);
                db = open(disk, &plan.options).unwrap_or_else(|error| panic!("reopen: {error}"));
                assert_holds(&db, history.newest(), "after reopening");
            }
            2 if held.len() < 3 => held.push(Held {
                tx: reader(&db),
                seq: history.last_seq(),
            }),
            3 if !held.is_empty() => {
                let mut old = held.swap_remove(random.below(held.len()));
                assert_sees(&mut old.tx, &history.versions[old.seq], "an old snapshot");
            }
            4 => roll_back(&db, history, plan, random),
            5 => lose(&db, history, plan, random),
            6 if random.chance(1, 2) => {
                db.compact()
                    .unwrap_or_else(|error| panic!("compaction: {error}"));
                history.acknowledge(disk.trace_len(), history.last_seq());
            }
            _ => {
                if commit(&db, history, plan, random, tally) {
                    tally.commits += 1;
                    if full {
                        history.acknowledge(disk.trace_len(), history.last_seq());
                    }
                }
            }
        }
    }
    for mut old in held {
        assert_sees(
            &mut old.tx,
            &history.versions[old.seq],
            "an old snapshot at the end",
        );
    }
    assert_holds(&db, history.newest(), "at the end of a life");
    assert_sound(&db, "at the end of a life");
    if full {
        assert_nothing_in_flight(&db, "at the end of a life");
    }
    tally.count_cache(&db);
    if random.chance(1, 2) {
        db.close().unwrap_or_else(|error| panic!("close: {error}"));
        history.acknowledge(disk.trace_len(), history.last_seq());
    } else {
        // Ends like a killed process: nothing is tidied up.
        disk.kill();
    }
}

fn commit(
    db: &Database,
    history: &mut History,
    plan: &Plan,
    random: &mut SplitMix64,
    tally: &mut Tally,
) -> bool {
    let mut session = Session::new(db, Isolation::Serializable, &history.versions, plan.shape);
    for _ in 0..1 + random.below(plan.operations) {
        tally.operations += 1;
        session
            .step(random)
            .unwrap_or_else(|error| panic!("an operation: {error}"));
    }
    let (view, writes) = (session.view.clone(), session.tx.has_writes());
    let info = session
        .commit()
        .unwrap_or_else(|error| panic!("commit: {error}"));
    if info.seq as usize == history.last_seq() + 1 {
        assert!(writes, "nothing was written, but it counts as a commit");
        history.push(view);
        return true;
    }
    assert_eq!(
        info.seq as usize,
        history.last_seq(),
        "the number of a commit"
    );
    assert!(
        view == *history.newest(),
        "a commit that counts for nothing changed something"
    );
    false
}

fn roll_back(db: &Database, history: &History, plan: &Plan, random: &mut SplitMix64) {
    let mut session = Session::new(db, Isolation::Snapshot, &history.versions, plan.shape);
    for _ in 0..1 + random.below(plan.operations) {
        session
            .step(random)
            .unwrap_or_else(|error| panic!("an operation: {error}"));
    }
    session.tx.rollback();
}

/// A transaction that must be refused, because another one committed first.
fn lose(db: &Database, history: &mut History, plan: &Plan, random: &mut SplitMix64) {
    let Some((name, _)) = history.newest().stores.iter().next() else {
        return;
    };
    let name = name.clone();
    let mut late = Session::new(db, Isolation::Snapshot, &history.versions, plan.shape);
    let store = late.tx.find_store(&name).expect("the store is there").id;
    late.tx
        .put(store, b"contended", b"", &vec![1; 70_000], true)
        .expect("a put");
    let mut first = Session::new(db, Isolation::Serializable, &history.versions, plan.shape);
    let value = random.next_u64().to_le_bytes();
    first
        .tx
        .put(store, b"contended", b"", &value, true)
        .expect("a put");
    first.view.put(&name, b"contended", b"", &value);
    let view = first.view.clone();
    first
        .commit()
        .unwrap_or_else(|error| panic!("commit: {error}"));
    history.push(view);
    let result = late.commit();
    assert!(
        matches!(result, Err(Error::Conflict { .. })),
        "the second to write a key: {result:?}"
    );
}
