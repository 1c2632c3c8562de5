//! Several deltas as one: their words in order, the postings of each word one delta after the other.

use std::sync::Arc;

use super::delta::{Delta, DeltaWriter, Entry, Parts};
use super::failure::{Failure, Result};
use super::keys::{DeltaId, DocumentId};
use super::pending::ANY;
use super::posting::{Postings, put_posting};

/// The deltas of an open transaction.
pub(crate) const OWN: DeltaId = DeltaId {
    seq: DocumentId::OWN,
    combined: 0,
};

/// A delta and the slot of its first document.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) id: DeltaId,
    pub(crate) delta: Arc<Delta>,
    pub(crate) base: u32,
}

impl Placed {
    /// The first slot behind it.
    pub(crate) fn end(&self) -> Result<u32> {
        let end = self.base.checked_add(self.delta.count);
        end.filter(|end| *end < u32::MAX).ok_or(Failure::Full)
    }
}

/// Gives the deltas their slots, from `base` on.
pub(crate) fn placed(deltas: Vec<(DeltaId, Arc<Delta>)>, mut base: u32) -> Result<Vec<Placed>> {
    let mut placed = Vec::with_capacity(deltas.len());
    for (id, delta) in deltas {
        let next = Placed { id, delta, base };
        base = next.end()?;
        placed.push(next);
    }
    Ok(placed)
}

/// The slot of a document that is in one of these deltas. Those of one commit may be in several.
pub(crate) fn find(deltas: &[Placed], document: DocumentId) -> Option<u32> {
    let from = deltas.partition_point(|placed| placed.id.seq < document.seq);
    for placed in &deltas[from..] {
        if let Some(place) = placed.delta.place(document) {
            return Some(placed.base + place);
        }
        if placed.id.seq > document.seq {
            break;
        }
    }
    None
}

/// Goes through the words of several deltas.
pub(crate) struct Words<'d> {
    deltas: &'d [Placed],
    next: Vec<usize>,
}

impl<'d> Words<'d> {
    /// From the first word at or above `word`.
    pub(crate) fn from(deltas: &'d [Placed], word: &[u8]) -> Result<Self> {
        let next = deltas.iter().map(|placed| placed.delta.seek(word));
        Ok(Self {
            deltas,
            next: next.collect::<Result<_>>()?,
        })
    }

    /// The word that comes next.
    pub(crate) fn peek(&self) -> Result<Option<&'d [u8]>> {
        let mut least: Option<&[u8]> = None;
        for (placed, next) in self.deltas.iter().zip(&self.next) {
            if *next < placed.delta.terms() {
                let word = placed.delta.word(*next)?;
                if least.is_none_or(|least| word < least) {
                    least = Some(word);
                }
            }
        }
        Ok(least)
    }

    /// Takes what every delta says about `word`, which is the next one.
    pub(crate) fn take(
        &mut self,
        word: &[u8],
        visit: &mut dyn FnMut(&'d Placed, Entry<'d>) -> Result<()>,
    ) -> Result<()> {
        for (placed, next) in self.deltas.iter().zip(&mut self.next) {
            if *next < placed.delta.terms() && placed.delta.word(*next)? == word {
                visit(placed, placed.delta.entry(*next)?)?;
                *next += 1;
            }
        }
        Ok(())
    }
}

/// One own delta that says what all of these say, one after the other.
pub fn combine_own(deltas: &[Arc<Delta>]) -> Result<Vec<u8>> {
    let own = |delta: &Arc<Delta>| (OWN, Arc::clone(delta));
    combine(&placed(deltas.iter().map(own).collect(), 0)?)
}

/// One delta that says what all of these say.
pub(crate) fn combine(deltas: &[Placed]) -> Result<Vec<u8>> {
    let fields = deltas.first().map_or(0, |placed| placed.delta.fields());
    let mut parts = Parts {
        fingerprint: deltas.first().map_or(0, |placed| placed.delta.fingerprint),
        sums: vec![(0, 0); fields],
        ..Parts::default()
    };
    for Placed { delta, .. } in deltas {
        parts.runs.extend_from_slice(&delta.runs);
        parts.removed.extend_from_slice(&delta.removed);
        parts.lengths.extend_from_slice(delta.lengths());
        parts.names.extend(&delta.names);
        for (sum, own) in parts.sums.iter_mut().zip(&delta.sums) {
            sum.0 += own.0;
            sum.1 += own.1;
        }
    }
    let mut writer = DeltaWriter::new(&parts);
    let mut words = Words::from(deltas, &[])?;
    let first = deltas.first().map_or(0, |placed| placed.base);
    let (mut postings, mut bytes) = (Postings::default(), Vec::new());
    while let Some(word) = words.peek()? {
        postings.clear();
        bytes.clear();
        let (mut added, mut removed) = (0, 0);
        words.take(word, &mut |placed, entry| {
            added += entry.added;
            removed += entry.removed;
            if word[0] != ANY {
                placed
                    .delta
                    .postings(&entry, placed.base - first, &mut postings)?;
            }
            Ok(())
        })?;
        let mut before = 0;
        for (slot, tf) in postings.slots.iter().zip(&postings.tfs) {
            put_posting(&mut bytes, slot - before, *tf);
            before = *slot;
        }
        writer.entry(word, added, removed, &bytes, &postings.positions);
    }
    Ok(writer.finish())
}
