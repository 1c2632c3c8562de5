//! A life on a failing disk.

use sopasync_core::disk::{CrashOptions, Fault, SimDisk, SplitMix64};
use sopasync_core::{Database, Error, Isolation, Options};

use super::check::{assert_holds, read_all};
use super::session::{Session, Shape};
use super::state::State;
use super::{open, reader, simulated};

const SHAPE: Shape = Shape {
    keys: 60,
    stores: 2,
    sizes: [20, 3, 2],
    long_keys: 30,
    reads: 2,
};

/// What is known of the commits.
struct Fates {
    /// The state after each commit that is known to be there.
    versions: Vec<State>,
    /// A commit that may be there as well.
    unknown: Option<State>,
}

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        ..simulated(512, 16 << 10)
    }
}

/// A failing disk is no damaged one: nothing may be called damage.
fn accept(error: &Error, place: &str) {
    assert!(
        !matches!(
            error,
            Error::Corruption { .. } | Error::Conflict { .. } | Error::StoreNotFound { .. }
        ),
        "{place}: {error}"
    );
}

impl Fates {
    fn newest(&self) -> &State {
        self.versions.last().expect("the empty database at least")
    }

    /// After an opening: what was unknown is decided.
    fn settle(&mut self, db: &Database) {
        let (seq, last) = (db.last_seq() as usize, self.versions.len() - 1);
        if let Some(unknown) = self.unknown.take()
            && seq == last + 1
        {
            self.versions.push(unknown);
        }
        assert_eq!(
            seq,
            self.versions.len() - 1,
            "the commit it opens at; {last} were acknowledged"
        );
    }

    fn commit(&mut self, db: &Database, random: &mut SplitMix64) {
        let mut session = Session::new(db, Isolation::Serializable, &self.versions, SHAPE);
        for _ in 0..1 + random.below(10) {
            if let Err(error) = session.step(random) {
                accept(&error, "an operation");
                return;
            }
        }
        let view = session.view.clone();
        match session.commit() {
            Ok(info) if info.seq as usize == self.versions.len() => self.versions.push(view),
            Ok(info) => assert_eq!(info.seq as usize, self.versions.len() - 1),
            Err(Error::OutcomeUnknown { .. }) => {
                assert!(
                    self.unknown.is_none(),
                    "writes go on after an unknown outcome"
                );
                self.unknown = Some(view);
            }
            Err(error) => accept(&error, "commit"),
        }
        // Published is what was acknowledged, no more.
        assert_eq!(
            db.last_seq() as usize,
            self.versions.len() - 1,
            "what readers see"
        );
    }

    fn read(&self, db: &Database) {
        match read_all(&mut reader(db)) {
            Ok(state) => {
                let difference = state.difference(self.newest());
                assert!(difference.is_none(), "a wrong answer: {difference:?}");
            }
            Err(error) => accept(&error, "reading"),
        }
    }
}

fn open_again(disk: &SimDisk, fates: &mut Fates) -> Option<Database> {
    for _ in 0..2 {
        match open(disk, &options()) {
            Ok(db) => {
                fates.settle(&db);
                return Some(db);
            }
            Err(error) => accept(&error, "opening"),
        }
    }
    None
}

/// What a crash at this moment leaves, in several ways.
fn crash(disk: &SimDisk, fates: &Fates, seed: u64) {
    let crashes = disk.crash_images(CrashOptions {
        seed,
        from: disk.trace_len(),
        images_per_point: 3,
        combinations_max: 3,
        ..CrashOptions::default()
    });
    crashes.for_each(|image| look_after(&image.disk, fates));
}

fn look_after(disk: &SimDisk, fates: &Fates) {
    let mut fates = Fates {
        versions: fates.versions.clone(),
        unknown: fates.unknown.clone(),
    };
    let db = open(disk, &options()).expect("the disk works again");
    fates.settle(&db);
    assert_holds(&db, fates.newest(), "after the faults");
}

/// A life in which a call fails, and what is there after it. The number of calls it made.
pub fn life(seed: u64, fault: Option<Fault>) -> u64 {
    let disk = SimDisk::new(seed);
    fault.into_iter().for_each(|fault| disk.add_fault(fault));
    let mut random = SplitMix64::new(seed);
    let mut fates = Fates {
        versions: vec![State::default()],
        unknown: None,
    };
    let mut db = open_again(&disk, &mut fates);
    let mut crashed = false;
    for _ in 0..24 {
        let Some(open) = &db else { break };
        match random.below(10) {
            0 => {
                if let Err(error) = open.checkpoint() {
                    accept(&error, "checkpoint");
                }
            }
            1 => {
                if let Err(error) = open.compact() {
                    accept(&error, "compaction");
                }
            }
            2 => {
                if let Err(error) = open.close() {
                    accept(&error, "close");
                }
                drop(db.take());
                db = open_again(&disk, &mut fates);
            }
            3 => fates.read(open),
            _ => fates.commit(open, &mut random),
        }
        if !crashed && fault.is_some_and(|fault| disk.call_count() >= fault.call) {
            // A crash right after the failure is the worst.
            crash(&disk, &fates, seed);
            crashed = true;
        }
        if fates.unknown.is_some() && random.chance(1, 2) {
            drop(db.take());
            db = open_again(&disk, &mut fates);
        }
    }
    if let Some(open) = &db {
        fates.read(open);
    }
    drop(db);
    let calls = disk.call_count();
    // The machine stays up, or it crashes now.
    look_after(&disk.next_process(), &fates);
    crash(&disk, &fates, seed);
    calls
}
