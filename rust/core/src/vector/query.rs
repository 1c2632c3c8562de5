//! The nearest vectors at a transaction's snapshot, with its own changes.

use std::ops::Bound;
use std::sync::Arc;

use sopasync_payload::{Fields, Filter, check_fields};
use sopasync_vector::TopK;

use super::VectorStore;
use super::behind::Met;
use super::filters::{KnownFilter, Selected};
use super::hits::{Holder, Holders, Place, VectorHit, VectorHits};
use super::index::View;
use super::own::Own;
use super::planner::{INLINE_NANOS_MAX, SLOWER, Way};
use super::pull::first_of;
use super::rows::{PROVISIONAL, TOMBSTONE, VECTOR};
use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};

/// Filters are asked of at most so many rows of a segment when it may not wait.
const SELECT_INLINE_ROWS: usize = 100_000;
/// At most so many hits are brought by a search that may not wait.
const INLINE_HITS_MAX: usize = 2_048;
/// Of a range, at most so many rows are put in order by one: how many are within it shows when they have been measured.
const INLINE_RANGE_ROWS_MAX: usize = 16 * INLINE_HITS_MAX;

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
    /// The same as one that the store knows, so that what it selects is kept; instead of `filter`.
    pub known_filter: Option<&'a KnownFilter>,
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
            known_filter: None,
            ef: None,
            exact: false,
            payloads: true,
        }
    }

    pub(super) fn asked_filter(&self) -> Option<&'a Filter> {
        let known = self.known_filter.map(|known| &known.filter);
        known.or(self.filter)
    }
}

/// A query on its way.
pub(super) struct Search<'a> {
    pub(super) query: VectorQuery<'a>,
    /// Prepared rows of the queries.
    pub(super) prepared: Vec<u8>,
    pub(super) seq: u64,
    /// The nearest of each query so far.
    pub(super) tops: Vec<TopK<Place>>,
    /// What payloads outside the index have, if a filter asks.
    pub(super) met: Met,
}

impl Search<'_> {
    /// May there be more hits, among so many rows, than a call that may not wait should take?
    fn may_find_many(&self, rows: usize) -> bool {
        let hits = self.query.k.min(rows);
        let (hits_max, queries) = match self.query.within {
            Some(_) => (INLINE_RANGE_ROWS_MAX, self.tops.len()),
            None => (INLINE_HITS_MAX, self.tops.len()),
        };
        hits.saturating_mul(queries) > hits_max
    }
}

impl VectorStore {
    /// `find`, each hit by itself.
    pub fn query(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        access: Access,
    ) -> Result<Vec<Vec<VectorHit>>> {
        self.find(tx, query, access).map(VectorHits::into_lists)
    }

    /// The nearest vectors of each query, nearest first. Exactly those of the snapshot with the transaction's own
    /// changes. When it would take long and may not wait, it is `WouldBlock`: see `query_cost`.
    ///
    /// Under serializable isolation, in a transaction that writes, the commit fails when others have changed
    /// the store meanwhile.
    pub fn find(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        access: Access,
    ) -> Result<VectorHits> {
        let mut search = self.begin_search(tx, query)?;
        let index = &self.index;
        let view = index.pull_within(tx, self.id, access.may_wait, self.tail_max)?;
        let answers = view.answers(search.seq);
        let mut nanos = 0;
        if !access.may_wait {
            nanos = self.own_nanos(tx, false)?;
            if nanos * SLOWER > INLINE_NANOS_MAX || !answers {
                return Err(Error::WouldBlock);
            }
        }
        let mut own = Own::collect(tx, self.id, index.space(), access.may_wait)?;
        let view = Some(view).filter(|view| view.floor <= search.seq);
        match &view {
            Some(view) if answers => {
                self.search_view(&mut search, view, &own, (nanos, access.may_wait))?;
            }
            Some(view) => self.search_behind(tx, &mut search, view, &mut own)?,
            None => self.search_rows(tx, &mut search, &own)?,
        }
        self.claim(tx, access)?;
        let holders = Holders::new(view.as_deref(), &own);
        self.hits(tx, search, &holders, access.may_wait)
    }

