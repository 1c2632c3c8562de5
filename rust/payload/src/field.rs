//! One field of a payload as it stands there: what an index is made of, where a filter would look into lists too.

use crate::error::Result;
use crate::msgpack::{Item, Reader};

/// What stands at `path`, whose dots lead into maps; `None` when the payload has no such field, or is no map. Of a
/// container only its count is given, and its elements are in the reader's rest.
pub fn field<'a>(payload: &'a [u8], path: &str) -> Result<Option<Item<'a>>> {
    let mut reader = Reader::new(payload);
    match reader.item()? {
        Item::Map(count) => in_map(&mut reader, count, path.as_bytes()),
        _ => Ok(None),
    }
}

/// The reader is behind the map afterwards when the answer is none.
fn in_map<'a>(reader: &mut Reader<'a>, count: usize, path: &[u8]) -> Result<Option<Item<'a>>> {
    for _ in 0..count {
        let key = reader.item()?;
        let rest = match key {
            Item::Str(key) => path.strip_prefix(key),
            _ => {
                reader.skip_rest(key)?;
                None
            }
        };
        let value = reader.item()?;
        let found = match (rest, value) {
            (Some([]), value) => Some(value),
            (Some([b'.', below @ ..]), Item::Map(count)) => in_map(reader, count, below)?,
            _ => {
                reader.skip_rest(value)?;
                None
            }
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// {"a": {"b": 1, "c.d": 2}, 3: [], "b": [1], "a.b": 4, "é": "x"}
    const PAYLOAD: &[u8] =
        b"\x85\xA1a\x82\xA1b\x01\xA3c.d\x02\x03\x90\xA1b\x91\x01\xA3a.b\x04\xA2\xC3\xA9\xA1x";

    fn at(path: &str) -> Option<Item<'static>> {
        field(PAYLOAD, path).expect("it is well formed")
    }

    #[test]
    fn dots_lead_into_maps_and_the_first_that_fits_is_taken() {
        assert_eq!(at("a.b"), Some(Item::Int(1)));
        assert_eq!(at("a.c.d"), Some(Item::Int(2)));
        assert_eq!(at("a"), Some(Item::Map(2)));
        assert_eq!(at("b"), Some(Item::Array(1)));
        assert_eq!(at("é"), Some(Item::Str(b"x")));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for path in ["", "c", "a.", "a.x", "b.c", "a.b.c", "A"] {
            assert_eq!(at(path), None, "{path}");
        }
        assert_eq!(field(b"\x01", "a"), Ok(None));
    }

    #[test]
    fn every_cut_is_an_error_or_an_answer() {
        for length in 0..PAYLOAD.len() {
            let _ = field(&PAYLOAD[..length], "é");
        }
        assert!(field(b"", "a").is_err());
    }
}
