//! The entry of an item in an index: its fields as key elements, then its key.

use sopasync_payload::{Item, Reader, extension, field};

use crate::error::{Error, Result};
use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::limits::KEY_BYTES_MAX;
use crate::txn::{FieldSource, IndexDefinition, IndexField, KeyShape};

/// Length of an item id behind the key in a store where keys repeat.
const ITEM_ID_BYTES: usize = 16;
/// Tuples nest at most this deep.
const DEPTH_MAX: usize = 64;
const STR_TAG: u8 = crate::key::STR;
const BYTES_TAG: u8 = crate::key::BYTES;

/// Makes the entries of one index; keeps its buffers.
#[derive(Debug, Default)]
pub struct Entries {
    fields: Vec<u8>,
}

/// Why a field cannot be part of an index.
enum Refusal {
    Reason(String),
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { reason } => Self::Reason(reason),
            Error::KeyTooLong { length, limit } => Self::Reason(format!(
                "it has {length} bytes when encoded, and {limit} are accepted"
            )),
            error => Self::Failed(error),
        }
    }
}

impl From<sopasync_payload::Error> for Refusal {
    fn from(error: sopasync_payload::Error) -> Self {
        Self::Failed(Error::corruption("a value", 0, error.to_string()))
    }
}

impl Entries {
    /// The elements of an item's fields; `None` when it lacks one of them.
    pub fn fields(
        &mut self,
        index: &IndexDefinition,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
    ) -> Result<Option<&[u8]>> {
        self.fields.clear();
        for field in &index.fields {
            match push_field(&mut self.fields, &index.key, field, key, meta, value) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(Refusal::Failed(error)) => return Err(error),
                Err(Refusal::Reason(reason)) => {
                    return Err(not_indexable(index, &name_of(&field.source), reason));
                }
            }
        }
        let length = self.fields.len() + if index.unique { 0 } else { key.len() };
        if length > KEY_BYTES_MAX {
            let reason = format!(
                "fields and key together have {length} bytes, and {KEY_BYTES_MAX} are accepted"
            );
            return Err(not_indexable(index, &names_of(index), reason));
        }
        Ok(Some(&self.fields))
    }

    /// The row of an item in the index: key and value; `None` when it lacks a field.
    pub fn row(
        &mut self,
        index: &IndexDefinition,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(fields) = self.fields(index, key, meta, value)? else {
            return Ok(None);
        };
        Ok(Some(if index.unique {
            (fields.to_vec(), key.to_vec())
        } else {
            ([fields, key].concat(), Vec::new())
        }))
    }
}

fn not_indexable(index: &IndexDefinition, field: &str, reason: String) -> Error {
    Error::NotIndexable {
        index: index.name.clone(),
        field: field.to_owned(),
        reason,
    }
}

fn name_of(source: &FieldSource) -> String {
    match source {
        FieldSource::Value(path) => path.clone(),
        FieldSource::Ride(path) => format!("key.{path}"),
        FieldSource::Key(position) => format!("key, element {position}"),
    }
}

fn names_of(index: &IndexDefinition) -> String {
    let names: Vec<_> = index
        .fields
        .iter()
        .map(|field| name_of(&field.source))
        .collect();
    names.join(", ")
}

/// Appends the element of a field; false when the item lacks it.
fn push_field(
    out: &mut Vec<u8>,
    shape: &KeyShape,
    wanted: &IndexField,
    key: &[u8],
    meta: &[u8],
    value: &[u8],
) -> std::result::Result<bool, Refusal> {
    let start = out.len();
    let payload = match &wanted.source {
        FieldSource::Value(_) => value,
        FieldSource::Ride(_) => meta,
        FieldSource::Key(position) => {
            push_key_element(out, shape, *position, key)?;
            &[]
        }
    };
    if let FieldSource::Value(path) | FieldSource::Ride(path) = &wanted.source {
        if payload.is_empty() {
            return Ok(false);
        }
        let Some(item) = field(payload, path)? else {
            return Ok(false);
        };
        push_item(&mut KeyWriter::new(out), item, 0)?;
    }
    if !wanted.ascending {
        KeyWriter::new(out).descend_since(start);
    }
    Ok(true)
}

