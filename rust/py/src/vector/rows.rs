//! Vectors from Python as the rows the engine stores: lists and tuples element by element, arrays by their buffers.
//!
//! Arrays come in the one type that fits the store (`python/sopasync/_vector_input.py` sees to that): f32 as float32, f16 as
//! uint16, int8 as int8, bits packed into uint8.

use std::ffi::CStr;

use pyo3::buffer::{Element as BufferElement, PyBuffer};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyTuple};
use sopasync_vector::half::from_f32;
use sopasync_vector::{Element, Space};

use crate::error::exception;
use crate::value::is_masked;

/// Appends one vector.
pub fn push_row(space: &Space, vector: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let start = out.len();
    if is_sequence(vector) {
        push_elements(space, vector, out)?;
    } else {
        push_buffer(space, vector, 1, out)?;
    }
    let valid = space.validate(&out[start..]);
    valid.map_err(|error| refused(vector.py(), &error.to_string()))
}

/// Appends one vector if it is a list, a tuple, or an array that can be read as it is; false when it is something else.
pub fn quick_row(space: &Space, vector: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<bool> {
    if is_sequence(vector) {
        push_row(space, vector, out)?;
        return Ok(true);
    }
    if space.element() != Element::F32 || is_masked(vector)? {
        return Ok(false);
    }
    let py = vector.py();
    // A mistake is told in the same words wherever it is found: by the way that looks closely.
    let fits = |shape: &[usize]| *shape == [space.dimension()];
    let dimension = space.dimension();
    if let Ok(buffer) = PyBuffer::<f32>::get(vector) {
        if !fits(buffer.shape()) || !is_native(buffer.format(), b'f') {
            return Ok(false);
        }
        push_each(&buffer.to_vec(py)?, out, |element| element.to_le_bytes());
    } else if let Ok(buffer) = PyBuffer::<f64>::get(vector) {
        if !fits(buffer.shape()) || !is_native(buffer.format(), b'd') {
            return Ok(false);
        }
        let mut elements = vec![0.0; dimension];
        buffer.copy_to_slice(py, &mut elements)?;
        push_each(&elements, out, |element| (*element as f32).to_le_bytes());
    } else {
        return Ok(false);
    }
    Ok(space.validate(out).is_ok())
}

/// Appends the bytes of every element: one move of memory where they are those it has.
fn push_each<T, const N: usize>(elements: &[T], out: &mut Vec<u8>, bytes: impl Fn(&T) -> [u8; N]) {
    let start = out.len();
    out.resize(start + elements.len() * N, 0);
    let places = out[start..].as_chunks_mut::<N>().0;
    for (place, element) in places.iter_mut().zip(elements) {
        *place = bytes(element);
    }
}

/// Numbers of that type in this machine's order of bytes: `PyBuffer` takes the other order for it too.
fn is_native(format: &CStr, kind: u8) -> bool {
    let little = cfg!(target_endian = "little");
    match format.to_bytes() {
        [one] | [b'@' | b'=', one] => *one == kind,
        [b'<', one] => little && *one == kind,
        _ => false,
    }
}

/// Appends the vectors of a list, or the rows of an array; how many. `first` is the position of the first, for messages.
pub fn push_rows(
    space: &Space,
    vectors: &Bound<'_, PyAny>,
    first: usize,
    out: &mut Vec<u8>,
) -> PyResult<usize> {
    let py = vectors.py();
    if !is_sequence(vectors) {
        let start = out.len();
        let count = push_buffer(space, vectors, 2, out)?;
        for (index, row) in out[start..].chunks_exact(space.row_bytes()).enumerate() {
            let valid = space.validate(row);
            valid.map_err(|error| refused(py, &format!("vector {}: {error}", first + index)))?;
        }
        return Ok(count);
    }
    let count = vectors.len()?;
    out.reserve(count * space.row_bytes());
    for index in 0..count {
        let vector = vectors.get_item(index)?;
        push_row(space, &vector, out).map_err(|error| at(py, first + index, error))?;
    }
    Ok(count)
}

fn is_sequence(given: &Bound<'_, PyAny>) -> bool {
    given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>()
}

fn at(py: Python<'_>, index: usize, error: PyErr) -> PyErr {
    refused(py, &format!("vector {index}: {}", error.value(py)))
}

fn refused(py: Python<'_>, message: &str) -> PyErr {
    exception(py, "VectorError", message, &[])
}

fn wrong_dimension(py: Python<'_>, space: &Space, found: usize) -> PyErr {
    let plural = if found == 1 { "" } else { "s" };
    let message = format!(
        "the vector has {found} element{plural}, and the store's dimension is {}",
        space.dimension()
    );
    refused(py, &message)
}

fn push_elements(space: &Space, vector: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
    let py = vector.py();
    let count = vector.len()?;
    if count != space.dimension() {
        return Err(wrong_dimension(py, space, count));
    }
    let start = out.len();
    let mut failed = None;
    let mut visit = |index: usize, element: &Bound<'_, PyAny>| {
        let pushed = match space.element() {
            Element::F32 => single(element).map(|number| out.extend(number.to_le_bytes())),
            Element::F16 => {
                single(element).map(|number| out.extend(from_f32(number).to_le_bytes()))
            }
            Element::I8 => whole(element, -128..=127).map(|number| out.push(number as u8)),
            Element::Bits => whole(element, 0..=1).map(|number| {
                if index.is_multiple_of(8) {
                    out.push(0);
                }
                let last = out.len() - 1;
                out[last] |= (number as u8) << (index % 8);
            }),
        };
        if pushed.is_none() {
            failed = Some(refuse_element(space, index, element));
        }
        pushed.is_some()
    };
    // By index each time: converting an element may run Python code that changes the list.
    for index in 0..count {
        let element = vector.get_item(index)?;
        if !visit(index, &element) {
            break;
        }
    }
    match failed {
        Some(error) => {
            out.truncate(start);
            Err(error)
        }
        None => Ok(()),
    }
}

