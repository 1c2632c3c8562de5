//! Text search on real short texts: the glosses of WordNet 3.0 (117,659 of about 100 bytes). The folder with WordNet's `data.*`
//! files is given as SOPASYNC_WORDNET; without it texts are made up. Prints figures; no statistics are claimed.
//!
//! `cargo bench -p sopasync-core --bench text`

mod rows;

use std::path::Path;
use std::time::{Duration, Instant};

use rows::{folder, open};
use sopasync_core::disk::SplitMix64;
use sopasync_core::text::{TEXT_KIND, TextSearch, TextStore};
use sopasync_core::{Access, Database, Options, Transaction, TransactionOptions};
use sopasync_text::Query;

const WAIT: Access = Access {
    may_wait: true,
    track: false,
};

fn glosses() -> Vec<String> {
    let Ok(folder) = std::env::var("SOPASYNC_WORDNET") else {
        return made_up();
    };
    let mut glosses = Vec::new();
    for part in ["noun", "verb", "adj", "adv"] {
        let path = Path::new(&folder).join(format!("data.{part}"));
        let file = std::fs::read_to_string(path).expect("WordNet's data files");
        let lines = file.lines().filter(|line| !line.starts_with("  "));
        glosses.extend(lines.filter_map(|line| Some(line.split_once(" | ")?.1.trim().to_owned())));
    }
    glosses
}

/// Words whose frequencies fall as those of a language do.
fn made_up() -> Vec<String> {
    let mut random = SplitMix64::new(1);
    let text = |_| {
        let words = (0..4 + random.below(20)).map(|_| {
            let rank = 60_000f64.powf(random.below(1 << 30) as f64 / (1u64 << 30) as f64);
            format!("w{}", rank as u64)
        });
        words.collect::<Vec<_>>().join(" ")
    };
    (0..117_659).map(text).collect()
}

fn options() -> Vec<u8> {
    use rmpv::Value;
    let text = |text: &str| Value::from(text);
    let analyzer = Value::Map(vec![
        (text("kind"), text("words")),
        (text("language"), text("english")),
    ]);
    let field = Value::Array(vec![text("text"), Value::from(1.0), analyzer]);
    let map = Value::Map(vec![
        (text("format"), Value::from(1)),
        (text("description"), text("glosses")),
        (text("k1"), Value::from(1.2)),
        (text("b"), Value::from(0.75)),
        (text("stored"), Value::from(true)),
        (text("fields"), Value::Array(vec![field])),
    ]);
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &map).expect("a vector takes all bytes");
    bytes
}

fn begin(db: &Database) -> Transaction {
    db.begin(TransactionOptions::default())
        .expect("the database is open")
}

fn store(tx: &mut Transaction) -> TextStore {
    let info = tx.find_store("glosses").expect("the store is there");
    TextStore::open(tx, &info).expect("a text store")
}

/// Time this thread has had a processor, where Linux tells: what counts on a busy machine.
fn busy() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = line
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn median(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let micros = |at: usize| times[at.min(times.len() - 1)].as_secs_f64() * 1e6;
    (micros(times.len() / 2), micros(times.len() * 99 / 100))
}

fn searches(db: &Database, name: &str, queries: &[String]) {
    let mut tx = begin(db);
    let store = store(&mut tx);
    let schema = store.schema(&mut tx, true).expect("a schema");
    let queries: Vec<Query> = queries
        .iter()
        .map(|query| Query::parse(query, &schema).expect("a query"))
        .collect();
    let mut times = Vec::new();
    let mut hits = 0;
    for _ in 0..3 {
        for query in &queries {
            let started = Instant::now();
            let search = TextSearch {
                query,
                limit: 10,
                offset: 0,
                filter: None,
                among: None,
                texts: false,
            };
            hits += store
                .search(&mut tx, &search, WAIT)
                .expect("a search")
                .len();
            times.push(started.elapsed());
        }
    }
    let (middle, slow) = median(&mut times);
    eprintln!(
        "{name:<28} {middle:8.1} us median {slow:8.1} us p99   {:.1} hits",
        hits as f64 / times.len() as f64
    );
}

