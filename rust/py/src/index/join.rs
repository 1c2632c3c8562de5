//! The class `JoinParticipant`: one call gives a page of joined rows.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sopasync_core::index::{self, Join, JoinItem, JoinRow, JoinStep, Probe};
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

    /// The rows that were made: for each store a list of keys, a list of values and, where keys repeat, of item ids; `None`
    /// where no item matched. An item that stands in rows behind each other is one object in all of them.
    fn page<'py>(&self, py: Python<'py>) -> Object<'py> {
        let (rows, width) = {
            let mut join = self.join.lock();
            (join.take(), join.width())
        };
        let mut columns = Vec::with_capacity(width);
        for (place, entries) in self.places.iter().enumerate() {
            let column = rows.iter().skip(place).step_by(width);
            columns.push(present(py, entries, column)?);
        }
        Ok(PyTuple::new(py, columns)?.into_any())
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

fn present<'py, 'r>(
    py: Python<'py>,
    entries: &Entries,
    column: impl Iterator<Item = &'r JoinRow>,
) -> Object<'py> {
    let size = column.size_hint().0;
    let mut keys: Vec<Bound<'py, PyAny>> = Vec::with_capacity(size);
    let mut values: Vec<Bound<'py, PyAny>> = Vec::with_capacity(size);
    let mut ids: Vec<Bound<'py, PyAny>> = Vec::new();
    let mut last: Option<&JoinItem> = None;
    for item in column {
        let again = match (item, last) {
            (Some(item), Some(last)) => item.is(last),
            _ => false,
        };
        if again {
            for list in [&mut keys, &mut values, &mut ids] {
                list.extend(list.last().cloned());
            }
            continue;
        }
        last = item.as_ref();
        match item {
            None => {
                keys.push(none(py));
                values.push(none(py));
                if !entries.codec.unique {
                    ids.push(none(py));
                }
            }
            Some(item) => {
                keys.push(entries.codec.read(py, item.key(), item.meta())?);
                values.push(entries.form.object(py, item.value())?);
                if let Some(id) = entries.codec.item_id(py, item.key())? {
                    ids.push(id);
                }
            }
        }
    }
    let ids = if entries.codec.unique {
        none(py)
    } else {
        PyList::new(py, ids)?.into_any()
    };
    let lists = [
        PyList::new(py, keys)?.into_any(),
        PyList::new(py, values)?.into_any(),
        ids,
    ];
    Ok(PyTuple::new(py, lists)?.into_any())
}
