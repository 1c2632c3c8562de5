//! The best documents of a union: window after window, MAXSCORE within each.
//!
//! In a window of slots every part has a bound, from the bounds of its blocks there. When all bounds together do not reach
//! what a document has to score by now, the window is skipped. Else the parts with the least bounds are left aside, as many as together
//! cannot reach it: a document that only they have is not wanted. The others add their scores for all their documents of the
//! window, and only for documents that may still be wanted are the ones left aside asked, largest bound first.
//!
//! Scores of f32 are added in f64, where the sum of a few is exact: the order of adding does not show.

use super::bm25::SLACK;
use super::scorer::Scorer;
use super::top::Collector;
use crate::index::Result;
use crate::index::cursor::END;

const WINDOW: u32 = 2048;

/// From so many documents among 64 on, the scores of all 64 are compared at once before any is looked at.
const MANY: u32 = 8;

/// Scores of the documents in `low..high`.
pub(crate) struct Window {
    pub(crate) low: u32,
    pub(crate) high: u32,
    scores: Vec<f64>,
    touched: [u64; WINDOW as usize / 64],
}

impl Window {
    fn new() -> Self {
        Self {
            low: 0,
            high: 0,
            scores: vec![0.0; WINDOW as usize],
            touched: [0; WINDOW as usize / 64],
        }
    }

    /// A document of the window scores more.
    #[inline]
    pub(crate) fn add(&mut self, doc: u32, score: f32) {
        let at = (doc - self.low) as usize;
        self.scores[at] += f64::from(score);
        self.touched[at / 64] |= 1 << (at % 64);
    }
}

struct Part<'r> {
    scorer: Box<dyn Scorer + 'r>,
    bound: f64,
}

/// Offers the documents that any of `scorers` has.
pub(crate) fn collect_union<'r>(
    scorers: Vec<Box<dyn Scorer + 'r>>,
    collector: &mut Collector<'_, '_, '_>,
) -> Result<()> {
    let mut parts: Vec<Part<'r>> = scorers
        .into_iter()
        .map(|scorer| Part { scorer, bound: 0.0 })
        .collect();
    let mut window = Window::new();
    loop {
        let mut low = END;
        for part in &mut parts {
            low = low.min(part.scorer.floor(window.high)?);
        }
        if low == END {
            return Ok(());
        }
        (window.low, window.high) = (low, low.saturating_add(WINDOW));
        let mut sum = 0.0;
        for part in &mut parts {
            part.bound = f64::from(part.scorer.bound(window.low, window.high)? * SLACK);
            sum += part.bound;
        }
        if sum <= f64::from(collector.threshold) {
            continue;
        }
        parts.sort_by(|a, b| a.bound.total_cmp(&b.bound));
        let (mut aside, mut left) = (0, 0.0);
        while aside < parts.len() && left + parts[aside].bound <= f64::from(collector.threshold) {
            left += parts[aside].bound;
            aside += 1;
        }
        let (aside, essential) = parts.split_at_mut(aside);
        for part in essential
            .iter_mut()
            .filter(|part| part.bound > 0.0 || collector.threshold < 0.0)
        {
            part.scorer.fill(&mut window)?;
        }
        offer(&mut window, aside, left, collector)?;
    }
}

/// The largest of 64 scores, or 0, in lanes that need no order.
fn best_of(scores: &[f64]) -> f64 {
    let mut lanes = [0f64; 8];
    for row in scores.chunks_exact(8) {
        for (lane, score) in lanes.iter_mut().zip(row) {
            *lane = if score > lane { *score } else { *lane };
        }
    }
    lanes.into_iter().fold(0.0, f64::max)
}

fn offer(
    window: &mut Window,
    aside: &mut [Part<'_>],
    left: f64,
    collector: &mut Collector<'_, '_, '_>,
) -> Result<()> {
    for at in 0..window.touched.len() {
        let mut bits = std::mem::take(&mut window.touched[at]);
        if bits.count_ones() >= MANY {
            // Mostly none of them is wanted.
            let scores = &mut window.scores[at * 64..at * 64 + 64];
            if best_of(scores) + left <= f64::from(collector.threshold) {
                scores.fill(0.0);
                continue;
            }
        }
        while bits != 0 {
            let place = at * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let mut score = std::mem::take(&mut window.scores[place]);
            let threshold = f64::from(collector.threshold);
            if score + left <= threshold {
                continue;
            }
            let doc = window.low + place as u32;
            let mut left = left;
            let mut wanted = true;
            for part in aside.iter_mut().rev() {
                if score + left <= threshold {
                    wanted = false;
                    break;
                }
                left -= part.bound;
                if part.bound > 0.0 && part.scorer.seek(doc)? == doc {
                    score += f64::from(part.scorer.score()?);
                }
            }
            if wanted {
                collector.offer(doc, score as f32)?;
            }
        }
    }
    Ok(())
}