fn all_searches(db: &Database, glosses: &[String]) {
    let mut random = SplitMix64::new(3);
    let mut word = || loop {
        let gloss = &glosses[random.below(glosses.len())];
        let words: Vec<&str> = gloss
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| word.len() > 3)
            .collect();
        if !words.is_empty() {
            break words[random.below(words.len())].to_lowercase();
        }
    };
    let mut some = |count: usize, join: &str| -> Vec<String> {
        (0..300)
            .map(|_| (0..count).map(|_| word()).collect::<Vec<_>>().join(join))
            .collect()
    };
    searches(db, "1 word", &some(1, " "));
    searches(db, "2 words", &some(2, " OR "));
    searches(db, "3 words", &some(3, " OR "));
    searches(db, "2 words, both", &some(2, " AND "));
    let prefixes = some(1, " ")
        .iter()
        .map(|word| format!("{}*", &word[..4]))
        .collect::<Vec<_>>();
    searches(db, "prefix of 4", &prefixes);
    let fuzzy = some(1, " ")
        .iter()
        .map(|word| format!("{word}~1"))
        .collect::<Vec<_>>();
    searches(db, "fuzzy, 1 edit", &fuzzy);
    let mut random = SplitMix64::new(4);
    let mut phrases = Vec::new();
    while phrases.len() < 300 {
        let gloss = &glosses[random.below(glosses.len())];
        let words: Vec<&str> = gloss
            .split(' ')
            .filter(|word| word.chars().all(char::is_alphanumeric))
            .collect();
        if words.len() > 4 {
            let at = random.below(words.len() - 2);
            phrases.push(format!("\"{} {}\"", words[at], words[at + 1]));
        }
    }
    searches(db, "phrase of 2", &phrases);
    let common = [
        "small OR large OR used",
        "person OR act OR having",
        "plant OR genus OR family",
        "body OR water OR part",
    ];
    searches(db, "3 common words", &common.map(String::from));
}

fn one_by_one(db: &Database, glosses: &[String]) {
    let mut times = Vec::new();
    for (number, gloss) in glosses.iter().take(200).enumerate() {
        let started = Instant::now();
        let mut tx = begin(db);
        let store = store(&mut tx);
        store
            .add(
                &mut tx,
                format!("new {number}").as_bytes(),
                &[gloss],
                b"",
                true,
            )
            .expect("an addition");
        tx.commit().expect("a commit");
        times.push(started.elapsed());
    }
    let (middle, slow) = median(&mut times);
    eprintln!(
        "{:<28} {middle:8.1} us median {slow:8.1} us p99",
        "one document committed"
    );
}

fn main() {
    let glosses = glosses();
    let folder = folder();
    let db = open(folder.path(), Options::default());
    let mut tx = begin(&db);
    tx.create_store("glosses", TEXT_KIND, &options())
        .expect("a new store");
    tx.commit().expect("a commit");
    let (started, idle) = (Instant::now(), busy());
    let mut tx = begin(&db);
    let text_store = store(&mut tx);
    for (number, gloss) in glosses.iter().enumerate() {
        let key = (number as u64).to_be_bytes();
        text_store
            .add(&mut tx, &key, &[gloss], b"", true)
            .expect("an addition");
    }
    let added = started.elapsed();
    tx.prepare().expect("the delta");
    let prepared = started.elapsed();
    tx.commit().expect("a commit");
    let (committed, worked) = (started.elapsed(), busy() - idle);
    let rate = glosses.len() as f64 / committed.as_secs_f64();
    let busy_rate = glosses.len() as f64 / worked.as_secs_f64();
    eprintln!("indexing took {worked:?} of a processor: {busy_rate:.0} texts/s");
    eprintln!(
        "{} texts: {rate:.0}/s; added {added:?}, delta {:?}, commit {:?}",
        glosses.len(),
        prepared - added,
        committed - prepared
    );
    let started = Instant::now();
    db.settle(text_store.id()).expect("maintenance");
    eprintln!("merged in {:?}", started.elapsed());
    let mut tx = begin(&db);
    let id = text_store.id();
    for family in 0x10..0x50u8 {
        let (mut rows, mut bytes) = (0usize, 0usize);
        let range = sopasync_core::ScanRange {
            low: std::ops::Bound::Included(&[family]),
            high: std::ops::Bound::Excluded(&[family + 1]),
            ..Default::default()
        };
        tx.scan(id, &range, WAIT, &mut |key, meta, value| {
            rows += 1;
            bytes += key.len() + meta.len() + value.map_or(0, <[u8]>::len);
        })
        .expect("a scan");
        if rows > 0 {
            eprintln!("rows {family:02x}: {rows:>8}, {:.2} MB", bytes as f64 / 1e6);
        }
    }
    drop(tx);
    all_searches(&db, &glosses);
    one_by_one(&db, &glosses);
    let mut tx = begin(&db);
    eprintln!(
        "{:?}",
        text_store.statistics(&mut tx, true).expect("statistics")
    );
    drop(tx);
    all_searches(&db, &glosses);
}
