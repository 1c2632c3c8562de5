//! Arrays and scalars of numpy. Nothing here imports numpy before a value of it is met.

use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};

use super::failure::{Failure, Outcome};
use super::{encode::encode_into, extension, msgpack};

/// Elements begin at a multiple of this in a value that is one array.
const ALIGNMENT_BYTES: usize = 16;
/// From this size on an array is copied straight into the packed value.
const DIRECT_COPY_BYTES_MIN: usize = 4096;

struct Numpy {
    module: Py<PyModule>,
    array: Py<PyType>,
    memory_map: Py<PyType>,
    scalar: Py<PyType>,
    /// dtype to a str, or to a list of tuples for structured ones, and back.
    dtype_to_descr: Py<PyAny>,
    descr_to_dtype: Py<PyAny>,
}

static NUMPY: PyOnceLock<Numpy> = PyOnceLock::new();

impl Numpy {
    /// None when the value is certainly nothing of numpy.
    fn of<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<&'py Self>> {
        let py = value.py();
        // Every array and scalar has a dtype; few other things do.
        let may_be = value.hasattr(intern!(py, "dtype"))?
            && py.import("sys")?.getattr("modules")?.contains("numpy")?;
        may_be.then(|| Self::get(py)).transpose()
    }

    fn get(py: Python<'_>) -> PyResult<&Self> {
        NUMPY.get_or_try_init(py, || {
            let module = py.import("numpy")?;
            let class = |name: &str| -> PyResult<Py<PyType>> {
                Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
            };
            let format = py.import("numpy.lib.format")?;
            Ok(Self {
                array: class("ndarray")?,
                memory_map: class("memmap")?,
                scalar: class("generic")?,
                dtype_to_descr: format.getattr("dtype_to_descr")?.unbind(),
                descr_to_dtype: format.getattr("descr_to_dtype")?.unbind(),
                module: module.clone().unbind(),
            })
        })
    }
}

/// Whether it is an array that says of some of its elements that they are not there, as those of `numpy.ma` do.
pub fn is_masked(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    let known = NUMPY
        .get(py)
        .map_or_else(|| Numpy::of(value), |numpy| Ok(Some(numpy)))?;
    let Some(array) = known.map(|numpy| numpy.array.bind(py)) else {
        return Ok(false);
    };
    Ok(!value.is_exact_instance(array)
        && value.is_instance(array)?
        && value.get_type().hasattr(intern!(py, "mask"))?)
}

