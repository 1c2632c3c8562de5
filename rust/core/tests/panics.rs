//! Given that something panics within the engine: nothing it left half done is built on, everybody who waits for a commit is
//! told, nothing hangs, and what was acknowledged before is there after reopening.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sopasync_core::disk::SimDisk;
use sopasync_core::limits::EXTENT_BYTES_MIN;
use sopasync_core::{CommitInfo, Database, Error, Isolation, KeptValue, Options, Transaction};
use support::hooked::{Call, HookedDisk};
use support::{WAIT, begin, open, reader, simulated};

const KEYS: u32 = 500;
const PATIENCE: Duration = Duration::from_secs(60);

/// A database on a disk that panics once, at the next such call after it was armed.
struct Mined {
    db: Database,
    store: u64,
    disk: SimDisk,
    armed: Arc<AtomicBool>,
    /// Locked while the panic is put off.
    delay: Arc<Mutex<()>>,
}

impl Mined {
    /// With memory for sixteen pages: whatever is done has to read.
    fn new(file: &'static str, call: Call) -> Self {
        Self::with_cache(8 << 10, file, call)
    }

    /// With so much memory that no checkpoint comes of itself: only the one that is asked for meets the panic.
    fn roomy(file: &'static str, call: Call) -> Self {
        Self::with_cache(1 << 20, file, call)
    }

    fn with_cache(cache_bytes: usize, file: &'static str, call: Call) -> Self {
        let disk = SimDisk::new(1);
        let options = simulated(512, cache_bytes);
        let db = open(&disk, &options).expect("a new database");
        let mut tx = begin(&db, Isolation::Serializable);
        let store = tx.create_store("rows", 1, b"").expect("a store").id;
        for key in 0..KEYS {
            let key = key.to_be_bytes();
            tx.put(store, &key, b"", &[1; 40], true).expect("a put");
        }
        tx.commit().expect("a commit");
        db.close().expect("it closes");
        drop(db);
        let armed = Arc::new(AtomicBool::new(false));
        let mine = Arc::clone(&armed);
        let delay = Arc::new(Mutex::new(()));
        let delayed = Arc::clone(&delay);
        let hooked = HookedDisk::new(Arc::new(disk.clone()), move |name, made| {
            let here = name.starts_with(file) && made == call;
            if here && mine.swap(false, Ordering::AcqRel) {
                drop(delayed.lock());
                panic!("what a bug would do");
            }
            Ok(())
        });
        let options = Options {
            background: true,
            ..options
        };
        let db = Database::open(Arc::new(hooked), options).expect("it opens again");
        Self {
            db,
            store,
            disk,
            armed,
            delay,
        }
    }

    /// A transaction that writes all over the store.
    fn write(&self) -> Transaction {
        let mut tx = begin(&self.db, Isolation::NoCheck);
        for key in (0..KEYS).step_by(50) {
            let key = key.to_be_bytes();
            tx.put(self.store, &key, b"", &[2; 40], true)
                .expect("a put");
        }
        tx
    }

    fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }

    fn hand_over(&self) -> Receiver<Result<CommitInfo, Error>> {
        let (tell, told) = channel();
        let done = move |result| tell.send(result).expect("somebody listens");
        self.write()
            .submit(Box::new(done))
            .expect("it is handed over");
        told
    }

    fn submit(&self) -> Result<CommitInfo, Error> {
        let told = self.hand_over();
        told.recv_timeout(PATIENCE).expect("everybody is told")
    }

    /// Nobody writes any more, and the next process finds whole commits.
    fn ends_well(self, acknowledged: u64) {
        assert!(
            !self.armed.load(Ordering::Acquire),
            "the panic came where it was to come"
        );
        let error = self.write().commit().expect_err("nothing is built on it");
        assert!(matches!(error, Error::Poisoned { .. }), "{error}");
        let error = self.submit().expect_err("nor by the committer");
        assert!(matches!(error, Error::Poisoned { .. }), "{error}");
        let _ = self.db.close();
        drop(self.db);
        let db = open(&self.disk, &simulated(512, 8 << 10)).expect("it opens again");
        assert!(db.last_seq() >= acknowledged);
        let mut tx = reader(&db);
        let mut value = |key: u32| {
            let entry = tx.get(self.store, &key.to_be_bytes(), WAIT);
            entry.expect("a read").expect("it is there").value
        };
        let first = value(0);
        for key in 0..KEYS {
            let expected = if key % 50 == 0 { &first } else { &vec![1; 40] };
            assert_eq!(&value(key), expected, "key {key}: half a commit");
        }
    }
}