fn push_item(
    writer: &mut KeyWriter<'_>,
    item: Item<'_>,
    depth: usize,
) -> std::result::Result<(), Refusal> {
    match item {
        Item::Nil => writer.null(),
        Item::Bool(truth) => writer.bool(truth),
        Item::Int(value) => writer.int(value),
        Item::Unsigned(value) => writer.big_int(false, &value.to_be_bytes())?,
        Item::Float(value) => writer.float(value)?,
        Item::Str(text) => {
            let text = std::str::from_utf8(text)
                .map_err(|_| Refusal::Reason("it is a text that is not UTF-8".to_owned()))?;
            writer.str(text)?;
        }
        Item::Bytes(content) => writer.bytes(content)?,
        Item::Map(_) => return Err(refused("a dict")),
        Item::Array(_) => return Err(refused("a list")),
        Item::Extension(code, content) => return push_extension(writer, code, content, depth),
    }
    Ok(())
}

fn refused(what: &str) -> Refusal {
    Refusal::Reason(format!("it is {what}, which has no place in an order"))
}

fn push_extension(
    writer: &mut KeyWriter<'_>,
    code: i8,
    content: &[u8],
    depth: usize,
) -> std::result::Result<(), Refusal> {
    match (code, content.len()) {
        (extension::BIG_INT, 1..) => {
            let negative = content[0] >= 0x80;
            writer.big_int(negative, &magnitude(content, negative))?;
        }
        (extension::UUID, 16) => writer.uuid(content.try_into().expect("16 bytes")),
        // The local reading minus the offset is the moment.
        (extension::DATETIME, 16) => {
            writer.datetime(i64_at(content, 0).wrapping_sub(i64_at(content, 8)));
        }
        (extension::NAIVE_DATETIME, 9) => writer.naive_datetime(i64_at(content, 0)),
        (extension::DATE, 4) => {
            writer.date(i32::from_be_bytes(content.try_into().expect("4 bytes")));
        }
        (extension::TUPLE, _) if depth < DEPTH_MAX => {
            let mut reader = Reader::new(content);
            let Item::Array(count) = reader.item()? else {
                return Err(refused("no tuple"));
            };
            writer.begin_tuple();
            for _ in 0..count {
                let item = reader.item()?;
                push_item(writer, item, depth + 1)?;
            }
            writer.end_tuple();
        }
        (extension::SET | extension::FROZENSET, _) => return Err(refused("a set")),
        (extension::DECIMAL, _) => return Err(refused("a Decimal")),
        (extension::TIME, _) => return Err(refused("a time without a date")),
        (extension::TIMEDELTA, _) => return Err(refused("a timedelta")),
        (extension::SCALAR, _) => return Err(refused("a scalar of numpy")),
        _ => return Err(refused("an array, or of a type that keys do not have")),
    }
    Ok(())
}

fn magnitude(content: &[u8], negative: bool) -> Vec<u8> {
    let mut magnitude = content.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (flipped, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (flipped, over);
        }
    }
    magnitude
}

fn i64_at(content: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(content[at..at + 8].try_into().expect("8 bytes"))
}

/// Appends an element of a key as an ascending element.
fn push_key_element(
    out: &mut Vec<u8>,
    shape: &KeyShape,
    position: usize,
    key: &[u8],
) -> std::result::Result<(), Refusal> {
    let key = if shape.unique {
        key
    } else {
        let end = key.len().checked_sub(ITEM_ID_BYTES);
        &key[..end.ok_or_else(|| Error::corruption("a key", 0, "it is too short"))?]
    };
    let Some(fields) = &shape.fields else {
        return push_single(out, shape, key);
    };
    let mut reader = KeyReader::new(key);
    for (place, ascending) in fields.iter().enumerate() {
        let element = take_element(&mut reader, !ascending)?;
        if place == position {
            out.extend(
                element
                    .iter()
                    .map(|byte| if *ascending { *byte } else { !byte }),
            );
            return Ok(());
        }
    }
    Err(Refusal::Reason(format!(
        "keys have {} elements",
        fields.len()
    )))
}

