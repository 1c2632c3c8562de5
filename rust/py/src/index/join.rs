//! The class `JoinParticipant`: one call gives a page of joined rows.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sopasync_core::index::{self, Column, Join, JoinStep, NOTHING, Probe};
use sopasync_core::{Error, FieldSource, IndexField, Transaction as CoreTransaction};

use super::class::edge;
use super::define::{FieldTuple, ShapeTuple, field, shape};
use crate::completions::Completions;
use crate::error::{from_core, invalid_argument};
use crate::key::KeyCodec;
use crate::miss::{miss_or_error, repeat};
use crate::participant::{Answer, Entries, INLINE, Parts, Reading, WAITING, none};
use crate::transaction::{Shared, Transaction};
use crate::value::{Form, ValueForm};

type Object<'py> = PyResult<Bound<'py, PyAny>>;
/// Store, index to go along, first and last key, from the end to the start.
type LeftTuple = (u64, Option<String>, Option<Vec<u8>>, Option<Vec<u8>>, bool);
/// The place the fields are of and how its keys are laid out; the fields; the store to look in, the index, how its keys are
/// laid out; whether rows without a match are kept.
type StepTuple = (
    usize,
    ShapeTuple,
    Vec<FieldTuple>,
    u64,
    Option<String>,
    ShapeTuple,
    bool,
);

/// A join inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct JoinParticipant {
    shared: Arc<Shared>,
    join: Arc<Mutex<Join>>,
    places: Vec<Entries>,
    limit: Mutex<usize>,
}

/// Begins a join; `places` are the codecs of each store of a row.
#[pyfunction]
pub fn open_join(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    left: LeftTuple,
    steps: Vec<StepTuple>,
    places: Vec<(Bound<'_, KeyCodec>, Option<Bound<'_, ValueForm>>)>,
) -> PyResult<JoinParticipant> {
    if places.len() != steps.len() + 1 {
        return Err(invalid_argument(py, "a join has one store more than steps"));
    }
    let shared = Arc::clone(&transaction.get().shared);
    let steps: PyResult<Vec<_>> = steps
        .into_iter()
        .map(|(from, from_shape, fields, store, index, target, outer)| {
            let fields: PyResult<Vec<_>> = fields.into_iter().map(|one| field(py, one)).collect();
            let step = JoinStep {
                from,
                from_shape: shape(from_shape),
                fields: fields?,
                store,
                probe: Probe::Key(shape(target)),
                outer,
            };
            Ok((step, index))
        })
        .collect();
    let steps = steps?;
    let join = shared
        .with(py, |tx| begin(tx, left, steps))?
        .map_err(|error| from_core(py, &error))?;
    Ok(JoinParticipant {
        shared,
        join: Arc::new(Mutex::new(join)),
        places: places
            .iter()
            .map(|(codec, form)| Entries {
                codec: Arc::clone(&codec.get().codec),
                form: form
                    .as_ref()
                    .map_or_else(Form::packed, |form| Arc::clone(&form.get().form)),
            })
            .collect(),
        limit: Mutex::new(0),
    })
}

fn begin(
    tx: &mut CoreTransaction,
    (store, through, low, high, reverse): LeftTuple,
    steps: Vec<(JoinStep, Option<String>)>,
) -> Result<Join, Error> {
    let mut find = |store: u64, name: &Option<String>| match name {
        None => Ok(None),
        Some(name) => match index::find(tx, store, name)? {
            Some(link) => Ok(Some(link)),
            None => Err(Error::Invalid {
                reason: format!("there is no index '{name}'"),
            }),
        },
    };
    let through = find(store, &through)?;
    let mut found = Vec::with_capacity(steps.len());
    for (mut step, name) in steps {
        if let Some(link) = find(step.store, &name)? {
            step.probe = Probe::Index(link);
        }
        let directions: Vec<bool> = match &step.probe {
            Probe::Index(link) => {
                let fields = link.definition.fields.iter();
                fields.map(|field| field.ascending).collect()
            }
            Probe::Key(shape) => shape.fields.clone().unwrap_or_else(|| vec![true]),
        };
        direct(&mut step.fields, &directions)?;
        found.push(step);
    }
    let bounds = (edge(low.as_deref(), false), high);
    Ok(Join::new(store, through, bounds, reverse, found))
}

