//! Searching a text store at a transaction's snapshot, its own documents among the others.

use std::collections::HashSet;
use std::ops::Bound;

use sopasync_payload::Filter;
use sopasync_text::Query;
use sopasync_text::index::{Failure, View};
use sopasync_text::score::{self, Search};

use super::index::malformed;
use super::record::{Entry, name_row, named};
use super::rows::{TransactionRows, delta_row};
use super::rules::Rules;
use super::store::{TextStore, Want, aside};
use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};
use crate::mutants::mutant;

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
    /// The keys that hits are among.
    pub among: Option<&'a HashSet<&'a [u8]>>,
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
        let rules = self.rules(tx, access.may_wait)?;
        let view = self.view(tx, &rules, access.may_wait)?;
        let found = self.find(tx, &rules, &view, search, access.may_wait)?;
        self.claim(tx, &rules, access)?;
        let want = Want {
            payload: true,
            texts: (search.texts && rules.schema.stored).then(|| rules.fields()),
        };
        let hit = |(mut key, score): (Vec<u8>, f32)| {
            let (name, has_payload) = named(&key)?;
            let length = name.len();
            key.truncate(length);
            if !has_payload && want.texts.is_none() {
                return Ok(TextHit {
                    key,
                    score,
                    payload: Vec::new(),
                    texts: None,
                });
            }
            let found = self.read(tx, &name_row(&key), want, aside(access.may_wait))?;
            let found = found.ok_or_else(missing)?;
            Ok(TextHit {
                key,
                score,
                payload: found.payload,
                texts: found.texts,
            })
        };
        found.into_iter().map(hit).collect()
    }

    /// How many postings a search may go through: whether it is worth a thread.
    pub fn search_cost(&self, tx: &mut Transaction, query: &Query, may_wait: bool) -> Result<u64> {
        let rules = self.rules(tx, may_wait)?;
        let view = self.view(tx, &rules, may_wait)?;
        let rows = TransactionRows::new(tx, self.id, rules.generation, may_wait);
        let cost = score::cost(&view, &rows, query, &rules.parameters);
        cost.map_err(|failure| rows.error(&failure))
    }

    /// What the index calls the best, and their scores.
    fn find(
        &self,
        tx: &mut Transaction,
        rules: &Rules,
        view: &View,
        search: &TextSearch<'_>,
        may_wait: bool,
    ) -> Result<Vec<(Vec<u8>, f32)>> {
        let rows = TransactionRows::new(tx, self.id, rules.generation, may_wait);
        let wanted = Search {
            query: search.query,
            parameters: &rules.parameters,
            limit: search.limit,
            offset: search.offset,
            patience: if may_wait { u64::MAX } else { PATIENCE },
        };
        let mut called = Vec::new();
        let mut accept = |slot: u32| {
            view.name(&rows, slot, &mut called)?;
            rows.with(|tx| self.accepts(tx, search, &called, may_wait))
        };
        let restricted = search.filter.is_some() || search.among.is_some();
        let accept = restricted.then_some(&mut accept as score::Accept<'_>);
        let hits = score::search(view, &rows, &wanted, accept);
        let named = hits.and_then(|hits| {
            let named = |hit: &score::Hit| {
                let mut name = Vec::new();
                view.name(&rows, hit.slot, &mut name)?;
                Ok::<_, Failure>((name, hit.score))
            };
            hits.iter().map(named).collect()
        });
        named.map_err(|failure| rows.error(&failure))
    }

    /// Whether the document that the index calls so is one of the keys, and its payload as the filter wants it.
    fn accepts(
        &self,
        tx: &mut Transaction,
        search: &TextSearch<'_>,
        called: &[u8],
        may_wait: bool,
    ) -> Result<bool> {
        let (name, has_payload) = named(called)?;
        if search.among.is_some_and(|keys| !keys.contains(name)) {
            return Ok(false);
        }
        let Some(filter) = search.filter else {
            return Ok(true);
        };
        if !has_payload {
            return Ok(filter.matches(&[]));
        }
        let row = name_row(name);
        let found = tx.visit(self.id, &row, aside(may_wait), |_, value| {
            let entry = Entry::decode(value)?;
            Ok::<_, Error>(entry.payload.map(|payload| filter.matches(payload)))
        })?;
        if let Some(decided) = found.ok_or_else(missing)?? {
            return Ok(decided);
        }
        let want = Want {
            payload: true,
            texts: None,
        };
        let found = self.read(tx, &row, want, aside(may_wait))?;
        Ok(filter.matches(&found.ok_or_else(missing)?.payload))
    }

    /// Every document may have been a hit, and counts for every score: later commits to the store are conflicts.
    pub(super) fn claim(&self, tx: &mut Transaction, rules: &Rules, access: Access) -> Result<()> {
        if mutant("text-claim-nothing") {
            return Ok(());
        }
        let low = delta_row(rules.generation, tx.seq() + 1);
        let high = delta_row(rules.generation, u64::MAX);
        tx.claim_range(
            self.id,
            Bound::Included(&low),
            Bound::Excluded(&high),
            access,
        )
    }
}

fn missing() -> Error {
    malformed("the index names a document that is not there")
}