    pub(super) fn begin_search<'q>(
        &self,
        tx: &Transaction,
        query: &VectorQuery<'q>,
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
        let limit = query
            .within
            .map_or(f32::INFINITY, |distance| space.internal(distance));
        let count = query.vectors.len() / bytes;
        Ok(Search {
            query: *query,
            prepared,
            seq: tx.seq(),
            tops: (0..count).map(|_| TopK::within(query.k, limit)).collect(),
            met: Met::default(),
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

    /// Searches what the index has and what the transaction has added; `WouldBlock` when that takes long, on top of what is to be
    /// done anyway, and may not.
    pub(super) fn search_view(
        &self,
        search: &mut Search<'_>,
        view: &View,
        own: &Own,
        (own_nanos, may_wait): (u64, bool),
    ) -> Result<()> {
        let selected = self.select(search, view, own, may_wait)?;
        let mut nanos = self.rows_nanos(view.chunk_rows());
        let mut ways: Vec<Way> = Vec::with_capacity(view.segments.len());
        for (at, segment) in view.segments.iter().enumerate() {
            let selection = selected.get(at).map(|selected| &selected.selection);
            let shape = segment.shape(&self.index, &search.query, selection);
            let (way, each) = shape.best();
            ways.push(way);
            nanos += each;
        }
        let queries = search.tops.len() as u64;
        if may_wait {
            let all = nanos.saturating_mul(queries);
            return search.shared_out(all, |part| {
                self.search_parts(part, view, own, (&ways, &selected))
            });
        }
        let all = (nanos + own_nanos).saturating_mul(queries * SLOWER);
        if all > INLINE_NANOS_MAX || search.may_find_many(view.rows()) {
            return Err(Error::WouldBlock);
        }
        self.search_parts(search, view, own, (&ways, &selected))
    }

    /// Goes through the segments, each in its way, the chunks, and what the transaction has added.
    fn search_parts(
        &self,
        search: &mut Search<'_>,
        view: &View,
        own: &Own,
        (ways, selected): (&[Way], &[Arc<Selected>]),
    ) -> Result<()> {
        for (at, (segment, way)) in view.segments.iter().zip(ways).enumerate() {
            let selection = selected.get(at).map(|selected| &selected.selection);
            let holder = Holder::Segment(at as u32);
            search.segment(&self.index, segment, *way, (&own.gone, selection), holder);
        }
        for (at, held) in view.chunks.iter().enumerate() {
            let chunk = held.chunk.read();
            let selection = match search.query.asked_filter() {
                Some(filter) => Some(refused(chunk.columns().select(filter))?),
                None => None,
            };
            search.scan(
                &self.index.kernel,
                chunk.part(),
                (search.seq, &own.gone),
                selection.as_ref(),
                Holder::Chunk(at as u32),
            );
        }
        self.search_own(search, own)
    }

    /// What the transaction itself has added.
    pub(super) fn search_own(&self, search: &mut Search<'_>, own: &Own) -> Result<()> {
        let selection = match search.query.asked_filter() {
            Some(filter) if !own.is_empty() => Some(refused(own.columns.select(filter))?),
            _ => None,
        };
        search.scan(
            &self.index.kernel,
            own.part(),
            (PROVISIONAL, &[]),
            selection.as_ref(),
            Holder::Own,
        );
        Ok(())
    }

    /// What the filter selects of each segment; nothing at all without a filter. Refuses one that names fields no payload has.
    fn select(
        &self,
        search: &Search<'_>,
        view: &View,
        own: &Own,
        may_wait: bool,
    ) -> Result<Vec<Arc<Selected>>> {
        let Some(filter) = search.query.asked_filter() else {
            return Ok(Vec::new());
        };
        let known = search.query.known_filter;
        let at_once = |segment: &super::segment::Sealed| {
            segment.count() <= SELECT_INLINE_ROWS || segment.selects_at_once(known)
        };
        if !may_wait && !view.segments.iter().all(|segment| at_once(segment)) {
            return Err(Error::WouldBlock);
        }
        let selected = view
            .segments
            .iter()
            .map(|segment| segment.select(filter, known))
            .collect::<Result<Vec<_>>>()?;
        if !selected.iter().any(|selected| selected.has_fields) {
            check_names(filter, view, own, &search.met)?;
        }
        Ok(selected)
    }

    /// Refuses a filter that names fields no payload of the snapshot has.
    pub(super) fn check_filter(
        &self,
        tx: &mut Transaction,
        filter: &Filter,
        may_wait: bool,
    ) -> Result<()> {
        let own = Own::collect(tx, self.id, self.index.space(), may_wait)?;
        let index = &self.index;
        let view = index.pull_within(tx, self.id, may_wait, self.tail_max)?;
        if view.answers(tx.seq()) {
            return check_names(filter, &view, &own, &Met::default());
        }
        if !may_wait {
            return Err(Error::WouldBlock);
        }
        self.check_rows(tx, filter, &own)
    }

    pub(super) fn hits(
        &self,
        tx: &mut Transaction,
        search: Search<'_>,
        holders: &Holders<'_>,
        may_wait: bool,
    ) -> Result<VectorHits> {
        let count = search.tops.iter().map(TopK::len).sum();
        if !may_wait && count > INLINE_HITS_MAX {
            return Err(Error::WouldBlock);
        }
        let mut hits = VectorHits::new(search.query.payloads, count);
        let mut sealed = Vec::with_capacity(count);
        for top in search.tops {
            let found = top.into_sorted();
            sealed.clear();
            sealed.extend(found.iter().map(|hit| holders.sealed_record(hit.slot)));
            for (hit, sealed) in found.iter().zip(&sealed) {
                let shown = self.index.space().shown(hit.distance);
                let place = (hit.slot, *sealed);
                self.take_hit(tx, holders, place, shown, may_wait, &mut hits)?;
            }
            hits.end_query();
        }
        Ok(hits)
    }
}

/// Refuses a filter that names fields no payload has.
fn check_names(filter: &Filter, view: &View, own: &Own, met: &Met) -> Result<()> {
    let chunks: Vec<_> = view.chunks.iter().map(|held| held.chunk.read()).collect();
    let mut parts: Vec<&dyn Fields> = vec![&own.columns, met];
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