/// Fields take the directions in which the other side has them.
fn direct(fields: &mut [IndexField], directions: &[bool]) -> Result<(), Error> {
    if fields.len() > directions.len() {
        let names: Vec<_> = fields
            .iter()
            .map(|field| match &field.source {
                FieldSource::Value(path) | FieldSource::Ride(path) => path.clone(),
                FieldSource::Key(position) => format!("key[{position}]"),
            })
            .collect();
        return Err(Error::Invalid {
            reason: format!(
                "{} have {} fields, and the other side is ordered by {}",
                names.join(", "),
                fields.len(),
                directions.len()
            ),
        });
    }
    for (field, ascending) in fields.iter_mut().zip(directions) {
        field.ascending = *ascending;
    }
    Ok(())
}

#[pymethods]
impl JoinParticipant {
    /// Makes up to `limit` rows, for `page`; `None`, or `MISS`.
    fn fill<'py>(&self, py: Python<'py>, limit: usize) -> Object<'py> {
        *self.limit.lock() = limit;
        match self
            .shared
            .with(py, |tx| self.join.lock().fill(tx, limit, INLINE))?
        {
            Ok(()) => Ok(none(py)),
            Err(error) => miss_or_error(py, &error, || ()),
        }
    }

    /// The rows that were made: for each store its items, each once, as a list of keys, a list of values and, where keys
    /// repeat, a list of item ids; and which of them every row has, `None` when every row has the next one.
    fn page<'py>(&self, py: Python<'py>) -> Object<'py> {
        let taken = self.join.lock().take();
        let columns = taken.into_iter().zip(&self.places);
        let columns: PyResult<Vec<_>> = columns
            .map(|(column, entries)| present(py, entries, column))
            .collect();
        Ok(PyTuple::new(py, columns?)?.into_any())
    }

    /// Have all rows been made? Until then a page may be empty.
    #[getter]
    fn ended(&self) -> bool {
        self.join.lock().has_ended()
    }

    fn retry(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        repeat(py, &self.shared, completions, token, || {
            let limit = *self.limit.lock();
            let join = Arc::clone(&self.join);
            let run = move |tx: &mut CoreTransaction| {
                join.lock().fill(tx, limit, WAITING)?;
                Ok(Answer::Done)
            };
            let reading = Reading {
                entries: self.places[0].clone(),
                parts: Parts::Keys,
                default: None,
            };
            (limit > 0).then_some((run, reading))
        })
    }
}

fn present<'py>(py: Python<'py>, entries: &Entries, column: Column) -> Object<'py> {
    let items = column.items();
    let mut keys = Vec::with_capacity(items.len());
    let mut values = Vec::with_capacity(items.len());
    let mut ids = Vec::new();
    for item in items {
        keys.push(entries.codec.read(py, item.key, item.meta)?);
        values.push(entries.form.object(py, item.value)?);
        if let Some(id) = entries.codec.item_id(py, item.key)? {
            ids.push(id);
        }
    }
    let ids = if entries.codec.unique {
        none(py)
    } else {
        PyList::new(py, ids)?.into_any()
    };
    let places = if column.is_even() {
        none(py)
    } else {
        let places = column.into_rows();
        Bound::new(py, Places { places })?.into_any()
    };
    let parts = [
        PyList::new(py, keys)?.into_any(),
        PyList::new(py, values)?.into_any(),
        ids,
        places,
    ];
    Ok(PyTuple::new(py, parts)?.into_any())
}

/// Which of the items of a store the rows of a page have.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Places {
    places: Vec<u32>,
}

#[pymethods]
impl Places {
    /// What the rows have of a list with something for each item; `None` for rows without an item.
    fn spread<'py>(&self, of: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
        let py = of.py();
        let all: Vec<Bound<'py, PyAny>> = of.iter().collect();
        let mut spread = Vec::with_capacity(self.places.len());
        for &place in &self.places {
            spread.push(match (place, all.get(place as usize)) {
                (_, Some(one)) => one.clone(),
                (NOTHING, None) => none(py),
                _ => return Err(invalid_argument(py, "the list has too few elements")),
            });
        }
        PyList::new(py, spread)
    }
}
