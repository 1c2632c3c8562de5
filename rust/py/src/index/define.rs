//! Making, dropping and listing indexes. None of it waits.

use pyo3::prelude::*;
use sopasync_core::{
    FieldSource, IndexDefinition, IndexField, KeyShape, OnDelete, Reference, index,
};

use crate::error::{from_core, invalid_argument};
use crate::transaction::Transaction;

/// Unique, and the directions of the fields of record keys.
pub type ShapeTuple = (bool, Option<Vec<bool>>);
/// Where it is (0 value, 1 key, 2 rides along), the path, the position in the key, whether it ascends.
pub type FieldTuple = (u8, String, usize, bool);
/// The store, how its keys are laid out, whether removing an item removes what refers to it.
type ReferenceTuple = (String, ShapeTuple, bool);
/// Name, unique, fields, reference.
type IndexTuple = (String, bool, Vec<FieldTuple>, Option<ReferenceTuple>);

pub fn shape((unique, fields): ShapeTuple) -> KeyShape {
    KeyShape { unique, fields }
}

fn shape_tuple(shape: &KeyShape) -> ShapeTuple {
    (shape.unique, shape.fields.clone())
}

pub fn field(
    py: Python<'_>,
    (code, path, position, ascending): FieldTuple,
) -> PyResult<IndexField> {
    let source = match code {
        0 => FieldSource::Value(path),
        1 => FieldSource::Key(position),
        2 => FieldSource::Ride(path),
        _ => {
            let message = format!(
                "a field is 0 (of the value), 1 (of the key) or 2 (rides along), not {code}"
            );
            return Err(invalid_argument(py, &message));
        }
    };
    Ok(IndexField { source, ascending })
}

fn field_tuple(field: &IndexField) -> FieldTuple {
    let (code, path, position) = match &field.source {
        FieldSource::Value(path) => (0, path.clone(), 0),
        FieldSource::Key(position) => (1, String::new(), *position),
        FieldSource::Ride(path) => (2, path.clone(), 0),
    };
    (code, path, position, field.ascending)
}

/// Declares an index of a store.
#[pyfunction]
#[pyo3(signature = (transaction, store, name, fields, *, unique, key, reference=None, to_fill=false))]
#[expect(clippy::too_many_arguments, reason = "named in Python")]
pub fn create_index(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    store: String,
    name: String,
    fields: Vec<FieldTuple>,
    unique: bool,
    key: ShapeTuple,
    reference: Option<ReferenceTuple>,
    to_fill: bool,
) -> PyResult<()> {
    let fields: PyResult<_> = fields.into_iter().map(|one| field(py, one)).collect();
    let definition = IndexDefinition {
        store,
        name,
        unique,
        key: shape(key),
        fields: fields?,
        reference: reference.map(|(store, key, cascade)| Reference {
            store,
            key: shape(key),
            on_delete: if cascade {
                OnDelete::Cascade
            } else {
                OnDelete::Restrict
            },
        }),
    };
    let create = if to_fill {
        index::create_to_fill
    } else {
        index::create
    };
    transaction
        .get()
        .shared
        .with(py, |tx| create(tx, &definition))?
        .map_err(|error| from_core(py, &error))
}

/// Drops an index; false when there is none of that name.
#[pyfunction]
pub fn drop_index(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    store_id: u64,
    name: &str,
) -> PyResult<bool> {
    transaction
        .get()
        .shared
        .with(py, |tx| index::drop_index(tx, store_id, name))?
        .map_err(|error| from_core(py, &error))
}

/// Whether the transaction has made the store itself.
#[pyfunction]
pub fn has_made(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    store_id: u64,
) -> PyResult<bool> {
    let shared = &transaction.get().shared;
    shared.with(py, |tx| tx.has_made(store_id))
}

/// The indexes of a store, with the numbers of their own stores.
#[pyfunction]
pub fn list_indexes(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    store_id: u64,
) -> PyResult<Vec<(u64, IndexTuple)>> {
    let links = transaction
        .get()
        .shared
        .with(py, |tx| tx.links(store_id))?
        .map_err(|error| from_core(py, &error))?;
    let indexes = links.iter().flat_map(|links| &links.indexes);
    Ok(indexes
        .map(|link| {
            let definition = &link.definition;
            let reference = definition.reference.as_ref().map(|reference| {
                (
                    reference.store.clone(),
                    shape_tuple(&reference.key),
                    reference.on_delete == OnDelete::Cascade,
                )
            });
            let fields = definition.fields.iter().map(field_tuple).collect();
            let index = (
                definition.name.clone(),
                definition.unique,
                fields,
                reference,
            );
            (link.id, index)
        })
        .collect())
}