#[test]
fn a_panic_while_a_commit_is_applied_on_its_own_thread() {
    let mined = Mined::new("pages", Call::Read);
    let tx = mined.write();
    mined.arm();
    assert!(catch_unwind(AssertUnwindSafe(|| tx.commit())).is_err());
    mined.ends_well(1);
}

#[test]
fn a_panic_while_the_committer_applies_a_commit() {
    let mined = Mined::new("pages", Call::Read);
    mined.arm();
    let error = mined.submit().expect_err("it was not applied");
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
    mined.ends_well(1);
}

#[test]
fn those_of_the_same_group_as_one_whose_application_panicked_were_not_made_and_are_told_so() {
    let mined = Mined::new("pages", Call::Read);
    let (tell, told) = channel();
    let mut batch = Vec::new();
    for number in 0..3 {
        let tx = match number {
            1 => mined.write(), // it reads pages
            _ => {
                let mut tx = begin(&mined.db, Isolation::NoCheck);
                tx.create_store(&number.to_string(), 1, b"")
                    .expect("a store");
                tx
            }
        };
        let tell = tell.clone();
        let done = move |result: Result<CommitInfo, Error>| {
            tell.send(result).expect("somebody listens");
        };
        let done: sopasync_core::Done = Box::new(done);
        batch.push((tx, done));
    }
    drop(tell);
    mined.arm();
    for answer in Transaction::submit_all(batch) {
        answer.expect("it is handed over");
    }
    for _ in 0..3 {
        let result = told.recv_timeout(PATIENCE).expect("everybody is told");
        assert!(matches!(result, Err(Error::Poisoned { .. })), "{result:?}");
    }
    assert!(told.recv().is_err(), "once");
    let disk = mined.disk.clone();
    mined.ends_well(1);
    let db = open(&disk, &simulated(512, 8 << 10)).expect("it opens again");
    for name in ["0", "2"] {
        assert!(reader(&db).find_store(name).is_none(), "it was refused");
    }
}

#[test]
fn what_waited_for_a_committer_that_panicked_was_refused_and_is_not_of_unknown_outcome() {
    let mined = Mined::new("pages", Call::Read);
    let put_off = mined.delay.lock().expect("nobody panics with it");
    mined.arm();
    let first = mined.hand_over();
    let began = Instant::now();
    while mined.armed.load(Ordering::Acquire) {
        assert!(began.elapsed() < PATIENCE, "the committer takes it");
        std::thread::yield_now();
    }
    let second = mined.hand_over();
    drop(put_off);
    let error = first.recv_timeout(PATIENCE).expect("it is told");
    assert!(matches!(error, Err(Error::Poisoned { .. })));
    let error = second.recv_timeout(PATIENCE).expect("it is told");
    assert!(matches!(error, Err(Error::Poisoned { .. })));
    mined.ends_well(1);
}

#[test]
fn a_panic_while_a_group_is_written() {
    for call in [Call::Write, Call::Sync] {
        let mined = Mined::new("log-", call);
        mined.arm();
        let error = mined.submit().expect_err("it is not known to be durable");
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
        mined.ends_well(1);
    }
}

