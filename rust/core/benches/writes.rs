//! Writing to the real disk: commits, loads, replay, checkpoints. Each takes seconds and is as fast as the disk lets it
//! be, so it is measured once, as a whole: a table, and the same as JSON in `target/engine-writes.json`.
#![allow(clippy::print_stdout, reason = "a benchmark says what it has measured")]

mod rows;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rows::{ROW_BYTES, key, load, open, shuffled, value};
use sopasync_core::disk::SplitMix64;
use sopasync_core::{Database, Isolation, Options, TransactionOptions};

/// How long commits are counted.
const WINDOW: Duration = Duration::from_secs(3);

/// What was measured: name, number, unit.
type Figures = Vec<(String, f64, &'static str)>;
/// Measures something and adds it.
type Part = fn(&mut Figures);

fn main() {
    // cargo bench -- WORD measures only the parts that have the word in their name.
    let word = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let parts: [(&str, Part); 5] = [
        ("commits", commits),
        ("loads", loads),
        ("random", random_load),
        ("replay", replay),
        ("checkpoints", checkpoints),
    ];
    let mut figures = Figures::new();
    for (name, part) in parts {
        if word.as_ref().is_none_or(|word| name.contains(word)) {
            part(&mut figures);
        }
    }
    report(&figures);
}

fn begin(db: &Database) -> sopasync_core::Transaction {
    db.begin(TransactionOptions::default())
        .expect("the database is open")
}

fn new_store(db: &Database) -> u64 {
    let mut tx = begin(db);
    let store = tx.create_store("rows", 1, b"").expect("a new store").id;
    tx.commit().expect("a commit");
    store
}

fn put_one(db: &Database, store: u64, number: u64) {
    let mut tx = begin(db);
    tx.put(store, &key(number), b"", &value(number), true)
        .expect("a put");
    tx.commit().expect("a commit");
}

fn commits(figures: &mut Figures) {
    for threads in [1, 8, 64] {
        let name = format!("durable commits of one row, {threads} threads");
        figures.push((name, commit_rate(threads), "/s"));
    }
}

fn commit_rate(threads: u64) -> f64 {
    let folder = rows::folder();
    let db = open(folder.path(), Options::default());
    let store = new_store(&db);
    let begun = Instant::now();
    let before = db.statistics().commits;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let db = &db;
            scope.spawn(move || {
                let mut random = SplitMix64::new(thread);
                while begun.elapsed() < WINDOW {
                    put_one(db, store, random.below(1_000_000) as u64);
                }
            });
        }
    });
    (db.statistics().commits - before) as f64 / begun.elapsed().as_secs_f64()
}

fn loads(figures: &mut Figures) {
    const ROWS: u64 = 2_000_000;
    let numbers = shuffled(ROWS);
    let mut run = |name: &str, numbers: &mut dyn Iterator<Item = u64>| {
        let folder = rows::folder();
        let db = open(folder.path(), Options::default());
        let begun = Instant::now();
        load(&db, "rows", numbers);
        let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
        figures.push((format!("bulk load, {name}"), rate, "rows/s"));
        let size = used_bytes(&db) / (ROWS as f64 * ROW_BYTES as f64);
        figures.push((format!("pages after bulk load, {name}"), size, "x raw"));
    };
    run("sorted", &mut (0..ROWS));
    run("random order", &mut numbers.into_iter());
}

/// Pages in use, in bytes.
fn used_bytes(db: &Database) -> f64 {
    let now = db.statistics();
    ((now.file_pages - now.free_pages) * now.page_bytes as u64) as f64
}

fn random_load(figures: &mut Figures) {
    const ROWS: u64 = 500_000;
    let numbers = shuffled(ROWS);
    let folder = rows::folder();
    let db = open(folder.path(), Options::default());
    let store = new_store(&db);
    let begun = Instant::now();
    let mut tx = db
        .begin(TransactionOptions {
            isolation: Isolation::NoCheck,
            read_only: false,
        })
        .expect("the database is open");
    for number in numbers {
        tx.put(store, &key(number), b"", &value(number), true)
            .expect("a put");
    }
    tx.commit().expect("a commit");
    let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
    figures.push(("random rows in one transaction".to_owned(), rate, "rows/s"));

    let numbers = shuffled(ROWS);
    let folder = rows::folder();
    let db = open(folder.path(), Options::default());
    let store = new_store(&db);
    let begun = Instant::now();
    for portion in numbers.chunks(1000) {
        let mut tx = begin(&db);
        for &number in portion {
            tx.put(store, &key(number), b"", &value(number), true)
                .expect("a put");
        }
        tx.commit().expect("a commit");
    }
    let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
    figures.push((
        "random rows, 1000 in a transaction".to_owned(),
        rate,
        "rows/s",
    ));
    let raw = ROWS as f64 * ROW_BYTES as f64;
    let used = used_bytes(&db) / raw;
    db.close().expect("it closes");
    figures.push(("pages in use after a random load".to_owned(), used, "x raw"));
    let file = std::fs::metadata(folder.path().join("pages")).expect("the page file");
    let size = file.len() as f64 / raw;
    figures.push(("page file after a random load".to_owned(), size, "x raw"));
    let size = allocated_bytes(folder.path()) as f64 / raw;
    figures.push(("folder after a random load".to_owned(), size, "x raw"));
}

