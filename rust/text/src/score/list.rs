//! Documents whose scores were worked out beforehand: what a prefix or a fuzzy word with many terms becomes.

use super::group::{Source, saturate};
use super::scorer::Scorer;
use crate::index::cursor::END;
use crate::index::{Failure, Result};

const BLOCK: usize = 128;

/// See the module.
pub(crate) struct List {
    slots: Vec<u32>,
    scores: Vec<f32>,
    /// Best score of each block of 128.
    best: Vec<f32>,
    at: usize,
}

impl List {
    /// Works out what a group of these sources scores; the same as asking it document by document.
    pub(crate) fn of(sources: Vec<Source<'_>>, weight: f32, k1: f32, end: u32) -> Result<Self> {
        let total: u64 = sources.iter().map(Source::cost).sum();
        let (slots, sums) = if total > u64::from(end) / 16 {
            dense(sources, end)?
        } else {
            sparse(sources)?
        };
        let scores: Vec<f32> = sums.into_iter().map(|x| saturate(weight, k1, x)).collect();
        let best = scores
            .chunks(BLOCK)
            .map(|block| block.iter().copied().fold(0.0, f32::max));
        Ok(Self {
            best: best.collect(),
            slots,
            scores,
            at: 0,
        })
    }
}

/// By a sum for every slot there is.
fn dense(sources: Vec<Source<'_>>, end: u32) -> Result<(Vec<u32>, Vec<f32>)> {
    let mut sums = vec![0f32; end as usize];
    let mut outside = false;
    for source in sources {
        each(source, &mut |slot, x| match sums.get_mut(slot as usize) {
            Some(sum) => *sum += x,
            None => outside = true,
        })?;
    }
    if outside {
        return Err(Failure::Malformed("a posting is of no document"));
    }
    let all = (0u32..).zip(sums).filter(|(_, x)| *x > 0.0);
    Ok(all.unzip())
}

/// By sorting.
fn sparse(sources: Vec<Source<'_>>) -> Result<(Vec<u32>, Vec<f32>)> {
    let mut pairs = Vec::new();
    for source in sources {
        each(source, &mut |slot, x| pairs.push((slot, x)))?;
    }
    // Stable: those of one slot stay in the order of the sources.
    pairs.sort_by_key(|pair| pair.0);
    let groups = pairs.chunk_by(|a, b| a.0 == b.0);
    Ok(groups
        .map(|group| (group[0].0, group.iter().map(|pair| pair.1).sum::<f32>()))
        .unzip())
}

fn each(mut source: Source<'_>, visit: &mut dyn FnMut(u32, f32)) -> Result<()> {
    let mut doc = source.seek(0)?;
    while doc != END {
        visit(doc, source.x());
        doc = source.seek(doc + 1)?;
    }
    Ok(())
}

impl Scorer for List {
    fn seek(&mut self, target: u32) -> Result<u32> {
        if self.slots.get(self.at).is_some_and(|slot| *slot < target) {
            self.at += self.slots[self.at..].partition_point(|slot| *slot < target);
        }
        Ok(self.slots.get(self.at).copied().unwrap_or(END))
    }

    fn score(&mut self) -> Result<f32> {
        Ok(self.scores[self.at])
    }

    fn bound(&mut self, low: u32, high: u32) -> Result<f32> {
        self.seek(low)?;
        let inside = self.slots[self.at..].partition_point(|slot| *slot < high);
        if inside == 0 {
            return Ok(0.0);
        }
        let blocks = &self.best[self.at / BLOCK..=(self.at + inside - 1) / BLOCK];
        Ok(blocks.iter().copied().fold(0.0, f32::max))
    }

    fn cost(&self) -> u64 {
        self.slots.len() as u64
    }
}
