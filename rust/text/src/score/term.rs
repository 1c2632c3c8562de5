//! One word in one field: the part most queries are made of.

use super::bm25::{Norm, SLACK};
use super::scorer::Scorer;
use super::top::Collector;
use super::window::Window;
use crate::index::Result;
use crate::index::cursor::{Cursor, END};
use crate::index::{BLOCK, Impacts};
use crate::mutants::mutant;

/// See the module.
pub(crate) struct Term<'r> {
    cursor: Cursor<'r>,
    weight: f32,
    boost: f32,
    fixed: f32,
    slope: f32,
    scores: [f32; BLOCK],
}

impl<'r> Term<'r> {
    pub(crate) fn new(cursor: Cursor<'r>, weight: f32, k1: f32, norm: Norm) -> Self {
        Self {
            cursor,
            weight,
            boost: norm.boost,
            fixed: k1 * norm.fixed,
            slope: k1 * norm.slope,
            scores: [0.0; BLOCK],
        }
    }

    #[inline]
    fn score_of(&self, tf: u32, length: u32) -> f32 {
        let tf = self.boost * tf as f32;
        self.weight * tf / (tf + (self.fixed + self.slope * length as f32))
    }

    fn best(&self, impacts: Option<&Impacts>) -> f32 {
        let Some(impacts) = impacts else {
            return self.weight;
        };
        let scores = impacts
            .pairs()
            .iter()
            .map(|pair| self.score_of(pair.0, pair.1));
        let best = scores.fold(0.0, f32::max);
        if mutant("text-low-bound") {
            best * 0.9
        } else {
            best
        }
    }

    /// Scores the whole block; what is behind its end is anything.
    fn score_block(&mut self) {
        let (weight, boost, fixed, slope) = (self.weight, self.boost, self.fixed, self.slope);
        let (decoded, _) = self.cursor.decoded();
        for ((score, tf), length) in self
            .scores
            .iter_mut()
            .zip(&decoded.tfs)
            .zip(&decoded.lengths)
        {
            // As signed numbers, which have an instruction; both are far below 2^31 in any document.
            let tf = boost * *tf as i32 as f32;
            *score = weight * tf / (tf + (fixed + slope * *length as i32 as f32));
        }
    }
}

impl Scorer for Term<'_> {
    fn seek(&mut self, target: u32) -> Result<u32> {
        self.cursor.seek(target)
    }

    fn score(&mut self) -> Result<f32> {
        Ok(self.score_of(self.cursor.tf(), self.cursor.length()))
    }

    fn bound(&mut self, low: u32, high: u32) -> Result<f32> {
        let mut joined = Impacts::default();
        let mut unknown = false;
        self.cursor.bounds(low, high, &mut |impacts| match impacts {
            Some(impacts) => joined.join(impacts),
            None => unknown = true,
        });
        Ok(if unknown {
            self.weight
        } else {
            self.best(Some(&joined))
        })
    }

    fn floor(&mut self, target: u32) -> Result<u32> {
        Ok(self.cursor.seek_unit(target))
    }

    fn cost(&self) -> u64 {
        self.cursor.count
    }

    fn fill(&mut self, window: &mut Window) -> Result<()> {
        let mut doc = self.cursor.seek(window.low)?;
        while doc < window.high {
            self.score_block();
            let (decoded, at) = self.cursor.decoded();
            let slots = &decoded.slots[at..decoded.count];
            let scores = &self.scores[at..decoded.count];
            let inside = if slots[slots.len() - 1] < window.high {
                slots.len()
            } else {
                slots.partition_point(|slot| *slot < window.high)
            };
            for (slot, score) in slots[..inside].iter().zip(scores) {
                window.add(*slot, *score);
            }
            let last = slots[inside - 1];
            doc = self.cursor.seek(last + 1)?;
        }
        Ok(())
    }

    fn collect(&mut self, collector: &mut Collector<'_, '_, '_>) -> Result<()> {
        let mut target = 0;
        while self.cursor.seek_unit(target) != END {
            if self.best(self.cursor.unit_impacts()) * SLACK <= collector.threshold {
                target = self.cursor.unit_last() + 1;
                continue;
            }
            if !self.cursor.seek_block(target)? {
                break;
            }
            target = self.cursor.block_last() + 1;
            if self.best(self.cursor.block_impacts()) * SLACK <= collector.threshold {
                continue;
            }
            self.cursor.decode()?;
            self.score_block();
            let (decoded, _) = self.cursor.decoded();
            for (slot, score) in decoded.slots[..decoded.count].iter().zip(&self.scores) {
                collector.offer(*slot, *score)?;
            }
        }
        Ok(())
    }
}
