//! A life with bulk loads in it, and the check that every crash leaves a prefix of its commits. The check returns the
//! first broken promise, so that it can also be run against deliberate bugs.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sopasync_core::disk::{CrashImage, CrashOptions, Disk, SimDisk, SplitMix64};
use sopasync_core::{
    Access, BulkOptions, BulkTarget, Database, Error, Options, Result, ScanRange,
    TransactionOptions,
};

/// What a check found: a promise that was not kept.
pub type Verdict = std::result::Result<(), String>;
/// Entries of each store by its name.
type State = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

const WAIT: Access = Access {
    may_wait: true,
    track: true,
};

/// How much a check looks at.
#[derive(Clone, Copy)]
pub struct Effort {
    pub stride: usize,
    pub images_per_point: usize,
    /// One of so many images goes on living and is ended again.
    pub again_one_of: usize,
}

/// The states after each commit, and when (in changes of the disk) commits were acknowledged.
#[derive(Default)]
struct History {
    states: Vec<State>,
    acknowledged: Vec<(usize, u64)>,
}

struct Life<'a> {
    db: Database,
    disk: SimDisk,
    random: SplitMix64,
    /// Values of their own extents that are kept at the same time.
    extents: usize,
    history: &'a mut History,
}

pub fn options(page_bytes: usize) -> Options {
    Options {
        page_bytes,
        // With a small cache a replay writes checkpoints on the way, with a large one it does not.
        cache_bytes: if page_bytes == 512 { 64 << 10 } else { 4 << 20 },
        background: false,
        segment_bytes: 32 << 10,
        ..Options::default()
    }
}

fn open(disk: &SimDisk, page_bytes: usize) -> Result<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Database::open(disk, options(page_bytes))
}

impl Life<'_> {
    fn commit(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self
            .history
            .states
            .last()
            .expect("the first is empty")
            .clone();
        change(&mut state);
        self.history.states.push(state);
        let point = self.disk.trace_len();
        self.history.acknowledged.push((point, self.db.last_seq()));
    }

    /// Loads a new store, with commits and a checkpoint in between.
    fn load(&mut self, name: &str, rows: usize) -> Result<()> {
        let target = BulkTarget::New {
            name,
            kind: 1,
            options: b"",
        };
        let bulk = BulkOptions {
            memory_bytes: 64 << 10,
            ..BulkOptions::default()
        };
        let mut loader = self.db.bulk_load(target, bulk)?;
        let mut model = BTreeMap::new();
        let sorted = self.random.chance(1, 2);
        // A checkpoint in between keeps dead pages of the load by itself, so not every load has one.
        let checkpoint = self.random.chance(1, 3);
        for row in 0..rows {
            let number = if sorted { row } else { self.random.below(rows) };
            let key = format!("row {number:06}").into_bytes();
            let length = if row % 97 == 5 { 3000 } else { 60 };
            let value = vec![row as u8; length];
            loader.add(&key, b"", &value)?;
            model.insert(key, value);
            if row == rows / 2 {
                self.put_extent("busy")?;
                if checkpoint {
                    self.db.checkpoint()?;
                }
            }
        }
        loader.finish()?;
        self.commit(|state| {
            state.insert(name.to_owned(), model);
        });
        Ok(())
    }

    /// A value that is written to the page file before its commit: it takes pages that are free.
    fn put_extent(&mut self, name: &str) -> Result<()> {
        let mut tx = self.db.begin(TransactionOptions::default())?;
        let store = match tx.find_store(name) {
            Some(store) => store,
            None => tx.create_store(name, 1, b"")?,
        };
        let key = vec![self.random.below(self.extents) as u8];
        let value = vec![self.random.below(256) as u8; 66_000];
        tx.put(store.id, &key, b"", &value, true)?;
        tx.commit()?;
        self.commit(|state| {
            state.entry(name.to_owned()).or_default().insert(key, value);
        });
        Ok(())
    }

    /// Takes a long stretch of rows away: pages of the loaded tree die, enough in a row for an extent.
    fn thin_out(&mut self, name: &str) -> Result<()> {
        let mut tx = self.db.begin(TransactionOptions::default())?;
        let store = tx.find_store(name).expect("it was loaded");
        let rows = self.history.states.last().and_then(|state| state.get(name));
        let keys: Vec<Vec<u8>> = rows.expect("it was loaded").keys().cloned().collect();
        let from = self.random.below(keys.len().div_ceil(4));
        let range = from..keys.len().min(from + 1200);
        for key in &keys[range.clone()] {
            tx.delete(store.id, key)?;
        }
        tx.put(store.id, b"another", b"", b"v", true)?;
        tx.commit()?;
        self.commit(|state| {
            let rows = state.get_mut(name).expect("it was loaded");
            keys[range].iter().for_each(|key| {
                rows.remove(key);
            });
            rows.insert(b"another".to_vec(), b"v".to_vec());
        });
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        self.put_extent("busy")?;
        self.load("first", 1500)?;
        for _ in 0..3 {
            self.thin_out("first")?;
            self.put_extent("busy")?;
        }
        self.load("second", 300)?;
        self.thin_out("first")?;
        let mut tx = self.db.begin(TransactionOptions::default())?;
        let store = tx.find_store("first").expect("it was loaded");
        tx.remove_store(store.id)?;
        tx.commit()?;
        self.commit(|state| {
            state.remove("first");
        });
        self.put_extent("busy")?;
        self.db.checkpoint()?;
        self.put_extent("busy")
    }
}

