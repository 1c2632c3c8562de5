//! The best documents so far. Equal scores are ordered by document.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::scorer::Scorer;
use crate::index::{Result, View};

/// A document's slot and score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its slot in the view that was searched.
    pub slot: u32,
    /// Its score.
    pub score: f32,
}

impl Eq for Hit {}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        let score = self.score.total_cmp(&other.score);
        score.then(other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Asked of a document before it counts as found.
pub type Accept<'f> = &'f mut dyn FnMut(u32) -> Result<bool>;

/// Takes documents in the order of slots and keeps the best.
pub(crate) struct Collector<'v, 'f, 'r> {
    view: &'v View,
    accept: Option<Accept<'f>>,
    /// Documents that must not match.
    pub(crate) excluded: Vec<Box<dyn Scorer + 'r>>,
    wanted: usize,
    best: BinaryHeap<Reverse<Hit>>,
    /// What a document has to score more than.
    pub(crate) threshold: f32,
}

impl<'v, 'f, 'r> Collector<'v, 'f, 'r> {
    pub(crate) fn new(view: &'v View, wanted: usize, accept: Option<Accept<'f>>) -> Self {
        Self {
            view,
            accept,
            excluded: Vec::new(),
            wanted,
            best: BinaryHeap::with_capacity(wanted.min(1024) + 1),
            threshold: f32::NEG_INFINITY,
        }
    }

    #[inline]
    pub(crate) fn offer(&mut self, slot: u32, score: f32) -> Result<()> {
        if score > self.threshold {
            self.look_closer(slot, score)?;
        }
        Ok(())
    }

    fn look_closer(&mut self, slot: u32, score: f32) -> Result<()> {
        if self.view.is_dead(slot) {
            return Ok(());
        }
        for excluded in &mut self.excluded {
            if excluded.seek(slot)? == slot {
                return Ok(());
            }
        }
        if let Some(accept) = &mut self.accept
            && !accept(slot)?
        {
            return Ok(());
        }
        self.best.push(Reverse(Hit { slot, score }));
        if self.best.len() > self.wanted {
            self.best.pop();
        }
        if self.best.len() == self.wanted
            && let Some(Reverse(worst)) = self.best.peek()
        {
            self.threshold = worst.score;
        }
        Ok(())
    }

    /// The best, best first.
    pub(crate) fn finish(self) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.best.into_iter().map(|hit| hit.0).collect();
        hits.sort_unstable_by(|a, b| b.cmp(a));
        hits
    }
}