/// A single key: in a unique store a text or bytes is in bare form.
fn push_single(
    out: &mut Vec<u8>,
    shape: &KeyShape,
    key: &[u8],
) -> std::result::Result<(), Refusal> {
    if shape.unique && matches!(key.first(), Some(&STR_TAG | &BYTES_TAG)) {
        let part = KeyReader::new(key).bare()?;
        KeyWriter::new(out).part(&part)?;
    } else {
        out.extend_from_slice(key);
    }
    Ok(())
}

/// The bytes of the next element.
fn take_element<'k>(reader: &mut KeyReader<'k>, descending: bool) -> Result<&'k [u8]> {
    let before = reader.rest();
    let mut depth = 0_usize;
    if !descending && reader.small_whole().is_some() {
        return Ok(&before[..before.len() - reader.rest().len()]);
    }
    loop {
        match reader.part(descending)? {
            KeyPart::TupleStart => depth += 1,
            KeyPart::TupleEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Ok(&before[..before.len() - reader.rest().len()]);
        }
    }
}

/// The key, in a store of this shape, whose elements these are, one for each direction in `directions`; of a store where
/// keys repeat what all its items begin with. `None` when there are more of them than the key has, or, in a store of single
/// keys, not one. Fewer elements give a prefix of keys.
pub fn target_key(
    elements: &[u8],
    directions: &[bool],
    shape: &KeyShape,
) -> Result<Option<Vec<u8>>> {
    let mut out = Vec::with_capacity(elements.len());
    let is_one = push_target_key(&mut out, elements, directions, shape)?;
    Ok(is_one.then_some(out))
}

/// The same into an empty buffer; false where `target_key` gives none.
pub(super) fn push_target_key(
    out: &mut Vec<u8>,
    elements: &[u8],
    directions: &[bool],
    shape: &KeyShape,
) -> Result<bool> {
    debug_assert!(out.is_empty());
    let own = match &shape.fields {
        Some(own) if directions.len() <= own.len() => own.as_slice(),
        None if directions.len() == 1 => &[true],
        _ => return Ok(false),
    };
    let mut reader = KeyReader::new(elements);
    for (ascending, wanted) in directions.iter().zip(own) {
        let element = take_element(&mut reader, !ascending)?;
        if ascending == wanted {
            out.extend_from_slice(element);
        } else {
            out.extend(element.iter().map(|byte| !byte));
        }
    }
    if shape.fields.is_none() && shape.unique && matches!(out.first(), Some(&STR_TAG | &BYTES_TAG))
    {
        let part = KeyReader::new(out).part(false)?;
        let mut bare = Vec::with_capacity(out.len());
        let mut writer = KeyWriter::new(&mut bare);
        match &part {
            KeyPart::Str(text) => writer.bare_str(text)?,
            KeyPart::Bytes(content) => writer.bare_bytes(content)?,
            _ => unreachable!("its tag says so"),
        }
        *out = bare;
    }
    Ok(true)
}

/// Where the fields of an entry end.
pub(super) fn fields_end(index: &IndexDefinition, entry: &[u8]) -> Result<usize> {
    let mut reader = KeyReader::new(entry);
    for field in &index.fields {
        take_element(&mut reader, !field.ascending)?;
    }
    Ok(entry.len() - reader.rest().len())
}

/// The elements of a whole key, each in the direction given; `None` when their number is another one.
pub(super) fn elements_of_key(
    shape: &KeyShape,
    key: &[u8],
    directions: &[bool],
) -> Result<Option<Vec<u8>>> {
    let count = shape.fields.as_ref().map_or(1, Vec::len);
    if count != directions.len() {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(key.len() + 4);
    for (position, ascending) in directions.iter().enumerate() {
        let start = out.len();
        match push_key_element(&mut out, shape, position, key) {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Reason(reason)) => return Err(Error::invalid(reason)),
        }
        if !ascending {
            KeyWriter::new(&mut out).descend_since(start);
        }
    }
    Ok(Some(out))
}