/// Packs an array or scalar; false for anything else.
pub fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Outcome<bool> {
    let py = value.py();
    let Some(numpy) = Numpy::of(value)? else {
        return Ok(false);
    };
    if value.is_exact_instance(numpy.array.bind(py))
        || value.is_exact_instance(numpy.memory_map.bind(py))
    {
        encode_array(out, numpy, value)?;
    } else if value.is_instance(numpy.scalar.bind(py))? {
        let start = out.len();
        encode_dtype(out, numpy, value)?;
        let content = value.call_method0(intern!(py, "tobytes"))?;
        out.extend_from_slice(content.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
        msgpack::wrap_extension(out, extension::SCALAR, start)?;
    } else if value.is_instance(numpy.array.bind(py))? {
        if is_masked(value)? {
            return Err(Failure::refused(
                "is a masked array, whose mask would be lost. Pack .filled(...) of it, or .data where nothing is masked",
            ));
        }
        let name = value.get_type().fully_qualified_name()?;
        return Err(Failure::refused(format!(
            "is of type {name}, a kind of array that would lose what makes it special. Pack numpy.asarray(...) of it"
        )));
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn encode_dtype(out: &mut Vec<u8>, numpy: &Numpy, value: &Bound<'_, PyAny>) -> Outcome {
    let py = value.py();
    let dtype = value.getattr(intern!(py, "dtype"))?;
    if dtype.getattr(intern!(py, "hasobject"))?.is_truthy()? {
        return Err(Failure::refused(
            "is an array of Python objects. Use a list, or an array of numbers or text",
        ));
    }
    let descr = numpy.dtype_to_descr.bind(py).call1((&dtype,))?;
    let back = numpy.descr_to_dtype.bind(py).call1((&descr,))?;
    if !back.eq(&dtype)? {
        return Err(Failure::refused(format!(
            "is of dtype {dtype}, which numpy cannot describe exactly"
        )));
    }
    Ok(encode_into(out, &descr)?)
}

fn encode_array(out: &mut Vec<u8>, numpy: &Numpy, array: &Bound<'_, PyAny>) -> Outcome {
    let py = array.py();
    let mut header = Vec::with_capacity(32);
    encode_dtype(&mut header, numpy, array)?;
    let shape = array
        .getattr(intern!(py, "shape"))?
        .cast_into::<PyTuple>()
        .map_err(PyErr::from)?;
    msgpack::write_array_header(&mut header, shape.len())?;
    for length in shape.iter() {
        msgpack::write_unsigned(&mut header, length.extract()?);
    }
    let size: usize = array.getattr(intern!(py, "nbytes"))?.extract()?;
    // Extension header of 6 bytes, the padding's length, the padding, then `header`.
    let unpadded = out.len() + 7 + header.len();
    let padding = unpadded.next_multiple_of(ALIGNMENT_BYTES) - unpadded;
    msgpack::write_long_extension_header(out, extension::ARRAY, 1 + padding + header.len() + size)?;
    out.push(padding as u8);
    out.resize(out.len() + padding, 0);
    out.extend(header);
    copy_elements(out, numpy, array, size)
}

fn copy_elements(
    out: &mut Vec<u8>,
    numpy: &Numpy,
    array: &Bound<'_, PyAny>,
    size: usize,
) -> Outcome {
    let py = array.py();
    let start = out.len();
    let is_contiguous = array
        .getattr(intern!(py, "flags"))?
        .getattr(intern!(py, "c_contiguous"))?
        .is_truthy()?;
    if size >= DIRECT_COPY_BYTES_MIN && is_contiguous {
        let flat = array.call_method1(intern!(py, "reshape"), (-1,))?;
        let bytes = flat.call_method1(
            intern!(py, "view"),
            (numpy.module.bind(py).getattr("uint8")?,),
        )?;
        out.resize(start + size, 0);
        PyBuffer::<u8>::get(&bytes)?.copy_to_slice(py, &mut out[start..])?;
    } else {
        let bytes = array.call_method0(intern!(py, "tobytes"))?;
        out.extend_from_slice(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
    }
    assert_eq!(
        out.len() - start,
        size,
        "an array gave another number of bytes than it has"
    );
    Ok(())
}

/// An array of `descr` and `shape` over the bytes of `data` from `offset` on, without copying them.
pub fn view<'py>(
    data: &Bound<'py, PyAny>,
    offset: usize,
    size: usize,
    descr: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = data.py();
    let numpy = Numpy::get(py)?;
    let dtype = numpy.descr_to_dtype.bind(py).call1((descr,))?;
    let item_size: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    let count = shape
        .iter()
        .try_fold(1_usize, |count, &length| count.checked_mul(length));
    let Some(count) = count.filter(|count| count.checked_mul(item_size) == Some(size)) else {
        return Ok(None);
    };
    let module = numpy.module.bind(py);
    let shape = PyTuple::new(py, shape)?;
    if size == 0 {
        // frombuffer takes no empty buffer.
        let empty = module.call_method1(intern!(py, "empty"), (shape, dtype))?;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "write"), false)?;
        empty.call_method(intern!(py, "setflags"), (), Some(&keywords))?;
        return Ok(Some(empty));
    }
    let flat = module.call_method1(intern!(py, "frombuffer"), (data, dtype, count, offset))?;
    if shape.len() == 1 {
        return Ok(Some(flat));
    }
    flat.call_method1(intern!(py, "reshape"), (shape,))
        .map(Some)
}

/// A scalar of `descr` from its bytes.
pub fn scalar<'py>(
    content: &Bound<'py, PyBytes>,
    descr: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = content.py();
    let flat = view(content.as_any(), 0, content.as_bytes().len(), descr, &[1])?;
    flat.map(|flat| {
        flat.get_item(0)
            .or_else(|_| flat.call_method0(intern!(py, "item")))
    })
    .transpose()
}
