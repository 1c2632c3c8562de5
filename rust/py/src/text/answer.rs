//! What an operation on a search store found, and the Python objects for it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use sopasync_text::highlight::Fragment;

use crate::key::Codec;
use crate::participant::Present;

/// A document that was found.
pub struct Hit {
    pub key: Vec<u8>,
    pub score: f32,
    pub payload: Vec<u8>,
    /// By number of the field; fields in which nothing was found are left out.
    pub highlights: Vec<(u16, Vec<Fragment>)>,
}

/// Hits, best first.
pub struct Hits(pub Vec<Hit>);

/// A stored document.
pub struct Found {
    /// By field; `None` in a store that keeps no texts.
    pub texts: Option<Vec<String>>,
    pub payload: Vec<u8>,
}

/// Named numbers.
pub struct Figures(pub Vec<(&'static str, u64)>);

impl Present for Hits {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let hits: PyResult<Vec<_>> = self.0.into_iter().map(|hit| row(py, codec, &hit)).collect();
        Ok(PyList::new(py, hits?)?.into_any())
    }
}

impl Present for Option<Found> {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        _: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(found) = *self else {
            return Ok(py.None().into_bound(py));
        };
        let texts = found
            .texts
            .map(|texts| PyTuple::new(py, texts))
            .transpose()?;
        Ok((texts, payload(py, &found.payload))
            .into_pyobject(py)?
            .into_any())
    }
}

impl Present for Figures {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        _: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let figures = PyDict::new(py);
        for (name, number) in self.0 {
            figures.set_item(name, number)?;
        }
        Ok(figures.into_any())
    }
}

/// Key, score, packed payload, highlights by number of the field.
fn row<'py>(py: Python<'py>, codec: &Codec, hit: &Hit) -> PyResult<Bound<'py, PyAny>> {
    let key = codec.read(py, &hit.key, &[])?;
    let highlights = if hit.highlights.is_empty() {
        py.None().into_bound(py)
    } else {
        let by_field: PyResult<Vec<_>> = hit
            .highlights
            .iter()
            .map(|(field, pieces)| Ok((*field, fragments(py, pieces)?)))
            .collect();
        by_field?.into_pyobject(py)?.into_any()
    };
    let row = (
        key,
        f64::from(hit.score),
        payload(py, &hit.payload),
        highlights,
    );
    Ok(row.into_pyobject(py)?.into_any())
}

fn fragments<'py>(py: Python<'py>, pieces: &[Fragment]) -> PyResult<Bound<'py, PyList>> {
    let one = |piece: &Fragment| {
        let marks = PyTuple::new(py, piece.marks.iter().copied())?;
        (piece.text.as_str(), piece.start, marks).into_pyobject(py)
    };
    let pieces: PyResult<Vec<_>> = pieces.iter().map(one).collect();
    PyList::new(py, pieces?)
}

/// Packed, or `None` when there is none.
fn payload<'py>(py: Python<'py>, payload: &[u8]) -> Option<Bound<'py, PyBytes>> {
    (!payload.is_empty()).then(|| PyBytes::new(py, payload))
}
