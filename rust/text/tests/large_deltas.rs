//! Deltas that are too large to be kept for long are read once, not by every search and every step of their fold.

use std::cell::Cell;

use sopasync_text::index::{
    Cache, MemoryRows, Pending, Policy, Result, Rows, RowsMut, Shape, Step, View, delta_key, step,
};

/// Rows that count how often a delta is read.
struct Counting {
    rows: MemoryRows,
    reads: Cell<usize>,
}

impl Rows for Counting {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let is_delta = key.first() == delta_key(1).first();
        self.reads.set(self.reads.get() + usize::from(is_delta));
        self.rows.get(key, visit)
    }

    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<()> {
        self.rows.scan(low, high, limit, visit)
    }

    fn scan_keys(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.rows.scan_keys(low, high, limit, reverse, visit)
    }
}

impl RowsMut for Counting {
    fn put(&self, key: &[u8], row: &[u8]) -> Result<()> {
        self.rows.put(key, row)
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.rows.delete(key)
    }
}

fn commit(rows: &Counting, seq: u64) {
    let mut pending = Pending::new(1, 7);
    for ordinal in 0..300 {
        pending.add(ordinal, &(seq as u32 * 1000 + ordinal).to_be_bytes());
        for position in 0..20 {
            pending.term(
                0,
                &format!("term{}", ordinal * 7 % (position + 50)),
                position,
            );
        }
    }
    rows.put(&delta_key(seq), &pending.delta()).unwrap();
}

#[test]
fn a_large_delta_is_read_once() {
    let rows = Counting {
        rows: MemoryRows::default(),
        reads: Cell::new(0),
    };
    // Given deltas beyond what is kept,
    let cache = Cache::with_bytes_max(1000);
    commit(&rows, 1);
    // when the newest is looked at again and again, it is read once;
    for _ in 0..5 {
        View::open(&rows, &cache, 1, &[]).unwrap();
    }
    assert_eq!(rows.reads.get(), 1);
    // when another commit follows, so is its delta, and the first one is not read again;
    commit(&rows, 2);
    for _ in 0..5 {
        assert_eq!(View::open(&rows, &cache, 1, &[]).unwrap().documents(), 600);
    }
    assert_eq!(rows.reads.get(), 2);
    // and when both are folded in many steps, with searches meanwhile, none is.
    let shape = Shape {
        fields: 1,
        keeps_words: true,
    };
    let policy = Policy {
        fold_documents: 100,
        step_bytes: 2000,
        ..Policy::default()
    };
    let mut steps = 0;
    while step(&rows, &cache, shape, &policy).unwrap() == Step::Again {
        steps += 1;
        assert_eq!(View::open(&rows, &cache, 1, &[]).unwrap().documents(), 600);
    }
    assert!(steps > 5, "{steps} steps");
    assert_eq!(rows.reads.get(), 2);
}
