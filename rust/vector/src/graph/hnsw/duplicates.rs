//! Rows that are equal to others, byte for byte.
//!
//! A graph over equal rows falls apart: their links go to each other alone. So the first of equal rows stands for all of them
//! in the graph (it is their *head*), the others are listed behind it and come with it wherever it is found.
//!
//! D1. Heads ascend, the members of a group ascend, no slot is twice in the lists.

use xxhash_rust::xxh3::xxh3_64;

/// Groups of equal rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) heads: Vec<u32>,
    /// Where each group's members begin, and the end of the last.
    pub(super) offsets: Vec<u32>,
    pub(super) members: Vec<u32>,
}

/// Find all groups. Of equal rows the first becomes head, those that `prefer` is true for before others.
pub(super) fn find(rows: &[u8], row: usize, prefer: impl Fn(u32) -> bool) -> Groups {
    let bytes = |slot: u32| &rows[slot as usize * row..][..row];
    let mut hashed: Vec<(u64, bool, u32)> = rows
        .chunks_exact(row)
        .zip(0..)
        .map(|(bytes, slot)| (xxh3_64(bytes), !prefer(slot), slot))
        .collect();
    hashed.sort_unstable();
    let mut groups: Vec<(u32, Vec<u32>)> = Vec::new();
    for same_hash in hashed.chunk_by(|one, other| one.0 == other.0) {
        if same_hash.len() == 1 {
            continue;
        }
        // Unequal rows of one hash are possible, if unlikely: one group for each.
        let first = groups.len();
        for &(_, _, slot) in same_hash {
            match groups[first..]
                .iter_mut()
                .find(|group| bytes(group.0) == bytes(slot))
            {
                Some(group) => group.1.push(slot),
                None => groups.push((slot, Vec::new())),
            }
        }
    }
    groups.retain(|group| !group.1.is_empty());
    groups.sort_unstable();
    let mut found = Groups::default();
    for (head, mut members) in groups {
        members.sort_unstable();
        found.heads.push(head);
        found.offsets.push(found.members.len() as u32);
        found.members.extend(members);
    }
    found.offsets.push(found.members.len() as u32);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_are_listed_behind_the_first_of_them() {
        let rows = b"aabbaaccbbaadd";
        let groups = find(rows, 2, |_| true);
        assert_eq!(groups.heads, [0, 1]);
        assert_eq!(groups.offsets, [0, 2, 3]);
        assert_eq!(groups.members, [2, 5, 4]);
        let groups = find(rows, 2, |slot| slot == 5);
        assert_eq!(groups.heads, [1, 5]);
        assert_eq!(groups.members, [4, 0, 2]);
        assert_eq!(find(b"abcd", 1, |_| true).offsets, [0]);
        assert_eq!(find(b"", 1, |_| true).offsets, [0]);
    }
}
