//! Rows that are equal to others, byte for byte.
//!
//! A graph over equal rows falls apart: their links go to each other alone. So the first of equal rows stands for all of them
//! in the graph (it is their *head*), the others are listed behind it and come with it wherever it is found.
//!
//! D1. Heads ascend, the members of a group ascend, no slot is twice in the lists.

use xxhash_rust::xxh3::xxh3_64;

/// Groups of equal rows: pairs of head and member, in the order of both. 32 bits each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups<'a> {
    pairs: &'a [u64],
}

impl Groups<'_> {
    fn groups(&self) -> impl Iterator<Item = &[u64]> + Clone {
        self.pairs.chunk_by(|one, other| one >> 32 == other >> 32)
    }

    /// The head of each group.
    pub(super) fn heads(&self) -> impl Iterator<Item = u32> + Clone {
        self.groups().map(|pairs| (pairs[0] >> 32) as u32)
    }

    /// Where each group's members begin, and the end of the last.
    pub(super) fn offsets(&self) -> impl Iterator<Item = u32> + Clone {
        let mut end = 0;
        let ends = self.groups().map(move |pairs| {
            end += pairs.len() as u32;
            end
        });
        std::iter::once(0).chain(ends)
    }

    /// The members of all groups.
    pub(super) fn members(&self) -> impl ExactSizeIterator<Item = u32> + Clone {
        self.pairs.iter().map(|pair| *pair as u32)
    }
}

/// Find all groups. Of equal rows the first becomes head, those that `prefer` is true for before others. `hashed` and `pairs`
/// are room for an entry of each row.
pub(super) fn find<'a>(
    rows: &[u8],
    row: usize,
    prefer: impl Fn(u32) -> bool,
    hashed: &mut [[u64; 2]],
    pairs: &'a mut [u64],
) -> Groups<'a> {
    let bytes = |slot: u32| &rows[slot as usize * row..][..row];
    for (hashed, slot) in hashed.iter_mut().zip(0..) {
        let last = u64::from(!prefer(slot)) << 32;
        *hashed = [xxh3_64(bytes(slot)), last | u64::from(slot)];
    }
    hashed.sort_unstable();
    let (mut heads, mut count) = (Vec::new(), 0);
    for same_hash in hashed.chunk_by(|one, other| one[0] == other[0]) {
        // Unequal rows of one hash are possible, if unlikely: one group for each.
        heads.clear();
        for slot in same_hash.iter().map(|row| row[1] as u32) {
            match heads.iter().find(|&&head| bytes(head) == bytes(slot)) {
                Some(&head) => {
                    pairs[count] = u64::from(head) << 32 | u64::from(slot);
                    count += 1;
                }
                None => heads.push(slot),
            }
        }
    }
    let pairs = &mut pairs[..count];
    pairs.sort_unstable();
    Groups { pairs }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Heads, offsets and members.
    fn found(rows: &[u8], row: usize, prefer: impl Fn(u32) -> bool) -> [Vec<u32>; 3] {
        let count = rows.len() / row;
        let (mut hashed, mut pairs) = (vec![[0; 2]; count], vec![0; count]);
        let groups = find(rows, row, prefer, &mut hashed, &mut pairs);
        [
            groups.heads().collect(),
            groups.offsets().collect(),
            groups.members().collect(),
        ]
    }

    #[test]
    fn equal_rows_are_listed_behind_the_first_of_them() {
        let rows = b"aabbaaccbbaadd";
        let none: Vec<u32> = Vec::new();
        assert_eq!(
            found(rows, 2, |_| true),
            [vec![0, 1], vec![0, 2, 3], vec![2, 5, 4]]
        );
        let [heads, _, members] = found(rows, 2, |slot| slot == 5);
        assert_eq!((heads, members), (vec![1, 5], vec![4, 0, 2]));
        assert_eq!(
            found(b"abcd", 1, |_| true),
            [none.clone(), vec![0], none.clone()]
        );
        assert_eq!(found(b"", 1, |_| true), [none.clone(), vec![0], none]);
    }
}
