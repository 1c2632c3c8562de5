//! Memory shared with Python without a copy: values mapped from the page file, and buffers that values are written from.
//!
//! The only place of the binding with unsafe code.
//!
//! Invariants
//! N1  A lent buffer stays exported by a memoryview that nobody else can release, so it is neither freed nor moved
//!     while it is read, on whatever thread.
//! N2  A `MappedBytes` lives as long as a view of it, and its bytes never change.
//! N3  Nobody else knows a `Blank` until it is filled, so whoever has it may write to it, on whatever thread.

use std::ffi::c_int;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView};
use sopasync_core::ValueBytes;

use crate::error::invalid_argument;
use crate::fork::Guarded;
use crate::key::Codec;
use crate::participant::Present;

/// Buffers of Python objects, one after the other the bytes of a value.
pub struct Lent {
    /// N1; dropped on any thread, their owners are let go when Python runs next.
    _views: Vec<Py<PyMemoryView>>,
    places: Vec<(*const u8, usize)>,
}

// SAFETY: N1: the memory is there until `_views` is dropped, and only read.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// Borrows the buffers of objects such as bytes, memoryviews and arrays, which must be contiguous.
    pub fn of(parts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (mut views, mut places) = (Vec::new(), Vec::new());
        for part in parts.try_iter()? {
            let view = PyMemoryView::from(&part?)?;
            let buffer = PyUntypedBuffer::get(view.as_any())?;
            if !buffer.is_c_contiguous() {
                let message = "a buffer with gaps cannot be written: make it contiguous first";
                return Err(invalid_argument(parts.py(), message));
            }
            if buffer.len_bytes() > 0 {
                places.push((buffer.buf_ptr().cast_const().cast(), buffer.len_bytes()));
                views.push(view.unbind());
            }
        }
        Ok(Self {
            _views: views,
            places,
        })
    }

    /// The buffers' bytes.
    pub fn slices(&self) -> Vec<&[u8]> {
        let slice = |&(start, length): &(*const u8, usize)| {
            // SAFETY: N1. Callers promise not to write meanwhile; the engine hashes a copy of what it writes, so
            // that even a broken promise stores what it read.
            unsafe { std::slice::from_raw_parts(start, length) }
        };
        self.places.iter().map(slice).collect()
    }
}

/// A bytes object that is being made.
pub struct Blank {
    bytes: Py<PyBytes>,
    start: *mut u8,
    length: usize,
}

// SAFETY: N3; dropped on any thread, the object is let go when Python runs next.
unsafe impl Send for Blank {}

impl Blank {
    /// Of that length, and not cleared.
    pub fn of(py: Python<'_>, length: usize) -> PyResult<Self> {
        let size = ffi::Py_ssize_t::try_from(length)?;
        // SAFETY: with no bytes to copy Python makes an object that its maker is to fill; null is an error.
        let bytes = unsafe {
            let made = ffi::PyBytes_FromStringAndSize(std::ptr::null(), size);
            Bound::from_owned_ptr_or_err(py, made)?
        };
        let bytes = bytes.cast_into::<PyBytes>()?;
        // SAFETY: it is a bytes object.
        let start = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) }.cast();
        Ok(Self {
            bytes: bytes.unbind(),
            start,
            length,
        })
    }

    /// What is to be filled.
    pub fn space(&mut self) -> &mut [u8] {
        // SAFETY: N3: `length` bytes that Python has given out for being written to.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

/// A bytes object that was filled.
pub struct Filled(Blank);

impl Filled {
    /// `fill` has filled all of it.
    pub fn of(
        mut blank: Blank,
        fill: impl FnOnce(&mut [u8]) -> sopasync_core::Result<()>,
    ) -> sopasync_core::Result<Self> {
        fill(blank.space()).map(|()| Self(blank))
    }

    pub fn into_bytes(self, py: Python<'_>) -> Bound<'_, PyAny> {
        self.0.bytes.into_bound(py).into_any()
    }
}

impl Present for Filled {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        _codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.into_bytes(py))
    }
}

/// The bytes of a stored value: a read-only buffer, mapped where it can be.
#[pyclass(frozen, module = "sopasync._core")]
pub struct MappedBytes {
    value: Guarded<ValueBytes>,
}

#[pymethods]
impl MappedBytes {
    fn __len__(&self) -> usize {
        self.value.get().len()
    }

    /// Whether it is a view of the page file, and no copy.
    #[getter]
    fn mapped(&self) -> bool {
        matches!(self.value.get(), ValueBytes::Mapped(_))
    }

    /// # Safety
    /// `view` is what Python's buffer protocol gives.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes: &[u8] = slf.get().value.get();
        let start = bytes.as_ptr().cast_mut().cast();
        let length = bytes.len() as ffi::Py_ssize_t;
        // SAFETY: N2: the view holds a reference to the object; it is marked read-only.
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags) };
        match filled {
            0 => Ok(()),
            _ => Err(PyErr::take(slf.py())
                .unwrap_or_else(|| PyBufferError::new_err("the bytes are read-only"))),
        }
    }
}

/// What an engine thread mapped.
pub struct Mapped(pub Option<ValueBytes>);

impl Present for Mapped {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        _codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.0 {
            Some(value) => {
                let value = Guarded::new(value);
                Ok(Bound::new(py, MappedBytes { value })?.into_any())
            }
            None => Ok(py.None().into_bound(py)),
        }
    }
}
