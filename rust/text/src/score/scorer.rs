//! `Scorer`: documents in the order of slots, with what each scores.

use super::top::Collector;
use super::window::Window;
use crate::index::Result;
use crate::index::cursor::END;

/// See the module. Targets and windows given to one never go back.
pub(crate) trait Scorer {
    /// Goes to the first document at or behind `target`; `END` when there is none.
    fn seek(&mut self, target: u32) -> Result<u32>;

    /// The score of the document it is on, after a seek.
    fn score(&mut self) -> Result<f32>;

    /// At least the score of any document in `low..high`; 0 or less when there is none. A seek comes before the next score.
    fn bound(&mut self, low: u32, high: u32) -> Result<f32>;

    /// A slot at or behind `target` below which it has no document; found without much work.
    fn floor(&mut self, target: u32) -> Result<u32> {
        self.seek(target)
    }

    /// Documents it may have to look at.
    fn cost(&self) -> u64;

    /// Adds the scores of all its documents in the window.
    fn fill(&mut self, window: &mut Window) -> Result<()> {
        let mut doc = self.seek(window.low)?;
        while doc < window.high {
            let score = self.score()?;
            window.add(doc, score);
            doc = self.seek(doc + 1)?;
        }
        Ok(())
    }

    /// Offers all its documents that may count.
    fn collect(&mut self, collector: &mut Collector<'_, '_, '_>) -> Result<()> {
        let mut doc = self.seek(0)?;
        while doc != END {
            let score = self.score()?;
            collector.offer(doc, score)?;
            doc = self.seek(doc + 1)?;
        }
        Ok(())
    }
}

/// Every document, with score 0.
pub(crate) struct Everything {
    pub(crate) end: u32,
    pub(crate) doc: u32,
}

impl Scorer for Everything {
    fn seek(&mut self, target: u32) -> Result<u32> {
        self.doc = if target < self.end { target } else { END };
        Ok(self.doc)
    }

    fn score(&mut self) -> Result<f32> {
        Ok(0.0)
    }

    fn bound(&mut self, _: u32, _: u32) -> Result<f32> {
        Ok(0.0)
    }

    fn cost(&self) -> u64 {
        u64::from(self.end)
    }

    fn collect(&mut self, collector: &mut Collector<'_, '_, '_>) -> Result<()> {
        for slot in 0..self.end {
            if collector.threshold >= 0.0 {
                break;
            }
            collector.offer(slot, 0.0)?;
        }
        Ok(())
    }
}
