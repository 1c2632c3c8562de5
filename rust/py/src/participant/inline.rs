//! Reads on the caller's thread: Python objects made straight from the pages.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sopasync_core::{Result, Transaction};

use super::batch::Batch;
use super::class::INLINE;
use super::operation::Range;
use super::present::{Parts, none, page, page_element};
use super::scope::Scope;
use crate::key::Codec;

/// The engine's outcome around Python's.
type Nested<'py> = Result<PyResult<Bound<'py, PyAny>>>;

#[inline]
pub fn get<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    key: &[u8],
) -> Result<Option<Bound<'py, PyBytes>>> {
    scope.visit(tx, key, INLINE, |_, _, value| PyBytes::new(py, value))
}

pub fn get_many<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
) -> Nested<'py> {
    let mut values = Vec::with_capacity(keys.len());
    for (key, _) in keys.iter() {
        let value = get(py, tx, scope, key)?;
        values.push(value.map_or_else(|| none(py), Bound::into_any));
    }
    Ok(PyList::new(py, values).map(Bound::into_any))
}

pub fn scan<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    range: &Range<'_>,
    codec: &Codec,
    parts: Parts,
) -> Nested<'py> {
    let mut elements = Vec::with_capacity(range.limit.min(1024));
    let mut failure = None;
    let next = tx.scan(
        scope.store,
        &range.borrow(),
        INLINE,
        &mut |raw, meta, value| {
            if failure.is_some() {
                return;
            }
            match page_element(py, codec, parts, raw, meta, value.unwrap_or_default()) {
                Ok(element) => elements.push(element),
                Err(error) => failure = Some(error),
            }
        },
    )?;
    Ok(match failure {
        Some(error) => Err(error),
        None => page(py, elements, next.as_deref()),
    })
}