/// Runs one life and checks its crash images; returns how many there were.
pub fn crash_check(seed: u64, effort: Effort) -> std::result::Result<usize, String> {
    let mut random = SplitMix64::new(seed);
    let page_bytes = [512, 1024][random.below(2)];
    let disk = SimDisk::new(seed);
    let mut history = History {
        states: vec![State::new()],
        acknowledged: Vec::new(),
    };
    let fail = |error: Error| format!("seed {seed}, the life: {error}");
    let db = open(&disk, page_bytes).map_err(fail)?;
    let mut life = Life {
        db,
        disk: disk.clone(),
        random,
        extents: 3,
        history: &mut history,
    };
    life.run().map_err(fail)?;
    let mut random = SplitMix64::new(seed ^ 0xb01d);
    let crash = CrashOptions {
        seed,
        stride: effort.stride,
        combinations_max: effort.images_per_point,
        images_per_point: effort.images_per_point,
        ..CrashOptions::default()
    };
    let mut count = 0;
    for image in disk.crash_images(crash) {
        count += 1;
        let again = random.chance(1, effort.again_one_of);
        check_image(&image, &history, page_bytes, again)
            .map_err(|reason| format!("seed {seed}, {image}: {reason}"))?;
    }
    Ok(count)
}

fn check_image(image: &CrashImage, history: &History, page_bytes: usize, again: bool) -> Verdict {
    let mut before = history.acknowledged.iter().rev();
    let acknowledged = before
        .find(|(point, _)| *point <= image.point)
        .map_or(0, |(_, seq)| *seq);
    let db = match open(&image.disk, page_bytes) {
        Ok(db) => db,
        Err(error) => return Err(format!("opening: {error}")),
    };
    let seq = db.last_seq();
    if seq < acknowledged {
        return Err(format!(
            "commit {acknowledged} was acknowledged, and {seq} is the last"
        ));
    }
    expect_state(&db, &history.states[seq as usize])?;
    let names = image.disk.list().map_err(|error| error.to_string())?;
    if let Some(name) = names.iter().find(|name| name.starts_with("bulk-")) {
        return Err(format!("{name} was left behind"));
    }
    if again {
        go_on(image, db, &history.states[seq as usize], page_bytes)?;
    }
    Ok(())
}

/// What is freed is used by others, and then the process ends without a word.
fn go_on(image: &CrashImage, db: Database, state: &State, page_bytes: usize) -> Verdict {
    expect_sound(&db)?;
    let mut history = History {
        states: vec![state.clone()],
        acknowledged: Vec::new(),
    };
    let mut life = Life {
        db,
        disk: image.disk.clone(),
        random: SplitMix64::new(image.point as u64),
        extents: 100,
        history: &mut history,
    };
    let lived = (0..6).try_for_each(|_| {
        if state.contains_key("first") {
            life.thin_out("first")?;
        }
        life.put_extent("more")
    });
    lived.map_err(|error| format!("going on: {error}"))?;
    let copy = image.disk.duplicate(image.point as u64);
    let db = open(&copy, page_bytes).map_err(|error| format!("opening again: {error}"))?;
    let last = history.states.last().expect("there is a first");
    expect_state(&db, last).map_err(|reason| format!("after the second end: {reason}"))?;
    expect_sound(&db)
}

fn expect_sound(db: &Database) -> Verdict {
    let report = db
        .check(&mut |_, _| ControlFlow::Continue(()))
        .map_err(|error| error.to_string())?;
    let first = report.faults.first();
    first.map_or(Ok(()), |fault| match fault.sentence.contains("root copy") {
        // A crash may tear one of the copies.
        true => Ok(()),
        false => Err(fault.sentence.clone()),
    })
}

fn expect_state(db: &Database, expected: &State) -> Verdict {
    let read = || -> Result<State> {
        let mut state = State::new();
        let mut tx = db.begin(TransactionOptions::default())?;
        for store in tx.stores() {
            let mut rows = BTreeMap::new();
            tx.scan(
                store.id,
                &ScanRange::default(),
                WAIT,
                &mut |key, _, value| {
                    rows.insert(key.to_vec(), value.expect("values were asked for").to_vec());
                },
            )?;
            state.insert(store.name, rows);
        }
        Ok(state)
    };
    let found = read().map_err(|error| format!("reading: {error}"))?;
    if found != *expected {
        let sizes = |state: &State| -> Vec<(String, usize)> {
            state
                .iter()
                .map(|(name, rows)| (name.clone(), rows.len()))
                .collect()
        };
        return Err(format!(
            "found {:?}, expected {:?}",
            sizes(&found),
            sizes(expected)
        ));
    }
    Ok(())
}
