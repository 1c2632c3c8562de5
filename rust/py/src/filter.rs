//! Filters over payloads, for the stores that have payloads.

use pyo3::prelude::*;
use sopasync_payload::Filter;

use crate::error::invalid_argument;

/// Reads a filter that Python packed; `python/sopasync/_filters.py` has looked at it already.
pub fn parse_filter(py: Python<'_>, packed: &[u8]) -> PyResult<Filter> {
    Filter::parse(packed).map_err(|error| invalid_argument(py, &error.to_string()))
}

/// Whether a packed payload matches a packed filter.
#[pyfunction]
pub fn payload_matches(py: Python<'_>, packed_filter: &[u8], payload: &[u8]) -> PyResult<bool> {
    Ok(parse_filter(py, packed_filter)?.matches(payload))
}
