//! Given that the Nth call to the disk fails, for every N, once or from then on, in each of four ways: every
//! operation succeeds or returns an error, no answer is wrong, and nothing acknowledged is lost, neither by
//! opening again nor by a crash after that.

mod support;

use sopasync_core::disk::{CrashOptions, Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::{Database, Error, Isolation, Options};
use support::check::{assert_holds, read_all};
use support::session::{Session, Shape};
use support::state::State;
use support::{open, reader, scale, simulated};

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

/// The number of calls it made.
fn life(seed: u64, fault: Option<Fault>) -> u64 {
    let disk = SimDisk::new(seed);
    fault.into_iter().for_each(|fault| disk.add_fault(fault));
    let mut random = SplitMix64::new(seed);
    let mut fates = Fates {
        versions: vec![State::default()],
        unknown: None,
    };
    let mut db = open_again(&disk, &mut fates);
    for _ in 0..24 {
        let Some(open) = &db else { break };
        match random.below(10) {
            0 | 1 => {
                if let Err(error) = open.checkpoint() {
                    accept(&error, "checkpoint");
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
    // The machine stays up, or it crashes now, in several ways.
    let now = disk.trace_len();
    let crashes = disk.crash_images(CrashOptions {
        seed,
        from: now,
        images_per_point: 4,
        combinations_max: 4,
        ..CrashOptions::default()
    });
    let disks = std::iter::once(disk.next_process()).chain(crashes.map(|image| image.disk));
    for disk in disks {
        let mut fates = Fates {
            versions: fates.versions.clone(),
            unknown: fates.unknown.clone(),
        };
        let db = open(&disk, &options()).expect("the disk works again");
        fates.settle(&db);
        assert_holds(&db, fates.newest(), "after the faults");
    }
    calls
}

#[test]
fn the_life_itself_does_not_fail() {
    for seed in 0..20 * scale() as u64 {
        life(seed, None);
    }
}

#[test]
fn any_call_may_fail() {
    let mut points = 0;
    let wanted = std::env::var("SOPASYNC_TEST_FAULT").ok();
    for seed in 0..3 * scale() as u64 {
        let calls = life(seed, None);
        for kind in FaultKind::ALL {
            for forever in [false, true] {
                for call in 1..=calls {
                    let fault = Fault {
                        call,
                        kind,
                        forever,
                    };
                    let name = format!("{seed} {kind:?} {forever} {call}");
                    if wanted.as_ref().is_some_and(|wanted| *wanted != name) {
                        continue;
                    }
                    points += 1;
                    if let Err(reason) = std::panic::catch_unwind(|| life(seed, Some(fault))) {
                        eprintln!("failed with SOPASYNC_TEST_FAULT=\"{name}\"");
                        std::panic::resume_unwind(reason);
                    }
                }
            }
        }
    }
    eprintln!("{points} points of failure");
}
