//! Scanning a range of a store as a transaction sees it: the snapshot's tree with its own writes
//! laid over.

use std::ops::Bound;

use crate::error::Result;
use crate::page::{Cell, ChildRef};
use crate::tree::{Cursor, Reader};
use crate::txn::{Write, WriteSet};

use super::part::{edited, visit_cell, visit_new};

/// Which entries, which way, how many.
#[derive(Clone, Copy, Debug)]
pub struct ScanRange<'a> {
    /// First key.
    pub low: Bound<&'a [u8]>,
    /// Last key.
    pub high: Bound<&'a [u8]>,
    /// From the end to the start.
    pub reverse: bool,
    /// Entries to visit at most.
    pub limit: usize,
    /// Stop after about this many bytes of keys and values.
    pub limit_bytes: usize,
    /// Do not read values: `visit` gets `None`.
    pub keys_only: bool,
}

impl Default for ScanRange<'_> {
    fn default() -> Self {
        Self {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            reverse: false,
            limit: usize::MAX,
            limit_bytes: usize::MAX,
            keys_only: false,
        }
    }
}

impl ScanRange<'_> {
    pub(super) fn is_empty(&self) -> bool {
        use Bound::{Excluded, Included, Unbounded};
        match (self.low, self.high) {
            (Unbounded, _) | (_, Unbounded) => false,
            (Included(low), Included(high)) => low > high,
            (Included(low) | Excluded(low), Included(high) | Excluded(high)) => low >= high,
        }
    }
}

/// Told of each entry: key, ride-along part, value.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8], Option<&[u8]>);

/// The tree's entries of a range, one at a time.
struct TreeStream<'p, 'r> {
    cursor: Cursor<'p, Reader<'r>>,
    range: &'p ScanRange<'p>,
    key: Vec<u8>,
    cell: Option<Cell<'p>>,
}

impl<'p, 'r> TreeStream<'p, 'r> {
    fn new(
        reader: &'p Reader<'r>,
        root: Option<ChildRef>,
        range: &'p ScanRange<'p>,
    ) -> Result<Self> {
        let cursor = match (range.reverse, range.low, range.high) {
            (false, low, _) => Cursor::seek(reader, root, low)?,
            (true, _, Bound::Unbounded) => Cursor::end(reader, root)?,
            // Behind the last entry that is inside.
            (true, _, Bound::Included(high)) => Cursor::seek(reader, root, Bound::Excluded(high))?,
            (true, _, Bound::Excluded(high)) => Cursor::seek(reader, root, Bound::Included(high))?,
        };
        let mut stream = Self {
            cursor,
            range,
            key: Vec::new(),
            cell: None,
        };
        stream.advance()?;
        Ok(stream)
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        let step = if self.range.reverse {
            self.cursor.previous()?
        } else {
            self.cursor.next()?
        };
        self.cell = None;
        let Some((leaf, index)) = step else {
            return Ok(());
        };
        self.key.clear();
        self.key.extend_from_slice(leaf.prefix());
        self.key.extend_from_slice(leaf.suffix(index));
        let inside = if self.range.reverse {
            match self.range.low {
                Bound::Unbounded => true,
                Bound::Included(low) => self.key.as_slice() >= low,
                Bound::Excluded(low) => self.key.as_slice() > low,
            }
        } else {
            match self.range.high {
                Bound::Unbounded => true,
                Bound::Included(high) => self.key.as_slice() <= high,
                Bound::Excluded(high) => self.key.as_slice() < high,
            }
        };
        if inside {
            self.cell = Some(Cell::decode(leaf.payload(index)));
        }
        Ok(())
    }
}

/// Visits the entries of `range`. The key after which more may follow, when a limit ended it.
pub(super) fn scan(
    reader: &Reader<'_>,
    root: Option<ChildRef>,
    writes: &WriteSet,
    range: &ScanRange<'_>,
    visit: Visit<'_>,
) -> Result<Option<Vec<u8>>> {
    if range.is_empty() || range.limit == 0 {
        return Ok(None);
    }
    let mut stream = TreeStream::new(reader, root, range)?;
    let mut own = writes.range(range.low, range.high);
    let mut next_own = |reverse: bool| if reverse { own.next_back() } else { own.next() };
    let mut write = next_own(range.reverse);
    let mut meter = Meter {
        items: 0,
        bytes: 0,
        range,
    };
    loop {
        let order = match (&stream.cell, write) {
            (None, None) => return Ok(None),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(_), Some((key, _))) if range.reverse => (**key).cmp(stream.key.as_slice()),
            (Some(_), Some((key, _))) => stream.key.as_slice().cmp(key),
        };
        let mut count = |key: &[u8], meta: &[u8], value: Option<&[u8]>| {
            meter.count(key, value);
            visit(key, meta, value);
        };
        let last = match (order, write) {
            (std::cmp::Ordering::Less, _) => {
                let cell = stream.cell.expect("the tree has the next entry");
                if range.keys_only {
                    count(&stream.key, cell.meta, None);
                } else {
                    visit_cell(reader, cell, |meta, value| {
                        count(&stream.key, meta, Some(value))
                    })?;
                }
                meter.full().then(|| stream.key.clone())
            }
            (order, Some((key, own))) => {
                let base = stream.cell.filter(|_| order.is_eq());
                visit_own(reader, key, base, own, range.keys_only, &mut count)?;
                write = next_own(range.reverse);
                meter.full().then(|| key.to_vec())
            }
            (_, None) => unreachable!("ordered before"),
        };
        if order.is_le() {
            stream.advance()?;
        }
        if let Some(last) = last {
            let more = stream.cell.is_some() || write.is_some();
            return Ok(more.then_some(last));
        }
    }
}

fn visit_own(
    reader: &Reader<'_>,
    key: &[u8],
    base: Option<Cell<'_>>,
    own: &Write,
    keys_only: bool,
    visit: Visit<'_>,
) -> Result<()> {
    match own {
        Write::Delete => Ok(()),
        Write::Put { meta, .. } if keys_only => {
            visit(key, meta, None);
            Ok(())
        }
        Write::Put { meta, value, .. } => {
            visit_new(reader.pager, reader.guard, meta, value, |m, v| {
                visit(key, m, Some(v))
            })
        }
        Write::Edit { .. } => {
            if let Some((meta, value)) = edited(reader, base, own)? {
                visit(key, &meta, (!keys_only).then_some(&value));
            }
            Ok(())
        }
    }
}

struct Meter<'a> {
    items: usize,
    bytes: usize,
    range: &'a ScanRange<'a>,
}

impl Meter<'_> {
    fn count(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.items += 1;
        self.bytes += key.len() + value.map_or(0, <[u8]>::len);
    }

    fn full(&self) -> bool {
        self.items >= self.range.limit || self.bytes >= self.range.limit_bytes
    }
}
