//! What an index is: the options of its entry in the catalogue. An index is a store of its own (`INDEX_KIND`), with a name
//! that no user gives, and belongs to the store whose entries it orders.
//!
//! ```text
//! options    := 1 store:bytes name:bytes flags:8 key_shape count:varint field* [reference]
//! flags      := 1 unique | 2 a reference follows
//! key_shape  := flags:8 count:varint direction:8*     1 unique | 2 a record; a direction for each field of its key
//! field      := source:8 direction:8 content          direction: 1 ascending, 0 descending
//! source     := 0 of the value, content path:bytes | 1 of the key, content position:varint | 2 rides along, path:bytes
//! reference  := target:bytes key_shape on_delete:8    0 restrict, 1 cascade
//! name in the catalogue := 00 "index" 00 store 00 name
//! ```

use crate::wire::{Put, Take};

/// Kinds from here on are the engine's own: what they hold is kept with the entries of other stores.
pub(super) const ENGINE_KIND_MIN: u8 = 32;
/// The kind of a store that is an index.
pub const INDEX_KIND: u8 = ENGINE_KIND_MIN;
/// Most fields of an index.
pub const INDEX_FIELDS_MAX: usize = 32;

const FORMAT: u8 = 1;
const NAME_START: &str = "\0index\0";
const UNIQUE: u8 = 1;
const REFERENCE: u8 = 2;
const RECORD: u8 = 2;

/// How the keys of a store are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShape {
    /// A key is there once only; otherwise an item id of 16 bytes follows it.
    pub unique: bool,
    /// For each field of record keys, whether it ascends; `None` for single keys.
    pub fields: Option<Vec<bool>>,
}

/// Where a field of an index is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// In the value: names joined by dots.
    Value(String),
    /// The element of the key at this position; 0 of a single key is all of it.
    Key(usize),
    /// In what rides along with the key.
    Ride(String),
}

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexField {
    /// Where it is found.
    pub source: FieldSource,
    /// In which direction it is ordered.
    pub ascending: bool,
}

/// What happens to entries that refer to one that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It is not removed.
    Restrict,
    /// They are removed too.
    Cascade,
}

/// The fields of the index are the key of an entry in another store, which must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Name of that store.
    pub store: String,
    /// How its keys are laid out.
    pub key: KeyShape,
    /// What happens when it is removed.
    pub on_delete: OnDelete,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDefinition {
    /// Name of the store it belongs to.
    pub store: String,
    /// Its own name, unique within that store.
    pub name: String,
    /// One combination of the fields is there once only.
    pub unique: bool,
    /// How the keys of that store are laid out.
    pub key: KeyShape,
    /// What it is ordered by, the first field first.
    pub fields: Vec<IndexField>,
    /// Whether the fields refer to another store.
    pub reference: Option<Reference>,
}

impl IndexDefinition {
    /// The name its store has in the catalogue.
    pub fn catalogue_name(&self) -> String {
        format!("{NAME_START}{}\0{}", self.store, self.name)
    }

