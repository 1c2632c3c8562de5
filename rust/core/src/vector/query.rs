//! The nearest vectors at a transaction's snapshot, with its own changes.

use std::ops::Bound;
use std::sync::Arc;

use sopasync_payload::{Columns, Fields, Filter, Selection, check_fields};
use sopasync_vector::{Hit, TopK};

use super::VectorStore;
use super::exact::Rows;
use super::index::View;
use super::own::Own;
use super::part::{Part, Visible};
use super::planner::INLINE_NANOS_MAX;
use super::pull::{aside, first_of};
use super::rows::{
    Number, PROVISIONAL, TOMBSTONE, VECTOR, decode_record, join_record, malformed, numbered_row,
};
use crate::engine::{Access, ScanRange, Transaction};
use crate::error::{Error, Result};

/// What to look for.
#[derive(Clone, Copy)]
pub struct VectorQuery<'a> {
    /// The elements of one vector, or of many one after the other.
    pub vectors: &'a [u8],
    /// How many of the nearest; `usize::MAX` for all within a distance.
    pub k: usize,
    /// None farther away than this.
    pub within: Option<f32>,
    /// None whose payload does not match.
    pub filter: Option<&'a Filter>,
    /// Candidates to keep in graphs; the store's own number when not given.
    pub ef: Option<usize>,
    /// Use no graph: measure everything that may be a hit.
    pub exact: bool,
    /// Bring the payloads of the hits.
    pub payloads: bool,
}

impl<'a> VectorQuery<'a> {
    /// The `k` nearest of one vector, or of each of many.
    pub fn new(vectors: &'a [u8], k: usize) -> Self {
        Self {
            vectors,
            k,
            within: None,
            filter: None,
            ef: None,
            exact: false,
            payloads: true,
        }
    }
}

/// A vector that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorHit {
    /// Its encoded key.
    pub key: Vec<u8>,
    /// How far it is; smaller is nearer.
    pub distance: f32,
    /// The same the other way round; larger is nearer.
    pub score: f32,
    /// Its packed payload (nil when it has none), if payloads were asked for.
    pub payload: Option<Vec<u8>>,
}

/// A query on its way.
pub(super) struct Search<'a> {
    pub(super) query: VectorQuery<'a>,
    /// Prepared rows of the queries.
    pub(super) prepared: Vec<u8>,
    pub(super) seq: u64,
    pub(super) own: Own,
    /// The nearest of each query so far.
    pub(super) tops: Vec<TopK<Number>>,
}

impl VectorStore {
    /// The nearest vectors of each query, nearest first. Exactly those of the snapshot with the transaction's own
    /// changes. When it would take long and may not wait, it is `WouldBlock`: see `query_cost`.
    ///
    /// Under serializable isolation, in a transaction that writes, the commit fails when others have changed
    /// the store meanwhile.
    pub fn query(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        access: Access,
    ) -> Result<Vec<Vec<VectorHit>>> {
        let mut search = self.begin_search(tx, query, access)?;
        match self.index.pull(tx, self.id, access.may_wait)? {
            Some(view) => self.search_view(&mut search, &view)?,
            None => self.search_rows(tx, &mut search)?,
        }
        let selection = match query.filter {
            Some(filter) => Some(refused(search.own.columns.select(filter))?),
            None => None,
        };
        let own = std::mem::take(&mut search.own);
        search.scan(
            &self.index.kernel,
            own.part(),
            PROVISIONAL,
            selection.as_ref(),
        );
        search.own = own;
        self.claim(tx, access)?;
        self.hits(tx, search, access.may_wait)
    }

