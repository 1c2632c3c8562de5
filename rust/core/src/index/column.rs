//! Items in one buffer: a piece that was read, or the items of one place in the rows of a join.

/// The number of an item where a row has none.
pub const NOTHING: u32 = u32::MAX;

/// Where an item lies, and ends in its turn: key, what rides along, value.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: usize,
    key_end: usize,
    meta_end: usize,
    end: usize,
}

/// An item in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinItem<'a> {
    /// Its key in its store.
    pub key: &'a [u8],
    /// What rides along.
    pub meta: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Items behind each other.
#[derive(Debug, Default)]
pub(super) struct Items {
    bytes: Vec<u8>,
    extents: Vec<Extent>,
}

impl Items {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.extents.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.extents.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, item: JoinItem<'_>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(item.key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(item.meta);
        let meta_end = self.bytes.len();
        self.bytes.extend_from_slice(item.value);
        self.extents.push(Extent {
            start,
            key_end,
            meta_end,
            end: self.bytes.len(),
        });
    }

    /// Appends an item of others as it lies there.
    pub(super) fn push_from(&mut self, others: &Self, index: usize) {
        let at = others.extents[index];
        let start = self.bytes.len();
        self.bytes
            .extend_from_slice(&others.bytes[at.start..at.end]);
        self.extents.push(Extent {
            start,
            key_end: start + (at.key_end - at.start),
            meta_end: start + (at.meta_end - at.start),
            end: self.bytes.len(),
        });
    }

    pub(super) fn get(&self, index: usize) -> JoinItem<'_> {
        let at = self.extents[index];
        JoinItem {
            key: &self.bytes[at.start..at.key_end],
            meta: &self.bytes[at.key_end..at.meta_end],
            value: &self.bytes[at.meta_end..at.end],
        }
    }
}

/// One place of the rows that were made: its items, each once, and which of them every row has.
#[derive(Debug, Default)]
pub struct Column {
    pub(super) items: Items,
    pub(super) rows: Vec<u32>,
}

impl Column {
    /// An empty one with room for what this one has.
    pub(super) fn next(&self) -> Self {
        Self {
            items: Items {
                bytes: Vec::with_capacity(self.items.bytes.len()),
                extents: Vec::with_capacity(self.items.extents.len()),
            },
            rows: Vec::with_capacity(self.rows.len()),
        }
    }

    /// The items in the order in which they were found.
    pub fn items(&self) -> impl ExactSizeIterator<Item = JoinItem<'_>> {
        (0..self.items.len()).map(|index| self.items.get(index))
    }

    /// For every row the number of its item, or `NOTHING`.
    pub fn into_rows(self) -> Vec<u32> {
        self.rows
    }

    /// Has every row an item of its own?
    pub fn is_even(&self) -> bool {
        // Items are numbered as rows come to them, so as many items as rows are one for each.
        self.items.len() == self.rows.len() && !self.rows.contains(&NOTHING)
    }
}