/// What the files of a folder take on the disk, holes left out.
fn allocated_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let blocks = |file: std::fs::DirEntry| file.metadata().expect("its length").blocks();
    files
        .map(|file| blocks(file.expect("an entry")) * 512)
        .sum()
}

fn replay(figures: &mut Figures) {
    const ROWS: u64 = 500_000;
    let (folder, copy) = (rows::folder(), rows::folder());
    let options = Options {
        cache_bytes: 1 << 30,
        checkpoint_log_bytes: u64::MAX,
        ..Options::default()
    };
    let db = open(folder.path(), options.clone());
    let store = new_store(&db);
    for portion in shuffled(ROWS).chunks(100) {
        let mut tx = begin(&db);
        for &number in portion {
            tx.put(store, &key(number), b"", &value(number), true)
                .expect("a put");
        }
        tx.commit().expect("a commit");
    }
    // What a process that ends now leaves behind.
    copy_files(folder.path(), copy.path());
    let begun = Instant::now();
    let reopened = open(copy.path(), options);
    let rate = ROWS as f64 / begun.elapsed().as_secs_f64();
    assert_eq!(reopened.last_seq(), db.last_seq());
    figures.push(("log replay".to_owned(), rate, "records/s"));
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).expect("the folder is there") {
        let file = file.expect("an entry");
        // Spares come and go.
        let name = file.file_name();
        if name == "pages" || name.to_string_lossy().starts_with("log-") {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    }
}

/// Latencies of commits while checkpoints run one after the other, and while none does.
fn checkpoints(figures: &mut Figures) {
    let folder = rows::folder();
    let options = Options {
        checkpoint_log_bytes: u64::MAX,
        ..Options::default()
    };
    let db = open(folder.path(), options);
    let store = load(&db, "rows", 0..500_000);
    let running = AtomicBool::new(false);
    let mut p99 = [0.0; 2];
    for (with, name) in [(false, "no checkpoint"), (true, "checkpoints running")] {
        let ended = AtomicBool::new(false);
        let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
            if with {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        // Something to write has to gather first.
                        std::thread::sleep(Duration::from_millis(300));
                        running.store(true, Ordering::Relaxed);
                        db.checkpoint().expect("a checkpoint");
                        running.store(false, Ordering::Relaxed);
                    }
                });
            }
            let (db, running) = (&db, &running);
            let writers: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || latencies(db, store, thread, with.then_some(running)))
                })
                .collect();
            let all = writers
                .into_iter()
                .flat_map(|w| w.join().expect("a writer"));
            let all = all.collect();
            ended.store(true, Ordering::Relaxed);
            all
        });
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len().max(1) - 1) as f64 * share;
            latencies[place as usize].as_secs_f64() * 1e6
        };
        figures.push((format!("commit p50, 4 threads, {name}"), at(0.5), "us"));
        figures.push((format!("commit p99, 4 threads, {name}"), at(0.99), "us"));
        p99[usize::from(with)] = at(0.99);
    }
    figures.push((
        "commit p99 with / without checkpoints".to_owned(),
        p99[1] / p99[0],
        "x",
    ));
    db.checkpoint().expect("a checkpoint");
    for number in shuffled(500_000).into_iter().take(20_000) {
        let mut tx = begin(&db);
        tx.put(store, &key(number), b"", &value(number + 1), true)
            .expect("a put");
        // Only the last one has to wait.
        tx.submit(Box::new(|_| ())).expect("it is handed over");
    }
    put_one(&db, store, 1);
    let dirty = db.statistics().dirty_bytes as f64;
    let begun = Instant::now();
    db.checkpoint().expect("a checkpoint");
    let rate = dirty / begun.elapsed().as_secs_f64() / 1e6;
    figures.push((
        "checkpoint of pages all over the file".to_owned(),
        rate,
        "MB/s",
    ));
}

/// How long commits took, while `wanted` says so.
fn latencies(db: &Database, store: u64, thread: u64, wanted: Option<&AtomicBool>) -> Vec<Duration> {
    let mut random = SplitMix64::new(thread);
    let mut found = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < WINDOW {
        let counts = wanted.is_none_or(|wanted| wanted.load(Ordering::Relaxed));
        let at = Instant::now();
        put_one(db, store, random.below(500_000) as u64);
        if counts {
            found.push(at.elapsed());
        }
    }
    found
}

fn report(figures: &Figures) {
    let width = figures
        .iter()
        .map(|(name, ..)| name.len())
        .max()
        .unwrap_or(0);
    println!();
    for (name, number, unit) in figures {
        let digits = if *number < 100.0 { 2 } else { 0 };
        println!("{name:width$}  {number:>12.digits$} {unit}");
    }
    let lines: Vec<String> = figures
        .iter()
        .map(|(name, number, unit)| {
            format!("  {{\"name\": \"{name}\", \"value\": {number}, \"unit\": \"{unit}\"}}")
        })
        .collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("engine-writes.json");
    let json = format!("[\n{}\n]\n", lines.join(",\n"));
    std::fs::write(&path, json).expect("the figures can be written");
    println!("\nalso in {}", path.display());
}