    pub(super) fn begin_search<'q>(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'q>,
        access: Access,
    ) -> Result<Search<'q>> {
        let space = self.index.space();
        let bytes = space.row_bytes();
        if query.vectors.is_empty() || !query.vectors.len().is_multiple_of(bytes) {
            return Err(Error::invalid(format!(
                "a query of this store has {bytes} bytes ({} elements); this one has {}",
                space.dimension(),
                query.vectors.len()
            )));
        }
        if query.k == 0 {
            return Err(Error::invalid("k is 0; ask for at least one vector"));
        }
        if query.within.is_some_and(f32::is_nan) {
            return Err(Error::invalid(
                "the distance of a range query is not a number",
            ));
        }
        let mut prepared = Vec::with_capacity(query.vectors.len());
        for row in query.vectors.chunks_exact(bytes) {
            space
                .validate(row)
                .map_err(|error| Error::invalid(error.to_string()))?;
            space.prepare(row, &mut prepared);
        }
        if !access.may_wait && self.query_cost(tx, query, false)?.nanos > INLINE_NANOS_MAX {
            return Err(Error::WouldBlock);
        }
        let limit = query
            .within
            .map_or(f32::INFINITY, |distance| space.internal(distance));
        let count = query.vectors.len() / bytes;
        Ok(Search {
            query: *query,
            prepared,
            seq: tx.seq(),
            own: Own::collect(tx, self.id, space, access.may_wait)?,
            tops: (0..count).map(|_| TopK::within(query.k, limit)).collect(),
        })
    }

    /// Every vector may have been a hit: later ones, and later deletions, are conflicts.
    fn claim(&self, tx: &mut Transaction, access: Access) -> Result<()> {
        for family in [VECTOR, TOMBSTONE] {
            let (low, high) = (first_of(family, tx.seq() + 1), [family + 1]);
            let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
            tx.claim_range(self.id, low, high, access)?;
        }
        Ok(())
    }

    fn search_view(&self, search: &mut Search<'_>, view: &Arc<View>) -> Result<()> {
        let own = std::mem::take(&mut search.own);
        if let Some(filter) = search.query.filter {
            check_names(filter, view, &own.columns)?;
        }
        search.own = own;
        for segment in &view.segments {
            let selection = match search.query.filter {
                Some(filter) => Some(refused(segment.columns.select(filter))?),
                None => None,
            };
            search.segment(&self.index, segment, selection.as_ref());
        }
        for held in &view.chunks {
            let chunk = held.chunk.read();
            let selection = select(search.query.filter, chunk.columns())?;
            search.scan(
                &self.index.kernel,
                chunk.part(),
                search.seq,
                selection.as_ref(),
            );
        }
        Ok(())
    }

    /// Answers from the store's rows alone: for a snapshot below the index.
    fn search_rows(&self, tx: &mut Transaction, search: &mut Search<'_>) -> Result<()> {
        let rows = Rows::read(tx, self.id, self.index.space())?;
        let selection = match search.query.filter {
            Some(filter) => {
                let parts: [&dyn Fields; 2] = [&rows.columns, &search.own.columns];
                refused(check_fields(filter, &parts))?;
                Some(refused(rows.columns.select(filter))?)
            }
            None => None,
        };
        search.scan(
            &self.index.kernel,
            rows.part(),
            search.seq,
            selection.as_ref(),
        );
        Ok(())
    }

    pub(super) fn hits(
        &self,
        tx: &mut Transaction,
        search: Search<'_>,
        may_wait: bool,
    ) -> Result<Vec<Vec<VectorHit>>> {
        let Search {
            own, tops, query, ..
        } = search;
        let hit = |found: Hit<Number>, tx: &mut Transaction| {
            let shown = self.index.space().shown(found.distance);
            let mut make = |record: &[u8]| {
                let (key, payload) = decode_record(record)?;
                Ok(VectorHit {
                    key: key.to_vec(),
                    distance: shown.distance,
                    score: shown.score,
                    payload: query.payloads.then(|| payload.to_vec()),
                })
            };
            if found.slot.seq == PROVISIONAL {
                return make(own.record(found.slot));
            }
            self.visit_record(tx, found.slot, may_wait, &mut make)
        };
        tops.into_iter()
            .map(|top| {
                let found = top.into_sorted().into_iter();
                found.map(|found| hit(found, tx)).collect()
            })
            .collect()
    }

    /// Hands the record of a vector to `visit`, without reading its elements where it need not.
    pub(super) fn visit_record<R>(
        &self,
        tx: &mut Transaction,
        number: Number,
        may_wait: bool,
        visit: &mut dyn FnMut(&[u8]) -> Result<R>,
    ) -> Result<R> {
        let row = numbered_row(VECTOR, number);
        let range = ScanRange {
            low: Bound::Included(&row),
            high: Bound::Included(&row),
            keys_only: true,
            ..ScanRange::default()
        };
        let mut found = None;
        tx.scan(self.id, &range, aside(may_wait), &mut |_, meta, _| {
            found = Some((!meta.is_empty()).then(|| visit(meta)));
        })?;
        let missing = || malformed("a vector that the index has found is not in the store");
        if let Some(found) = found.ok_or_else(missing)? {
            return found;
        }
        let bytes = self.index.space().row_bytes();
        let found = tx.visit(self.id, &row, aside(may_wait), |meta, value| {
            join_record(meta, value, bytes).and_then(|(_, record)| visit(record))
        })?;
        found.ok_or_else(missing)?
    }
}

