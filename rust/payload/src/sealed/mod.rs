//! Columns that are read from bytes where they lie, without a copy.
//!
//! ```text
//!  0         8       12      16
//! +---------+-------+-------+--------------------+-----------------------------
//! | magic   | slots | fields| field table        | what its rows point to
//! +---------+-------+-------+--------------------+-----------------------------
//! ```
//!
//! A row of the field table, 72 bytes, rows sorted by the field's name; numbers are little-endian:
//!
//! ```text
//!  0  u64 at of the name          8  u32 its length          12  u32 1 when every slot has exactly one value
//! 16  u64 at of the slots that have the field, u32 each      24  u32 their number, or all slots: then none are stored
//! 28  u32 number of keys
//! 32  u64 at of the keys' ends, u32 each                     40  u64 at of the keys, sorted, end to end
//! 48  u64 at of the postings' ends, u32 each                 56  u64 at of the postings: slots, u32 each, sorted per key
//! 64  u64 number of postings
//! ```
//!
//! D1 whatever the bytes are, reading ends with an error instead of a panic: a slot at or above `slots`, an end below
//!    its beginning, a place outside. The order of keys and postings is not looked at; the checksum of the file that
//!    holds the columns covers it.

mod open;
mod write;

pub use open::SealedColumns;
pub use write::{DROPPED, Part, Plan, Renumber, Sealable, seal};

const MAGIC: [u8; 8] = *b"SOPACOL1";
const HEADER_BYTES: usize = 16;
const ROW_BYTES: usize = 72;

#[cfg(test)]
mod tests {
    use super::{DROPPED, Part, SealedColumns, seal};
    use crate::{Columns, Error, Fields, Filter};

    fn packed(pairs: &[(&str, u8)]) -> Vec<u8> {
        let mut out = vec![0x80 | pairs.len() as u8];
        for (name, value) in pairs {
            out.push(0xA0 | name.len() as u8);
            out.extend(name.bytes());
            out.push(*value);
        }
        out
    }

    fn equal(field: &str, value: u8) -> Filter {
        let mut out = vec![0x93, 0xA2, b'e', b'q', 0xA0 | field.len() as u8];
        out.extend(field.bytes());
        out.push(value);
        Filter::parse(&out).expect("a filter")
    }

    #[test]
    fn nothing_sealed_is_still_something_to_open() {
        let bytes = seal(&[]).expect("seals");
        let sealed = SealedColumns::open(&bytes[..]).expect("opens");
        assert!(sealed.is_empty());
        assert_eq!(sealed.select(&equal("a", 1)).expect("selects").count(), 0);
    }

    #[test]
    fn merging_keeps_what_is_mapped_and_drops_the_rest() {
        let mut first = Columns::new();
        let mut second = Columns::new();
        for slot in 0..50_u8 {
            first
                .push(&packed(&[("a", slot % 5), ("b", 1)]))
                .expect("packed");
            second.push(&packed(&[("a", slot % 7)])).expect("packed");
        }
        let early = seal(&[Part::whole(&first)]).expect("seals");
        let early = SealedColumns::open(&early[..]).expect("opens");
        // Interleaved: even slots from the sealed ones, odd ones from memory; every tenth is dead.
        let place = |slot: u32, odd: u32| {
            if slot % 10 == 9 {
                DROPPED
            } else {
                (slot - slot / 10) * 2 + odd
            }
        };
        let of_early: Vec<u32> = (0..50).map(|slot| place(slot, 0)).collect();
        let of_second: Vec<u32> = (0..50).map(|slot| place(slot, 1)).collect();
        let merged = seal(&[
            Part::mapped(&early, &of_early),
            Part::mapped(&second, &of_second),
        ])
        .expect("seals");
        let merged = SealedColumns::open(&merged[..]).expect("opens");
        assert_eq!(merged.slots(), 90);
        for value in 0..7 {
            let mut expected: Vec<u32> = (0..50)
                .flat_map(|slot| [(slot, 0, slot % 5), (slot, 1, slot % 7)])
                .filter(|&(slot, _, found)| slot % 10 != 9 && found == u32::from(value))
                .map(|(slot, odd, _)| place(slot, odd))
                .collect();
            expected.sort_unstable();
            let found = merged.select(&equal("a", value)).expect("selects");
            assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }
        assert_eq!(merged.select(&equal("b", 1)).expect("selects").count(), 45);
    }

    #[test]
    fn a_field_of_dropped_slots_only_is_gone() {
        let mut columns = Columns::new();
        columns.push(&packed(&[("a", 1)])).expect("packed");
        columns.push(&packed(&[("b", 1)])).expect("packed");
        let bytes = seal(&[Part::mapped(&columns, &[DROPPED, 0])]).expect("seals");
        let sealed = SealedColumns::open(&bytes[..]).expect("opens");
        assert_eq!(sealed.field_names(), ["b"]);
    }

    #[test]
    fn what_is_no_sealing_is_refused() {
        assert!(matches!(
            SealedColumns::open(&b"SOPACOL2 and more bytes"[..]),
            Err(Error::Damaged { .. })
        ));
        assert!(matches!(
            SealedColumns::open(&b""[..]),
            Err(Error::Damaged { .. })
        ));
    }
}
