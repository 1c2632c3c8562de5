//! Reads on the caller's thread: Python objects made straight from the pages.

use pyo3::prelude::*;
use pyo3::types::PyList;
use sopasync_core::{Result, Transaction};

use super::batch::Batch;
use super::class::INLINE;
use super::operation::Range;
use super::present::{Entries, Page, Parts, none};
use super::scope::Scope;
use crate::value::Form;

/// The engine's outcome around Python's.
type Nested<'py> = Result<PyResult<Bound<'py, PyAny>>>;

#[inline]
pub fn get<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    form: &Form,
    key: &[u8],
) -> Result<Option<PyResult<Bound<'py, PyAny>>>> {
    scope.visit(tx, key, INLINE, |_, _, value| form.object(py, value))
}

pub fn get_many<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    form: &Form,
    keys: &Batch,
) -> Nested<'py> {
    let mut values = Vec::with_capacity(keys.len());
    for (key, _) in keys.iter() {
        match get(py, tx, scope, form, key)? {
            None => values.push(none(py)),
            Some(Ok(value)) => values.push(value),
            Some(Err(error)) => return Ok(Err(error)),
        }
    }
    Ok(PyList::new(py, values).map(Bound::into_any))
}

pub fn scan<'py>(
    py: Python<'py>,
    tx: &mut Transaction,
    scope: Scope,
    range: &Range<'_>,
    entries: &Entries,
    parts: Parts,
) -> Nested<'py> {
    let mut page = Page::new(py, entries, parts, range.limit.min(1024));
    let mut failure = None;
    let next = tx.scan(
        scope.store,
        &range.borrow(),
        INLINE,
        &mut |raw, meta, value| {
            if failure.is_none()
                && let Err(error) = page.push(raw, meta, value.unwrap_or_default())
            {
                failure = Some(error);
            }
        },
    )?;
    Ok(match failure {
        Some(error) => Err(error),
        None => page.finish(next.as_deref()),
    })
}