impl Search<'_> {
    /// Takes the nearest of a part in, by measuring every row that may be one.
    pub(super) fn scan(
        &mut self,
        kernel: &sopasync_vector::Kernel,
        part: Part<'_>,
        seq: u64,
        selection: Option<&Selection>,
    ) {
        if part.count() == 0 || selection.is_some_and(|selection| selection.count() == 0) {
            return;
        }
        let visible = Visible::new(part, seq, &self.own.gone, selection);
        let k = self.query.k;
        let mut tops: Vec<TopK> = self
            .tops
            .iter()
            .map(|top| TopK::within(k, top.bound()))
            .collect();
        visible.scan(kernel, &self.prepared, &mut tops);
        for (top, found) in self.tops.iter_mut().zip(tops) {
            for hit in found.into_sorted() {
                top.push(hit.distance, part.numbers.get(hit.slot));
            }
        }
    }
}

impl Search<'_> {
    /// The same for one query alone.
    pub(super) fn scan_one(
        &mut self,
        at: usize,
        kernel: &sopasync_vector::Kernel,
        visible: &Visible<'_>,
        part: &Part<'_>,
    ) {
        let bytes = kernel.row_bytes();
        let mut top = [TopK::within(self.query.k, self.tops[at].bound())];
        visible.scan(
            kernel,
            &self.prepared[at * bytes..(at + 1) * bytes],
            &mut top,
        );
        let [top] = top;
        for hit in top.into_sorted() {
            self.tops[at].push(hit.distance, part.numbers.get(hit.slot));
        }
    }
}

pub(super) fn select(filter: Option<&Filter>, columns: &Columns) -> Result<Option<Selection>> {
    match filter {
        Some(filter) => refused(columns.select(filter)).map(Some),
        None => Ok(None),
    }
}

/// Refuses a filter that names fields no payload has.
fn check_names(filter: &Filter, view: &View, own: &Columns) -> Result<()> {
    let chunks: Vec<_> = view.chunks.iter().map(|held| held.chunk.read()).collect();
    let mut parts: Vec<&dyn Fields> = vec![own];
    parts.extend(chunks.iter().map(|chunk| chunk.columns() as &dyn Fields));
    parts.extend(
        view.segments
            .iter()
            .map(|segment| &segment.columns as &dyn Fields),
    );
    refused(check_fields(filter, &parts))
}

pub(super) fn refused<T>(result: sopasync_payload::Result<T>) -> Result<T> {
    result.map_err(|error| Error::invalid(error.to_string()))
}
