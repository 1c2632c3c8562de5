//! Searching what is not in the index: the store's rows, piece by piece.
//!
//! Whoever searches reads what was committed lately into the index, up to a limit of memory. What is behind that is read from
//! the store for the search alone, until maintenance has made a segment of what is in memory. So is everything, for a
//! snapshot that is older than the index.

use rustc_hash::FxHashSet;
use sopasync_payload::{Columns, Fields, Filter, check_fields};

use super::VectorStore;
use super::exact::{Rows, deleted_after};
use super::hits::Holder;
use super::index::View;
use super::own::Own;
use super::query::{Search, refused};
use super::rows::Number;
use crate::engine::Transaction;
use crate::error::Result;

/// Vectors that came lately are read into memory by searches up to so many bytes of them: more than maintenance leaves there.
pub(super) const TAIL_BYTES_MAX: usize = 16 << 20;

/// The fields of payloads that were met in pieces.
#[derive(Default)]
pub(super) struct Met {
    names: FxHashSet<String>,
    some: bool,
}

impl Met {
    fn note(&mut self, columns: &Columns) {
        self.some |= !Fields::is_empty(columns);
        self.names.extend(columns.field_names());
    }
}

impl Fields for Met {
    fn has_field(&self, field: &str) -> bool {
        self.names.contains(field)
    }

    fn field_names(&self) -> Vec<String> {
        self.names.iter().cloned().collect()
    }

    fn is_empty(&self) -> bool {
        !self.some
    }
}

impl VectorStore {
    /// Answers from the index as far as it has read the store, and from the store's rows behind that. May wait.
    pub(super) fn search_behind(
        &self,
        tx: &mut Transaction,
        search: &mut Search<'_>,
        view: &View,
        own: &mut Own,
    ) -> Result<()> {
        let deleted = deleted_after(tx, self.id, view.pulled)?;
        let from = Number {
            seq: view.pulled + 1,
            ordinal: 0,
        };
        self.search_pieces(tx, search, from, &own.gone, &deleted)?;
        own.gone.extend(deleted);
        own.gone.sort_unstable();
        let seq = std::mem::replace(&mut search.seq, view.pulled);
        self.search_view(search, view, own, (0, true))?;
        search.seq = seq;
        Ok(())
    }

    /// Answers from the store's rows alone: for a snapshot below the index. May wait.
    pub(super) fn search_rows(
        &self,
        tx: &mut Transaction,
        search: &mut Search<'_>,
        own: &Own,
    ) -> Result<()> {
        let deleted = deleted_after(tx, self.id, 0)?;
        self.search_pieces(tx, search, Number::FIRST, &own.gone, &deleted)?;
        if let Some(filter) = search.query.asked_filter() {
            refused(check_fields(filter, &[&search.met, &own.columns]))?;
        }
        self.search_own(search, own)
    }

    fn search_pieces(
        &self,
        tx: &mut Transaction,
        search: &mut Search<'_>,
        from: Number,
        gone: &[Number],
        deleted: &FxHashSet<Number>,
    ) -> Result<()> {
        let store = (self.id, self.index.space());
        let seq = search.seq;
        Rows::in_pieces(tx, store, from, deleted, &mut |rows| {
            self.search_piece(search, rows, (seq, gone))
        })
    }

    /// Measures rows that were read.
    pub(super) fn search_piece(
        &self,
        search: &mut Search<'_>,
        rows: &Rows,
        visible: (u64, &[Number]),
    ) -> Result<()> {
        let selection = match search.query.asked_filter() {
            Some(filter) => {
                search.met.note(&rows.columns);
                Some(refused(rows.columns.select(filter))?)
            }
            None => None,
        };
        let kernel = &self.index.kernel;
        let selection = selection.as_ref();
        search.scan(kernel, rows.part(), visible, selection, Holder::Rows);
        Ok(())
    }

    /// Refuses a filter that names fields no payload of the rows has. May wait.
    pub(super) fn check_rows(
        &self,
        tx: &mut Transaction,
        filter: &Filter,
        own: &Own,
    ) -> Result<()> {
        let deleted = deleted_after(tx, self.id, 0)?;
        let store = (self.id, self.index.space());
        let mut met = Met::default();
        Rows::in_pieces(tx, store, Number::FIRST, &deleted, &mut |rows| {
            met.note(&rows.columns);
            Ok(())
        })?;
        refused(check_fields(filter, &[&met, &own.columns]))
    }
}
