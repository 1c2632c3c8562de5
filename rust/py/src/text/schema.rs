//! `SearchSchema`: the options of a search store, read once and shared by its participants.

use std::sync::Arc;

use pyo3::prelude::*;
use sopasync_text::analysis::language;
use sopasync_text::{Query, QueryError, Schema};

use crate::error::{exception, invalid_argument};

/// The fields of a search store, and how it makes terms of texts.
#[pyclass(frozen, module = "sopasync._core")]
pub struct SearchSchema {
    pub schema: Arc<Schema>,
}

#[pymethods]
impl SearchSchema {
    #[new]
    fn new(py: Python<'_>, options: &[u8]) -> PyResult<Self> {
        let schema =
            Schema::from_options(options).map_err(|error| invalid_argument(py, error.message()))?;
        Ok(Self {
            schema: Arc::new(schema),
        })
    }

    /// The terms of a text: term, position, and where its word begins and ends, in bytes.
    fn terms(
        &self,
        py: Python<'_>,
        field: usize,
        text: &str,
    ) -> PyResult<Vec<(String, u32, usize, usize)>> {
        let Some(field) = self.schema.fields.get(field) else {
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