    /// The options its store has in the catalogue.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.put_bytes(self.store.as_bytes());
        out.put_bytes(self.name.as_bytes());
        let reference = if self.reference.is_some() {
            REFERENCE
        } else {
            0
        };
        out.push((u8::from(self.unique) * UNIQUE) | reference);
        put_shape(&mut out, &self.key);
        out.put_varint(self.fields.len() as u64);
        for IndexField { source, ascending } in &self.fields {
            let (code, path, position) = match source {
                FieldSource::Value(path) => (0, path.as_str(), 0),
                FieldSource::Key(position) => (1, "", *position),
                FieldSource::Ride(path) => (2, path.as_str(), 0),
            };
            out.extend([code, u8::from(*ascending)]);
            if code == 1 {
                out.put_varint(position as u64);
            } else {
                out.put_bytes(path.as_bytes());
            }
        }
        if let Some(reference) = &self.reference {
            out.put_bytes(reference.store.as_bytes());
            put_shape(&mut out, &reference.key);
            out.push(u8::from(reference.on_delete == OnDelete::Cascade));
        }
        out
    }

    /// Reads such options; `None` when they make no sense, or are of a version this one does not know.
    pub fn decode(options: &[u8]) -> Option<Self> {
        let mut take = Take::new(options);
        if take.byte()? != FORMAT {
            return None;
        }
        let store = text(&mut take)?;
        let name = text(&mut take)?;
        let flags = take.byte()?;
        let key = take_shape(&mut take)?;
        let count = usize::try_from(take.varint()?).ok()?;
        if flags & !(UNIQUE | REFERENCE) != 0 || count == 0 || count > INDEX_FIELDS_MAX {
            return None;
        }
        let mut fields = Vec::with_capacity(count);
        for _ in 0..count {
            let code = take.byte()?;
            let ascending = truth(&mut take)?;
            let source = match code {
                0 => FieldSource::Value(text(&mut take)?),
                1 => FieldSource::Key(usize::try_from(take.varint()?).ok()?),
                2 => FieldSource::Ride(text(&mut take)?),
                _ => return None,
            };
            fields.push(IndexField { source, ascending });
        }
        let reference = if flags & REFERENCE == 0 {
            None
        } else {
            Some(Reference {
                store: text(&mut take)?,
                key: take_shape(&mut take)?,
                on_delete: if truth(&mut take)? {
                    OnDelete::Cascade
                } else {
                    OnDelete::Restrict
                },
            })
        };
        take.is_empty().then_some(Self {
            store,
            name,
            unique: flags & UNIQUE != 0,
            key,
            fields,
            reference,
        })
    }
}

fn put_shape(out: &mut Vec<u8>, shape: &KeyShape) {
    let record = if shape.fields.is_some() { RECORD } else { 0 };
    out.push((u8::from(shape.unique) * UNIQUE) | record);
    let fields = shape.fields.as_deref().unwrap_or_default();
    out.put_varint(fields.len() as u64);
    out.extend(fields.iter().map(|ascending| u8::from(*ascending)));
}

fn take_shape(take: &mut Take<'_>) -> Option<KeyShape> {
    let flags = take.byte()?;
    let count = usize::try_from(take.varint()?).ok()?;
    let directions = take.raw(count)?;
    if flags & !(UNIQUE | RECORD) != 0 || directions.iter().any(|direction| *direction > 1) {
        return None;
    }
    let fields = directions.iter().map(|direction| *direction == 1).collect();
    Some(KeyShape {
        unique: flags & UNIQUE != 0,
        fields: (flags & RECORD != 0).then_some(fields),
    })
}

fn text(take: &mut Take<'_>) -> Option<String> {
    String::from_utf8(take.bytes()?.to_vec()).ok()
}

fn truth(take: &mut Take<'_>) -> Option<bool> {
    match take.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_back_and_nothing_else_does() {
        let field = |source, ascending| IndexField { source, ascending };
        let definition = IndexDefinition {
            store: "orders".to_owned(),
            name: "by_user".to_owned(),
            unique: true,
            key: KeyShape {
                unique: false,
                fields: Some(vec![true, false]),
            },
            fields: vec![
                field(FieldSource::Value("a.b".to_owned()), true),
                field(FieldSource::Key(1), false),
                field(FieldSource::Ride("seen".to_owned()), true),
            ],
            reference: Some(Reference {
                store: "users".to_owned(),
                key: KeyShape {
                    unique: true,
                    fields: None,
                },
                on_delete: OnDelete::Cascade,
            }),
        };
        let options = definition.encode();
        assert_eq!(IndexDefinition::decode(&options), Some(definition));
        for length in 0..options.len() {
            assert_eq!(IndexDefinition::decode(&options[..length]), None);
        }
        let mut newer = options;
        newer[0] = 2;
        assert_eq!(IndexDefinition::decode(&newer), None);
    }
}
