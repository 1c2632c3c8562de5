//! Going through a payload: all its fields, or the values of one path. Both see what `lib.rs` says a filter sees.

use crate::error::Result;
use crate::msgpack::{DEPTH_MAX, Item, Reader, extension};

/// What a walk meets at a field: that it is there, then its values.
pub enum Found<'a> {
    Field,
    Value(Item<'a>),
}

/// Calls `visit` with the name of every field, once as `Found::Field` for every place it stands at and with every value.
pub fn fields<'a>(
    payload: &'a [u8],
    path: &mut Vec<u8>,
    visit: &mut dyn FnMut(&[u8], Found<'a>),
) -> Result<()> {
    path.clear();
    let mut reader = Reader::new(payload);
    if let Item::Map(count) = reader.item()? {
        all_of_map(&mut reader, count, path, 0, visit)?;
    }
    Ok(())
}

fn all_of_map<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    path: &mut Vec<u8>,
    depth: usize,
    visit: &mut dyn FnMut(&[u8], Found<'a>),
) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(reader.wrong("it nests too deep"));
    }
    let length = path.len();
    for _ in 0..count {
        let key = reader.item()?;
        let Item::Str(key) = key else {
            reader.skip_rest(key)?;
            let value = reader.item()?;
            reader.skip_rest(value)?;
            continue;
        };
        if depth > 0 {
            path.push(b'.');
        }
        path.extend_from_slice(key);
        visit(path, Found::Field);
        let value = reader.item()?;
        all_of_value(reader, value, path, depth + 1, visit)?;
        path.truncate(length);
    }
    Ok(())
}

fn all_of_value<'a>(
    reader: &mut Reader<'a>,
    value: Item<'a>,
    path: &mut Vec<u8>,
    depth: usize,
    visit: &mut dyn FnMut(&[u8], Found<'a>),
) -> Result<()> {
    match value {
        Item::Map(count) => all_of_map(reader, count, path, depth, visit),
        Item::Array(count) => all_of_list(reader, count, path, depth, visit),
        Item::Extension(extension::TUPLE | extension::SET | extension::FROZENSET, content) => {
            let mut inner = Reader::new(content);
            match inner.item()? {
                Item::Array(count) => all_of_list(&mut inner, count, path, depth, visit),
                _ => Ok(()),
            }
        }
        scalar => {
            visit(path, Found::Value(scalar));
            Ok(())
        }
    }
}

fn all_of_list<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    path: &mut Vec<u8>,
    depth: usize,
    visit: &mut dyn FnMut(&[u8], Found<'a>),
) -> Result<()> {
    for _ in 0..count {
        match reader.item()? {
            Item::Map(count) => all_of_map(reader, count, path, depth, visit)?,
            list @ Item::Array(_) => reader.skip_rest(list)?,
            scalar => visit(path, Found::Value(scalar)),
        }
    }
    Ok(())
}

/// Calls `visit` with what stands at `path`, until it answers true; says whether it did.
pub fn find<'a>(
    payload: &'a [u8],
    path: &[u8],
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    let mut reader = Reader::new(payload);
    match reader.item()? {
        Item::Map(count) => find_in_map(&mut reader, count, path, visit),
        _ => Ok(false),
    }
}

/// The reader is behind the map afterwards, unless the answer is true. The depth is bounded by the path's dots.
fn find_in_map<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    path: &[u8],
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    for _ in 0..count {
        let key = reader.item()?;
        reader.skip_rest(key)?;
        let value = reader.item()?;
        let below = match key {
            Item::Str(key) => path.strip_prefix(key),
            _ => None,
        };
        let found = match below {
            Some([]) => visit(Found::Field) || values(reader, value, visit)?,
            Some([b'.', rest @ ..]) => find_in_value(reader, value, rest, visit)?,
            _ => {
                reader.skip_rest(value)?;
                false
            }
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find_in_value<'a>(
    reader: &mut Reader<'a>,
    value: Item<'a>,
    path: &[u8],
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    match value {
        Item::Map(count) => find_in_map(reader, count, path, visit),
        Item::Array(count) => find_in_list(reader, count, path, visit),
        Item::Extension(extension::TUPLE | extension::SET | extension::FROZENSET, content) => {
            let mut inner = Reader::new(content);
            match inner.item()? {
                Item::Array(count) => find_in_list(&mut inner, count, path, visit),
                _ => Ok(false),
            }
        }
        _ => Ok(false),
    }
}

fn find_in_list<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    path: &[u8],
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    for _ in 0..count {
        match reader.item()? {
            Item::Map(count) => {
                if find_in_map(reader, count, path, visit)? {
                    return Ok(true);
                }
            }
            other => reader.skip_rest(other)?,
        }
    }
    Ok(false)
}

/// The values at the end of a path.
fn values<'a>(
    reader: &mut Reader<'a>,
    value: Item<'a>,
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    match value {
        Item::Array(count) => list_values(reader, count, visit),
        Item::Map(_) => {
            reader.skip_rest(value)?;
            Ok(false)
        }
        Item::Extension(extension::TUPLE | extension::SET | extension::FROZENSET, content) => {
            let mut inner = Reader::new(content);
            match inner.item()? {
                Item::Array(count) => list_values(&mut inner, count, visit),
                _ => Ok(false),
            }
        }
        scalar => Ok(visit(Found::Value(scalar))),
    }
}

fn list_values<'a>(
    reader: &mut Reader<'a>,
    count: usize,
    visit: &mut dyn FnMut(Found<'a>) -> bool,
) -> Result<bool> {
    for _ in 0..count {
        match reader.item()? {
            nested @ (Item::Array(_) | Item::Map(_)) => reader.skip_rest(nested)?,
            scalar => {
                if visit(Found::Value(scalar)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
