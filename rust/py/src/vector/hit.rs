//! The class `VectorHit`: what a query found. Payloads stay packed until they are asked for.

use std::sync::Arc;

use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};
use sopasync_core::vector::VectorHits;

use crate::key::Codec;

/// Packed nil: there is no payload.
const NIL: &[u8] = &[0xc0];

/// A vector that a query found.
#[pyclass(frozen, module = "sopasync._core", name = "VectorHit")]
pub struct Hit {
    /// Read where it lies: that is quicker than a call.
    #[pyo3(get)]
    id: Py<PyAny>,
    score: f64,
    distance: f64,
    payload: PyOnceLock<Py<PyAny>>,
    packed: Option<Packed>,
}

/// A payload among those of a query.
struct Packed {
    hits: Arc<VectorHits>,
    place: usize,
    unpacking: Arc<Unpacking>,
}

/// What makes objects of keys and payloads.
pub struct Unpacking {
    pub codec: Arc<Codec>,
    /// Unpacks payloads.
    pub decode: Py<PyAny>,
}

impl Unpacking {
    /// The id at a place.
    pub fn key<'py>(
        &self,
        py: Python<'py>,
        hits: &VectorHits,
        place: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.codec.read(py, hits.key(place), &[])
    }
}

/// The class as annotations have it, with its parameters.
pub fn alias<'py>(
    class: &Bound<'py, PyType>,
    of: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let alias = class.py().import("types")?.getattr("GenericAlias")?;
    alias.call1((class, of))
}

#[pymethods]
impl Hit {
    #[new]
    #[pyo3(signature = (id, score, distance, payload=None))]
    fn new(
        id: Py<PyAny>,
        score: f64,
        distance: f64,
        payload: Option<Py<PyAny>>,
        py: Python<'_>,
    ) -> Self {
        let given = PyOnceLock::new();
        if let Some(payload) = payload {
            let _ = given.set(py, payload);
        }
        Self {
            id,
            score,
            distance,
            payload: given,
            packed: None,
        }
    }

    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("id", "score", "distance", "payload")
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        class: &Bound<'py, PyType>,
        of: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        alias(class, of)
    }

    #[getter]
    fn score(&self) -> f64 {
        self.score
    }

    #[getter]
    fn distance(&self) -> f64 {
        self.distance
    }

    #[getter]
    fn payload(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let payload = self.payload.get_or_try_init(py, || match &self.packed {
            None => Ok(py.None()),
            Some(packed) => packed.unpack(py),
        })?;
        Ok(payload.clone_ref(py))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (id, payload) = (self.id.bind(py).repr()?, self.payload(py)?);
        Ok(format!(
            "VectorHit(id={id}, score={}, distance={}, payload={})",
            pyo3::types::PyFloat::new(py, self.score).repr()?,
            pyo3::types::PyFloat::new(py, self.distance).repr()?,
            payload.bind(py).repr()?
        ))
    }

    fn __richcmp__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        operator: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(py.NotImplemented());
        };
        if !matches!(operator, CompareOp::Eq | CompareOp::Ne) {
            return Ok(py.NotImplemented());
        }
        let equal = self.parts(py)?.eq(other.get().parts(py)?)?;
        let answer = equal == matches!(operator, CompareOp::Eq);
        Ok(answer.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.id.clone_ref(py), self.score, self.distance)
            .into_pyobject(py)?
            .hash()
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        Ok((py.get_type::<Self>(), self.parts(py)?))
    }
}

impl Hit {
    /// The one at a place.
    pub fn of(
        py: Python<'_>,
        hits: &Arc<VectorHits>,
        place: usize,
        unpacking: &Arc<Unpacking>,
    ) -> PyResult<Self> {
        let payload = hits.payload(place).filter(|payload| *payload != NIL);
        Ok(Self {
            id: unpacking.key(py, hits, place)?.unbind(),
            score: f64::from(hits.score(place)),
            distance: f64::from(hits.distance(place)),
            payload: PyOnceLock::new(),
            packed: payload.map(|_| Packed {
                hits: Arc::clone(hits),
                place,
                unpacking: Arc::clone(unpacking),
            }),
        })
    }

    fn parts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let (id, payload) = (self.id.clone_ref(py), self.payload(py)?);
        (id, self.score, self.distance, payload).into_pyobject(py)
    }
}

impl Packed {
    fn unpack(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let payload = self.hits.payload(self.place).unwrap_or(NIL);
        self.unpacking
            .decode
            .call1(py, (PyBytes::new(py, payload),))
    }
}
