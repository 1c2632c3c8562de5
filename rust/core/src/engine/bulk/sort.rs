//! Entries collected in memory, and put in order.

/// A collected entry.
#[derive(Clone, Copy)]
struct Row {
    /// Eight bytes of the key behind what all keys share, as a number that orders like them.
    head: u64,
    start: u64,
    key: u32,
    payload: u32,
}

/// Collected entries; of those with equal keys, the one that came last is first in order.
#[derive(Default)]
pub(super) struct SortBuffer {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl SortBuffer {
    pub(super) fn push(&mut self, key: &[u8], payload: &[u8]) {
        let start = self.bytes.len() as u64;
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(payload);
        self.rows.push(Row {
            head: 0,
            start,
            key: key.len() as u32,
            payload: payload.len() as u32,
        });
    }

    /// Memory in use.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<Row>()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Puts the entries in order.
    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |row: &Row| &bytes[row.start as usize..][..row.key as usize];
        let Some(first) = self.rows.first().map(key) else {
            return;
        };
        let shared = self.rows.iter().fold(first.len(), |shared, row| {
            let both = first[..shared].iter().zip(key(row));
            both.take_while(|(a, b)| a == b).count()
        });
        for row in &mut self.rows {
            let rest = &bytes[row.start as usize..][..row.key as usize][shared..];
            row.head = head(rest);
        }
        self.rows.sort_unstable_by(|a, b| {
            a.head
                .cmp(&b.head)
                .then_with(|| key(a)[shared..].cmp(&key(b)[shared..]))
                .then_with(|| b.start.cmp(&a.start))
        });
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let row = &self.rows[index];
        &self.bytes[row.start as usize..][..row.key as usize]
    }

    pub(super) fn payload(&self, index: usize) -> &[u8] {
        let row = &self.rows[index];
        &self.bytes[row.start as usize + row.key as usize..][..row.payload as usize]
    }
}

fn head(rest: &[u8]) -> u64 {
    if let Some(whole) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*whole);
    }
    let mut padded = [0; 8];
    padded[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_come_out_in_order_and_of_equal_ones_the_newest_first() {
        let mut state = 1u64;
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut buffer = SortBuffer::default();
        for number in 0..5000u32 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let length = (state >> 60) as usize;
            let key: Vec<u8> = (0..length)
                .map(|i| (state >> (8 + 3 * i)) as u8 & 3)
                .collect();
            let key = [b"same".as_slice(), &key].concat();
            buffer.push(&key, &number.to_le_bytes());
            model.push((key, number.to_le_bytes().to_vec()));
        }
        buffer.sort();
        model.reverse();
        model.sort_by(|a, b| a.0.cmp(&b.0));
        for (index, (key, payload)) in model.iter().enumerate() {
            assert_eq!(
                (buffer.key(index), buffer.payload(index)),
                (key.as_slice(), payload.as_slice())
            );
        }
    }
}
