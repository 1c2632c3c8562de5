//! Options, terms and queries of search stores, as Python gives and takes them.

use pyo3::prelude::*;
use sopasync_text::analysis::language;
use sopasync_text::{Query, QueryError, Schema};

use crate::error::{exception, invalid_argument};

/// Options of a search store, read once: the constructor refuses what makes no sense.
#[pyclass(frozen, module = "sopasync._core")]
pub struct SearchSchema {
    schema: Schema,
}

#[pymethods]
impl SearchSchema {
    #[new]
    fn new(py: Python<'_>, options: &[u8]) -> PyResult<Self> {
        let schema =
            Schema::from_options(options).map_err(|error| invalid_argument(py, error.message()))?;
        Ok(Self { schema })
    }

    /// The terms of a text: term, position, and where its word begins and ends, in bytes.
    fn terms(&self, py: Python<'_>, field: usize, text: &str) -> PyResult<Vec<Term>> {
        terms(py, &self.schema, field, text)
    }
}

/// A term, its position, and where its word begins and ends, in bytes.
pub type Term = (String, u32, usize, usize);

/// The terms of a text in a field.
pub fn terms(py: Python<'_>, schema: &Schema, field: usize, text: &str) -> PyResult<Vec<Term>> {
    let Some(field) = schema.fields.get(field) else {
        return Err(invalid_argument(py, "there is no field of that number"));
    };
    let mut terms = Vec::new();
    field.analyzer.analyze(text, &mut |token| {
        terms.push((
            token.text.to_owned(),
            token.position,
            token.start,
            token.end,
        ));
    });
    Ok(terms)
}

/// A query as Python packed it.
pub fn parse_query(py: Python<'_>, packed: &[u8], schema: &Schema) -> PyResult<Query> {
    Query::from_msgpack(packed, schema).map_err(|error| query_error(py, &error))
}

fn query_error(py: Python<'_>, error: &QueryError) -> PyErr {
    let position = error.at.and_then(|at| at.into_pyobject(py).ok());
    let position = position.map(Bound::into_any);
    exception(
        py,
        "QueryError",
        &error.to_string(),
        &[("position", position)],
    )
}

/// The name of a language given by its name or code.
#[pyfunction]
pub fn search_language(py: Python<'_>, name: &str) -> PyResult<&'static str> {
    language::find(name)
        .map(|language| language.name)
        .map_err(|error| invalid_argument(py, error.message()))
}
