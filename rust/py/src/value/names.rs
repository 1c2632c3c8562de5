//! Names of fields, which come again and again: one Python string for each, so that it is made, checked and hashed once.

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Longer ones are made anew each time.
const NAME_BYTES_MAX: usize = 31;
/// Places for names; one that wants a place that is taken takes it.
const PLACES: usize = 512;

struct Known {
    length: u8,
    bytes: [u8; NAME_BYTES_MAX],
    name: Py<PyString>,
}

static KNOWN: Mutex<[Option<Known>; PLACES]> = Mutex::new([const { None }; PLACES]);

/// The string of these bytes, if they are a short text in UTF-8.
pub fn name<'py>(py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyString>> {
    if text.len() > NAME_BYTES_MAX {
        return None;
    }
    let place = place_of(text);
    // Nothing but the reading below is done under the lock: no Python code runs there.
    if let Some(known) = &KNOWN.lock()[place]
        && known.bytes[..usize::from(known.length)] == *text
    {
        return Some(known.name.bind(py).clone());
    }
    let name = PyString::new(py, std::str::from_utf8(text).ok()?);
    let mut bytes = [0; NAME_BYTES_MAX];
    bytes[..text.len()].copy_from_slice(text);
    let known = Known {
        length: text.len() as u8,
        bytes,
        name: name.clone().unbind(),
    };
    let replaced = KNOWN.lock()[place].replace(known);
    drop(replaced);
    Some(name)
}

/// FNV-1a.
fn place_of(text: &[u8]) -> usize {
    let hash = text.iter().fold(0x811C_9DC5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    ((hash >> 16) ^ hash) as usize % PLACES
}
