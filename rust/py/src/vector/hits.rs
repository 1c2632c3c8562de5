//! The class `VectorHits`: what one query found, in order. Hits become objects when they are looked at, so a million of them take
//! no time of the loop's thread before.
//!
//! H1 a hit that has become an object is kept: whoever looks at it again gets the same one.

use std::sync::{Arc, OnceLock};

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PySlice, PyTuple, PyType};
use sopasync_core::vector::VectorHits;

use super::hit::{Hit, Unpacking, alias};

/// Hits become objects so many at a time.
const BLOCK: usize = 64;
/// So many are shown by `repr`.
const SHOWN_MAX: usize = 20;

/// Of some hits, the objects.
type Block = PyOnceLock<Py<PyList>>;

/// See the module.
#[pyclass(frozen, sequence, module = "sopasync._core", name = "VectorHits")]
pub struct Hits {
    /// Nothing where they were given as objects: then all of them are in the first block.
    found: Option<Found>,
    len: usize,
    first: Block,
    /// The blocks behind the first.
    others: OnceLock<Box<[Block]>>,
}

/// The hits of one query among those of many.
struct Found {
    all: Arc<VectorHits>,
    first: usize,
    unpacking: Arc<Unpacking>,
}

impl Hits {
    /// Those of one query.
    pub fn of(all: &Arc<VectorHits>, query: usize, unpacking: &Arc<Unpacking>) -> Self {
        let places = all.of(query);
        Self {
            len: places.len(),
            found: Some(Found {
                all: Arc::clone(all),
                first: places.start,
                unpacking: Arc::clone(unpacking),
            }),
            first: Block::new(),
            others: OnceLock::new(),
        }
    }

