//! What a query found: keys, payloads and distances, in one piece of memory for all hits.

use std::ops::Range;

use super::VectorStore;
use super::index::View;
use super::own::Own;
use super::pull::aside;
use super::records::{Kept, Records};
use super::rows::{Number, VECTOR, decode_record, join_record, malformed, numbered_row};
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;
use std::ops::Bound;

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

/// The hits of one query after the other.
#[derive(Clone, Debug, Default)]
pub struct VectorHits {
    bytes: Vec<u8>,
    hits: Vec<Placed>,
    /// Where the hits of each query end.
    ends: Vec<usize>,
    payloads: bool,
}

/// What most keys take, and most keys with their payloads.
const KEY_BYTES_USUAL: usize = 16;
const WHOLE_BYTES_USUAL: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Placed {
    key: usize,
    payload: usize,
    end: usize,
    distance: f32,
    score: f32,
}

impl VectorHits {
    /// With room for so many hits.
    pub(super) fn new(payloads: bool, hits: usize) -> Self {
        let each = if payloads {
            WHOLE_BYTES_USUAL
        } else {
            KEY_BYTES_USUAL
        };
        Self {
            bytes: Vec::with_capacity(hits * each),
            hits: Vec::with_capacity(hits),
            ends: Vec::with_capacity(1),
            payloads,
        }
    }

    /// How many queries there were.
    pub fn queries(&self) -> usize {
        self.ends.len()
    }

    /// The places of one query's hits, nearest first.
    pub fn of(&self, query: usize) -> Range<usize> {
        let start = query.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[query]
    }

    /// The encoded key at a place.
    pub fn key(&self, place: usize) -> &[u8] {
        let hit = &self.hits[place];
        &self.bytes[hit.key..hit.payload]
    }

    /// The packed payload at a place (nil when it has none), if payloads were asked for.
    pub fn payload(&self, place: usize) -> Option<&[u8]> {
        let hit = &self.hits[place];
        self.payloads.then(|| &self.bytes[hit.payload..hit.end])
    }

    /// How far the one at a place is; smaller is nearer.
    pub fn distance(&self, place: usize) -> f32 {
        self.hits[place].distance
    }

    /// The same the other way round; larger is nearer.
    pub fn score(&self, place: usize) -> f32 {
        self.hits[place].score
    }

    pub(super) fn push(&mut self, key: &[u8], payload: &[u8], shown: sopasync_vector::Shown) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        if self.payloads {
            self.bytes.extend_from_slice(payload);
        }
        self.hits.push(Placed {
            key: start,
            payload: middle,
            end: self.bytes.len(),
            distance: shown.distance,
            score: shown.score,
        });
    }

    pub(super) fn end_query(&mut self) {
        self.ends.push(self.hits.len());
    }

    /// Each hit by itself.
    pub(super) fn into_lists(self) -> Vec<Vec<VectorHit>> {
        let hit = |place| VectorHit {
            key: self.key(place).to_vec(),
            distance: self.distance(place),
            score: self.score(place),
            payload: self.payload(place).map(<[u8]>::to_vec),
        };
        (0..self.queries())
            .map(|query| self.of(query).map(hit).collect())
            .collect()
    }
}

/// Where a hit lies. Ordered by its number alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: Number,
    pub(super) holder: Holder,
    pub(super) slot: u32,
}

/// What a hit lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// The segment at this place of the view.
    Segment(u32),
    /// The chunk at this place of the view.
    Chunk(u32),
    /// What the transaction itself has added.
    Own,
    /// The store's rows alone.
    Rows,
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

/// What hits can lie in, for one search.
pub(super) struct Holders<'a> {
    view: Option<&'a View>,
    own: &'a Own,
    /// The records of each segment.
    records: Vec<Records<'a>>,
}

impl<'a> Holders<'a> {
    pub(super) fn new(view: Option<&'a View>, own: &'a Own) -> Self {
        let segments = view.map_or(&[][..], |view| &view.segments);
        let records = segments.iter().map(|segment| segment.part().records);
        Self {
            view,
            own,
            records: records.collect(),
        }
    }

    /// The record of a hit that lies in a segment. Asked for all hits before any of them is looked at: then the processor waits for
    /// memory once, not once for each.
    pub(super) fn sealed_record(&self, place: Place) -> Option<&'a [u8]> {
        match place.holder {
            Holder::Segment(at) => Some(self.records[at as usize].get(place.slot)),
            _ => None,
        }
    }
}

impl VectorStore {
    /// Takes a hit's key and payload in: from where it lies, else from its row. `sealed`: its record, if it lies in a segment.
    pub(super) fn take_hit(
        &self,
        tx: &mut Transaction,
        holders: &Holders<'_>,
        (place, sealed): (Place, Option<&[u8]>),
        shown: sopasync_vector::Shown,
        may_wait: bool,
        hits: &mut VectorHits,
    ) -> Result<()> {
        let payloads = hits.payloads;
        let mut known = |kept: Kept<'_>| match kept {
            Kept::Whole(key, payload) => {
                hits.push(key, payload, shown);
                true
            }
            Kept::Key(key) if !payloads => {
                hits.push(key, &[], shown);
                true
            }
            Kept::Key(_) | Kept::Nothing => false,
        };
        let done = match (place.holder, holders.view) {
            (Holder::Segment(_), _) => known(Kept::of(sealed.unwrap_or_default())?),
            (Holder::Chunk(at), Some(view)) => {
                let chunk = view.chunks[at as usize].chunk.read();
                known(chunk.part().records.kept(place.slot)?)
            }
            (Holder::Own, _) => known(holders.own.part().records.kept(place.slot)?),
            _ => false,
        };
        if done {
            return Ok(());
        }
        self.visit_record(tx, place.number, may_wait, &mut |record| {
            let (key, payload) = decode_record(record)?;
            hits.push(key, payload, shown);
            Ok(())
        })
    }

    /// Hands the record of a vector to `visit`, without reading its elements where it need not.
    fn visit_record<R>(
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