#[test]
fn a_panic_while_a_group_is_written_by_one_of_those_who_wait_for_it() {
    let mined = Mined::new("log-", Call::Write);
    let tx = mined.write();
    mined.arm();
    assert!(catch_unwind(AssertUnwindSafe(|| tx.commit())).is_err());
    mined.ends_well(1);
}

#[test]
fn a_panic_in_a_checkpoint() {
    for call in [Call::Write, Call::Sync] {
        let mined = Mined::roomy("pages", call);
        mined.write().commit().expect("a commit");
        mined.arm();
        assert!(catch_unwind(AssertUnwindSafe(|| mined.db.checkpoint())).is_err());
        mined.ends_well(2);
    }
}

#[test]
fn a_panic_in_a_checkpoint_that_somebody_asked_for() {
    for call in [Call::Write, Call::Sync] {
        let mined = Mined::roomy("pages", call);
        mined.write().commit().expect("a commit");
        mined.arm();
        let (tell, told) = channel();
        let done = move |result| tell.send(result).expect("somebody listens");
        let begun = mined.db.begin_checkpoint(Box::new(done));
        begun.expect("it is begun");
        let result = told.recv_timeout(PATIENCE).expect("everybody is told");
        assert!(matches!(result, Err(Error::Poisoned { .. })), "{result:?}");
        // The thread that writes them is at its end, and takes no more after it has told him.
        let began = Instant::now();
        while let Ok(()) = mined.db.begin_checkpoint(Box::new(|result| {
            assert!(matches!(result, Err(Error::Poisoned { .. })), "{result:?}");
        })) {
            assert!(began.elapsed() < PATIENCE, "it takes no more");
        }
        mined.ends_well(2);
    }
}

#[test]
fn jobs_go_on_after_some_that_panicked() {
    let mined = Mined::new("nothing", Call::Read);
    for _ in 0..8 {
        mined
            .db
            .spawn_blocking(Box::new(|| panic!("what a bug would do")))
            .expect("it is taken");
    }
    let (tell, told) = channel();
    let job = move || tell.send(()).expect("somebody listens");
    mined.db.spawn_blocking(Box::new(job)).expect("it is taken");
    told.recv_timeout(PATIENCE).expect("it is done");
    mined.db.close().expect("it closes");
}

struct CommitsWhenDropped(Option<Transaction>);

impl Drop for CommitsWhenDropped {
    fn drop(&mut self) {
        let tx = self.0.take().expect("dropped once");
        tx.commit().expect("nothing is wrong with the engine");
    }
}

#[test]
fn a_panic_while_a_kept_value_is_read_is_told_to_whoever_waits_for_it() {
    let mined = Mined::new("pages", Call::Read);
    let value = vec![7; 2 * EXTENT_BYTES_MIN];
    let mut tx = begin(&mined.db, Isolation::NoCheck);
    tx.put(mined.store, b"large", b"", &value, true)
        .expect("a put");
    tx.commit().expect("a commit");
    let kept = reader(&mined.db).pin_value(mined.store, b"large", WAIT);
    let Ok(Some(KeptValue::Pinned(pinned))) = kept else {
        panic!("a value out of line is kept where it is");
    };
    mined.arm();
    let mut into = vec![0; pinned.len()];
    let error = pinned.read(&mut into).expect_err("it is an error");
    assert!(error.to_string().contains("panicked"), "{error}");
    pinned.read(&mut into).expect("the next time it is read");
    assert_eq!(into, value);
    mined.write().commit().expect("the engine goes on");
}

#[test]
fn a_panic_of_the_program_is_none_of_the_engine() {
    let mined = Mined::new("nothing", Call::Read);
    let tx = mined.write();
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _commits = CommitsWhenDropped(Some(tx));
        panic!("of the program");
    }));
    assert!(unwound.is_err());
    let info = mined.write().commit().expect("it goes on");
    assert_eq!(info.seq, 3);
}