/// Of finite numbers beyond single precision the nearest is infinite, which the engine refuses.
fn single(element: &Bound<'_, PyAny>) -> Option<f32> {
    if let Ok(number) = element.cast_exact::<PyFloat>() {
        return Some(number.value() as f32);
    }
    if element.is_instance_of::<pyo3::types::PyString>() {
        return None;
    }
    element.extract::<f64>().ok().map(|number| number as f32)
}

fn whole(element: &Bound<'_, PyAny>, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let is_whole = element.is_instance_of::<PyInt>()
        || element.is_instance_of::<PyBool>()
        || element.hasattr("__index__").unwrap_or(false);
    let number = element.extract::<i64>().ok().filter(|_| is_whole);
    number
        .or_else(|| {
            // numpy.bool has no __index__.
            let name = element.get_type().name().ok()?.to_string();
            (name.starts_with("bool")).then(|| element.is_truthy().ok().map(i64::from))?
        })
        .filter(|number| range.contains(number))
}

fn refuse_element(space: &Space, index: usize, element: &Bound<'_, PyAny>) -> PyErr {
    let wanted = match space.element() {
        Element::F32 | Element::F16 => "a number",
        Element::I8 => "a whole number from -128 to 127",
        Element::Bits => "0, 1, True or False",
    };
    let shown = element.repr().map_or_else(
        |_| "?".to_owned(),
        |text| text.to_string_lossy().chars().take(40).collect(),
    );
    refused(
        element.py(),
        &format!("element {index} of the vector is {shown}, and {wanted} is expected"),
    )
}

fn push_buffer(
    space: &Space,
    array: &Bound<'_, PyAny>,
    dimensions: usize,
    out: &mut Vec<u8>,
) -> PyResult<usize> {
    match space.element() {
        Element::F32 => push_typed::<f32, 4>(space, array, dimensions, out, f32::to_le_bytes),
        Element::F16 => push_typed::<u16, 2>(space, array, dimensions, out, u16::to_le_bytes),
        Element::I8 => push_typed::<i8, 1>(space, array, dimensions, out, i8::to_le_bytes),
        Element::Bits => push_typed::<u8, 1>(space, array, dimensions, out, u8::to_le_bytes),
    }
}

fn push_typed<T: BufferElement, const N: usize>(
    space: &Space,
    array: &Bound<'_, PyAny>,
    dimensions: usize,
    out: &mut Vec<u8>,
    bytes: impl Fn(T) -> [u8; N],
) -> PyResult<usize> {
    let py = array.py();
    let Ok(buffer) = PyBuffer::<T>::get(array) else {
        let name = array.get_type().name()?.to_string();
        let message = format!("a vector is a list of numbers or an array of them, not {name}");
        return Err(refused(py, &message));
    };
    let shape = buffer.shape();
    if shape.len() != dimensions {
        let message = format!(
            "an array of {dimensions} dimension(s) is expected, got {}",
            shape.len()
        );
        return Err(refused(py, &message));
    }
    let width = space.row_bytes() / N;
    if shape[dimensions - 1] != width {
        let found = shape[dimensions - 1]
            * if space.element() == Element::Bits {
                8
            } else {
                1
            };
        return Err(wrong_dimension(py, space, found));
    }
    let count = buffer.item_count() / width;
    push_each(&buffer.to_vec(py)?, out, |element| bytes(*element));
    Ok(count)
}
