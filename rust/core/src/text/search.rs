//! Searching a text store at a transaction's snapshot, its own documents among the others.

use std::ops::Bound;

use sopasync_payload::Filter;
use sopasync_text::Query;
use sopasync_text::index::{DocumentId, Failure, View, delta_key};
use sopasync_text::score::{self, Search};

use super::index::malformed;
use super::record::Body;
use super::record::{decode_body, document_row, head};
use super::rows::TransactionRows;
use super::store::{TextStore, aside};
use crate::engine::{Access, ScanRange, Transaction};
use crate::error::{Error, Result};

/// Postings that may be gone through where nothing may wait: about a millisecond.
const PATIENCE: u64 = 200_000;

/// What is looked for.
#[derive(Clone, Copy)]
pub struct TextSearch<'a> {
    /// The question.
    pub query: &'a Query,
    /// Hits wanted.
    pub limit: usize,
    /// Better hits to leave out.
    pub offset: usize,
    /// What the payloads of hits must be like.
    pub filter: Option<&'a Filter>,
    /// Whether hits carry the texts of their documents.
    pub texts: bool,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct TextHit {
    /// Its key.
    pub key: Vec<u8>,
    /// Its score: larger is better.
    pub score: f32,
    /// Its packed payload.
    pub payload: Vec<u8>,
    /// The texts of its fields, if they were asked for and are kept.
    pub texts: Option<Vec<String>>,
}

impl TextStore {
    /// The best documents, best first; those with equal scores in the order in which they were committed. Exactly those of the
    /// snapshot with the transaction's own changes. When it would take long and may not wait, it is `WouldBlock`.
    ///
    /// Under serializable isolation, in a transaction that writes, the commit fails when others have changed the store meanwhile.
    pub fn search(
        &self,
        tx: &mut Transaction,
        search: &TextSearch<'_>,
        access: Access,
    ) -> Result<Vec<TextHit>> {
        let view = self.view(tx, access.may_wait)?;
        let found = self.find(tx, &view, search, access.may_wait)?;
        self.claim(tx, access)?;
        found
            .iter()
            .map(|(document, score)| self.hit(tx, *document, *score, search.texts, access.may_wait))
            .collect()
    }

    /// How many postings a search may go through: whether it is worth a thread.
    pub fn search_cost(&self, tx: &mut Transaction, query: &Query, may_wait: bool) -> Result<u64> {
        let view = self.view(tx, may_wait)?;
        let rows = TransactionRows::new(tx, self.id, may_wait);
        let cost = score::cost(&view, &rows, query, &self.index.parameters);
        cost.map_err(|failure| rows.error(&failure))
    }

    fn find(
        &self,
        tx: &mut Transaction,
        view: &View,
        search: &TextSearch<'_>,
        may_wait: bool,
    ) -> Result<Vec<(DocumentId, f32)>> {
        let rows = TransactionRows::new(tx, self.id, may_wait);
        let wanted = Search {
            query: search.query,
            parameters: &self.index.parameters,
            limit: search.limit,
            offset: search.offset,
            patience: if may_wait { u64::MAX } else { PATIENCE },
        };
        let mut accept = |slot: u32| {
            let document = view.document(&rows, slot)?;
            let Some(filter) = search.filter else {
                return Ok(true);
            };
            rows.with(|tx| {
                visit_head(tx, self.id, document, may_wait, |_, payload| {
                    filter.matches(payload)
                })
            })
        };
        let accept = search
            .filter
            .is_some()
            .then_some(&mut accept as score::Accept<'_>);
        let hits = score::search(view, &rows, &wanted, accept);
        let documents = hits.and_then(|hits| {
            let place = |hit: &score::Hit| {
                let document = view.document(&rows, hit.slot)?;
                Ok::<_, Failure>((document, hit.score))
            };
            hits.iter()
                .map(place)
                .collect::<std::result::Result<Vec<_>, _>>()
        });
        documents.map_err(|failure| rows.error(&failure))
    }

    fn hit(
        &self,
        tx: &mut Transaction,
        document: DocumentId,
        score: f32,
        texts: bool,
        may_wait: bool,
    ) -> Result<TextHit> {
        let hit = |key: &[u8], payload: &[u8], texts| TextHit {
            key: key.to_vec(),
            score,
            payload: payload.to_vec(),
            texts,
        };
        if !texts {
            return visit_head(tx, self.id, document, may_wait, |key, payload| {
                hit(key, payload, None)
            });
        }
        let found = tx.visit(
            self.id,
            &document_row(document),
            aside(may_wait),
            |meta, value| {
                let (key, payload, body) = head(meta, value)?;
                Ok(match decode_body(&value[body..], self.index.fields())? {
                    Body::Texts(texts) => hit(key, payload, Some(texts)),
                    Body::Words(..) => hit(key, payload, None),
                })
            },
        )?;
        found.ok_or_else(missing)?
    }

    /// Every document may have been a hit, and counts for every score: later commits to the store are conflicts.
    pub(super) fn claim(&self, tx: &mut Transaction, access: Access) -> Result<()> {
        let (low, high) = (delta_key(tx.seq() + 1), delta_key(u64::MAX));
        tx.claim_range(
            self.id,
            Bound::Included(&low),
            Bound::Excluded(&high),
            access,
        )
    }
}

/// Hands key and payload of a document to `visit`, without reading its texts where they stand apart.
fn visit_head<T>(
    tx: &mut Transaction,
    store: u64,
    document: DocumentId,
    may_wait: bool,
    visit: impl FnOnce(&[u8], &[u8]) -> T,
) -> Result<T> {
    let row = document_row(document);
    let mut visit = Some(visit);
    let mut found = None;
    let range = ScanRange {
        low: Bound::Included(&row),
        high: Bound::Included(&row),
        limit: 1,
        keys_only: true,
        ..ScanRange::default()
    };
    tx.scan(store, &range, aside(may_wait), &mut |_, meta, _| {
        if !meta.is_empty()
            && let Some(visit) = visit.take()
        {
            found = Some(head(meta, &[]).map(|(key, payload, _)| visit(key, payload)));
        }
    })?;
    if let Some(found) = found {
        return found;
    }
    let visit = visit.ok_or_else(missing)?;
    let found = tx.visit(store, &row, aside(may_wait), |meta, value| {
        head(meta, value).map(|(key, payload, _)| visit(key, payload))
    })?;
    found.ok_or_else(missing)?
}

fn missing() -> Error {
    malformed("the index names a document that is not there")
}