    /// The objects of a block.
    fn block<'py>(&self, py: Python<'py>, number: usize) -> PyResult<&Bound<'py, PyList>> {
        let block = match number.checked_sub(1) {
            None => &self.first,
            Some(behind) => &self.others()[behind],
        };
        Ok(block
            .get_or_try_init(py, || self.made(py, number))?
            .bind(py))
    }

    fn others(&self) -> &[Block] {
        self.others.get_or_init(|| {
            let count = self.len.div_ceil(BLOCK) - 1;
            (0..count).map(|_| Block::new()).collect()
        })
    }

    fn made(&self, py: Python<'_>, number: usize) -> PyResult<Py<PyList>> {
        let Some(found) = &self.found else {
            return Ok(PyList::empty(py).unbind());
        };
        let end = self.len.min((number + 1) * BLOCK);
        let hits = (number * BLOCK..end).map(|at| {
            let hit = Hit::of(py, &found.all, found.first + at, &found.unpacking)?;
            Bound::new(py, hit)
        });
        let hits = hits.collect::<PyResult<Vec<_>>>()?;
        Ok(PyList::new(py, hits)?.unbind())
    }

    /// The one at a place, which there is.
    fn get<'py>(&self, py: Python<'py>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        match self.found {
            Some(_) => self.block(py, at / BLOCK)?.get_item(at % BLOCK),
            None => self.block(py, 0)?.get_item(at),
        }
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let hits = (0..self.len).map(|at| self.get(py, at));
        PyList::new(py, hits.collect::<PyResult<Vec<_>>>()?)
    }

    /// Are they those of another one, or of a list? Nothing for something else.
    fn equals(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        if !other.is_instance_of::<Self>() && !other.is_instance_of::<PyList>() {
            return Ok(None);
        }
        if other.len()? != self.len {
            return Ok(Some(false));
        }
        for at in 0..self.len {
            if !self.get(py, at)?.eq(other.get_item(at)?)? {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// One number of each, as a read-only array of numpy.
    fn column<'py>(
        &self,
        py: Python<'py>,
        number: impl Fn(&VectorHits, usize) -> f32,
        name: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        static FROM_BUFFER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bytes = PyBytes::new_with(py, self.len * size_of::<f32>(), |bytes| {
            let places = bytes.as_chunks_mut().0.iter_mut();
            for (at, place) in places.enumerate() {
                let number = match &self.found {
                    Some(found) => number(&found.all, found.first + at),
                    None => self.get(py, at)?.getattr(name)?.extract()?,
                };
                *place = number.to_ne_bytes();
            }
            Ok(())
        })?;
        FROM_BUFFER
            .import(py, "numpy", "frombuffer")?
            .call1((bytes, "f4"))
    }
}

/// A whole number, or the nearest that a place can be: what lists take as the ends of a search.
struct Clamped(isize);

impl<'a, 'py> FromPyObject<'a, 'py> for Clamped {
    type Error = PyErr;

    fn extract(number: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        match number.extract::<isize>() {
            Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => {
                Ok(Self(if number.lt(0)? {
                    isize::MIN
                } else {
                    isize::MAX
                }))
            }
            place => place.map(Self),
        }
    }
}

#[pymethods]
impl Hits {
    #[new]
    #[pyo3(signature = (hits=None))]
    fn new(hits: Option<&Bound<'_, PyAny>>, py: Python<'_>) -> PyResult<Self> {
        let given = PyList::empty(py);
        if let Some(hits) = hits {
            for hit in hits.try_iter()? {
                given.append(hit?.cast_into::<Hit>()?)?;
            }
        }
        let made = Self {
            found: None,
            len: given.len(),
            first: Block::new(),
            others: OnceLock::new(),
        };
        let _ = made.first.set(py, given.unbind());
        Ok(made)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        of: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        alias(class, of)
    }

    fn __len__(&self) -> usize {
        self.len
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = at.cast::<PySlice>() {
            let chosen = slice.indices(self.len as isize)?;
            let places = (0..chosen.slicelength as isize).map(|n| chosen.start + n * chosen.step);
            let hits = places.map(|at| self.get(py, at as usize));
            return Ok(PyList::new(py, hits.collect::<PyResult<Vec<_>>>()?)?.into_any());
        }
        let outside = || PyIndexError::new_err(format!("there are {} hits", self.len));
        let at = at.extract::<isize>().map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(py) {
                return outside();
            }
            let kind = at.get_type();
            PyTypeError::new_err(format!(
                "hits are numbered: give a whole number or a slice, not {kind}"
            ))
        })?;
        let at = if at < 0 { at + self.len as isize } else { at };
        match usize::try_from(at) {
            Ok(at) if at < self.len => self.get(py, at),
            _ => Err(outside()),
        }
    }

    fn __iter__<'py>(hits: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (hits.py(), hits.get());
        if this.found.is_none() || this.len <= BLOCK {
            return Ok(this.block(py, 0)?.try_iter()?.into_any());
        }
        let iterator = HitsIterator {
            hits: hits.clone().unbind(),
            at: 0,
        };
        Ok(Bound::new(py, iterator)?.into_any())
    }

    #[pyo3(signature = (value, start=Clamped(0), stop=None), text_signature = "($self, value, start=0, stop=None)")]
    fn index(
        &self,
        value: &Bound<'_, PyAny>,
        start: Clamped,
        stop: Option<Clamped>,
    ) -> PyResult<usize> {
        let len = self.len as isize;
        let place = |Clamped(at)| (if at < 0 { at + len } else { at }).clamp(0, len) as usize;
        for at in place(start)..stop.map_or(self.len, place) {
            if self.get(value.py(), at)?.eq(value)? {
                return Ok(at);
            }
        }
        Err(PyValueError::new_err("it is not among the hits"))
    }

    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut count = 0;
        for at in 0..self.len {
            count += usize::from(self.get(value.py(), at)?.eq(value)?);
        }
        Ok(count)
    }

    /// Their ids, without making the hits.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let ids = (0..self.len).map(|at| match &self.found {
            Some(found) => found.unpacking.key(py, &found.all, found.first + at),
            None => self.get(py, at)?.getattr("id"),
        });
        PyList::new(py, ids.collect::<PyResult<Vec<_>>>()?)
    }

    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VectorHits::score, "score")
    }

    #[getter]
    fn distances<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.column(py, VectorHits::distance, "distance")
    }

    fn __add__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match other.cast::<Self>() {
            Ok(hits) => self.list(py)?.add(hits.get().list(py)?),
            Err(_) => self.list(py)?.add(other),
        }
    }

    fn __radd__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        other.add(self.list(py)?)
    }

    fn __richcmp__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        if !matches!(operator, CompareOp::Eq | CompareOp::Ne) {
            return Ok(py.NotImplemented());
        }
        let Some(equal) = self.equals(py, other)? else {
            return Ok(py.NotImplemented());
        };
        let answer = equal == matches!(operator, CompareOp::Eq);
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = (0..self.len.min(SHOWN_MAX)).map(|at| {
            let hit = self.get(py, at)?.repr()?;
            Ok(hit.to_string_lossy().into_owned())
        });
        let mut shown = shown.collect::<PyResult<Vec<_>>>()?;
        if self.len > SHOWN_MAX {
            shown.push(format!("... {} more", self.len - SHOWN_MAX));
        }
        Ok(format!("VectorHits([{}])", shown.join(", ")))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let hits = PyTuple::new(py, [self.list(py)?])?;
        Ok((py.get_type::<Self>(), hits))
    }
}

/// Goes through the hits of more than one block.
#[pyclass(module = "sopasync._core")]
struct HitsIterator {
    hits: Py<Hits>,
    at: usize,
}

#[pymethods]
impl HitsIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let hits = self.hits.get();
        if self.at >= hits.len {
            return Ok(None);
        }
        self.at += 1;
        hits.get(py, self.at - 1).map(Some)
    }

    fn __length_hint__(&self) -> usize {
        self.hits.get().len - self.at
    }
}
