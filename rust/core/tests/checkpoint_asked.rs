//! Given somebody who asks for a checkpoint and goes on: he is told once, of one that began after he asked, or why there is none.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sopasync_core::disk::SimDisk;
use sopasync_core::{Database, Error, Isolation, Options, Result};
use support::hooked::{Call, HookedDisk};
use support::{begin, open, simulated};

const PATIENCE: Duration = Duration::from_secs(60);

fn threaded() -> Options {
    Options {
        background: true,
        ..simulated(512, 256 << 10)
    }
}

fn write(db: &Database, key: u8) -> u64 {
    let mut tx = begin(db, Isolation::NoCheck);
    let store = tx.find_store("rows");
    let store = store.unwrap_or_else(|| tx.create_store("rows", 1, b"").expect("a store"));
    tx.put(store.id, &[key], b"", &[key; 40], true)
        .expect("a put");
    tx.commit().expect("a commit").seq
}

fn ask(db: &Database) -> Receiver<Result<()>> {
    let (tell, told) = channel();
    let done = move |result| tell.send(result).expect("somebody listens");
    db.begin_checkpoint(Box::new(done)).expect("it is begun");
    told
}

fn outcome(told: &Receiver<Result<()>>) -> Result<()> {
    let result = told.recv_timeout(PATIENCE).expect("everybody is told");
    assert!(told.recv().is_err(), "once");
    result
}

/// A database whose calls to the page file wait while the gate is closed, and a way to wait until one does.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let mut state = self.0.0.lock().expect("no panic");
        while state.0 {
            state.1 = true;
            self.0.1.notify_all();
            state = self.0.1.wait(state).expect("no panic");
        }
    }

    fn set(&self, closed: bool) {
        *self.0.0.lock().expect("no panic") = (closed, false);
        self.0.1.notify_all();
    }

    fn wait_until_somebody_waits(&self) {
        let state = self.0.0.lock().expect("no panic");
        let waits = self
            .0
            .1
            .wait_timeout_while(state, PATIENCE, |state| !state.1);
        assert!(waits.expect("no panic").0.1, "somebody comes");
    }
}

fn gated() -> (Database, Gate) {
    let gate = Gate::default();
    let hook = gate.clone();
    let disk = HookedDisk::new(Arc::new(SimDisk::new(1)), move |name, made| {
        if name.starts_with("pages") && made == Call::Write {
            hook.pass();
        }
        Ok(())
    });
    let db = Database::open(Arc::new(disk), threaded()).expect("a new database");
    (db, gate)
}

#[test]
fn whoever_asks_is_told_when_it_is_written() {
    for background in [true, false] {
        let options = Options {
            background,
            ..threaded()
        };
        let db = open(&SimDisk::new(1), &options).expect("a new database");
        let seq = write(&db, 1);
        outcome(&ask(&db)).expect("a checkpoint");
        let statistics = db.statistics();
        assert_eq!(
            (statistics.checkpoints, statistics.checkpoint_seq),
            (1, seq)
        );
        outcome(&ask(&db)).expect("nothing to write");
        assert_eq!(db.statistics().checkpoints, 1);
        db.close().expect("it closes");
    }
}

#[test]
fn whoever_asks_while_one_is_written_is_told_of_the_next_one() {
    let (db, gate) = gated();
    write(&db, 1);
    gate.set(true);
    let first = ask(&db);
    gate.wait_until_somebody_waits();
    let seq = write(&db, 2);
    let second = [ask(&db), ask(&db)];
    gate.set(false);
    outcome(&first).expect("a checkpoint");
    for second in second {
        outcome(&second).expect("a checkpoint");
    }
    let statistics = db.statistics();
    assert_eq!(
        (statistics.checkpoints, statistics.checkpoint_seq),
        (2, seq),
        "one for both"
    );
    db.close().expect("it closes");
}

#[test]
fn whoever_asked_before_the_database_was_closed_is_told() {
    let (db, gate) = gated();
    write(&db, 1);
    gate.set(true);
    let first = ask(&db);
    gate.wait_until_somebody_waits();
    let second = ask(&db);
    let closing = {
        let db = db.clone();
        std::thread::spawn(move || db.close())
    };
    std::thread::sleep(Duration::from_millis(20));
    gate.set(false);
    for told in [first, second] {
        let result = outcome(&told);
        assert!(
            matches!(result, Ok(()) | Err(Error::Closed { .. })),
            "{result:?}"
        );
    }
    closing.join().expect("no panic").expect("it closes");
    let late = db.begin_checkpoint(Box::new(|_| unreachable!("it was not begun")));
    assert!(matches!(late, Err(Error::Closed { .. })), "{late:?}");
}

#[test]
fn whoever_asks_is_told_what_went_wrong_and_it_is_no_failure_that_nobody_knows_of() {
    for call in [Call::Write, Call::Sync] {
        let fails = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&fails);
        let disk = HookedDisk::new(Arc::new(SimDisk::new(1)), move |name, made| {
            let here = name.starts_with("pages") && made == call;
            match here && armed.load(Ordering::Acquire) {
                true => Err(std::io::Error::other("a disk that fails")),
                false => Ok(()),
            }
        });
        let db = Database::open(Arc::new(disk), threaded()).expect("a new database");
        write(&db, 1);
        fails.store(true, Ordering::Release);
        let error = outcome(&ask(&db)).expect_err("the disk fails");
        assert!(matches!(error, Error::Io { .. }), "{error}");
        fails.store(false, Ordering::Release);
        assert_eq!(db.statistics().background_errors, 0);
        let again = outcome(&ask(&db));
        match call {
            Call::Sync => assert!(matches!(again, Err(Error::Poisoned { .. })), "{again:?}"),
            _ => again.expect("the disk is well again"),
        }
        let _ = db.close();
    }
}

#[test]
fn a_database_that_is_only_read_has_none() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &threaded()).expect("a new database");
    write(&db, 1);
    let options = Options {
        read_only: true,
        ..threaded()
    };
    let reading = open(&disk, &options).expect("it is followed");
    let refused = reading.begin_checkpoint(Box::new(|_| unreachable!("it was not begun")));
    assert!(
        matches!(refused, Err(Error::ReadOnly { .. })),
        "{refused:?}"
    );
    reading.close().expect("it closes");
    db.close().expect("it closes");
}
