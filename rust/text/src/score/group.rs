//! Several sources of occurrences that count as one word: a word in several fields, a phrase, the terms a prefix stands for.
//!
//! `x` is the sum over the sources that have the document, in their order, each times its factor; one idf weighs it (see `bm25`).

use super::bm25::Norm;
use super::phrase::Phrase;
use super::scorer::Scorer;
use crate::index::Result;
use crate::index::cursor::{Cursor, END};

/// Where occurrences come from.
pub(crate) enum Occurrences<'r> {
    Word(Box<Cursor<'r>>),
    Phrase(Phrase<'r>),
}

/// One of a group.
pub(crate) struct Source<'r> {
    pub(crate) occurrences: Occurrences<'r>,
    pub(crate) norm: Norm,
    /// What an occurrence counts, besides the field's boost.
    pub(crate) factor: f32,
    pub(crate) doc: u32,
}

impl<'r> Source<'r> {
    pub(crate) fn new(occurrences: Occurrences<'r>, norm: Norm, factor: f32) -> Self {
        Self {
            occurrences,
            norm,
            factor,
            doc: 0,
        }
    }

    pub(crate) fn seek(&mut self, target: u32) -> Result<u32> {
        self.doc = match &mut self.occurrences {
            Occurrences::Word(cursor) => cursor.seek(target)?,
            Occurrences::Phrase(phrase) => phrase.seek(target)?,
        };
        Ok(self.doc)
    }

    #[inline]
    pub(crate) fn x(&self) -> f32 {
        let (tf, length) = match &self.occurrences {
            Occurrences::Word(cursor) => (cursor.tf(), cursor.length()),
            Occurrences::Phrase(phrase) => (phrase.tf(), phrase.length()),
        };
        self.norm.x(self.factor * tf as f32, length)
    }

    pub(crate) fn cost(&self) -> u64 {
        match &self.occurrences {
            Occurrences::Word(cursor) => cursor.count,
            Occurrences::Phrase(phrase) => phrase.cost(),
        }
    }

    /// At least the `x` of any document in `low..high`; 0 when there is none, infinite when nothing is known.
    fn bound(&mut self, low: u32, high: u32) -> f32 {
        let (norm, factor, mut best) = (self.norm, self.factor, 0f32);
        match &mut self.occurrences {
            Occurrences::Word(cursor) => cursor.bounds(low, high, &mut |impacts| match impacts {
                None => best = f32::INFINITY,
                Some(impacts) => {
                    for (tf, length) in impacts.pairs() {
                        best = best.max(norm.x(factor * *tf as f32, *length));
                    }
                }
            }),
            Occurrences::Phrase(phrase) => {
                if phrase.doc() < high {
                    best = f32::INFINITY;
                }
            }
        }
        best
    }
}

/// See the module.
pub(crate) struct Group<'r> {
    pub(crate) sources: Vec<Source<'r>>,
    pub(crate) weight: f32,
    pub(crate) k1: f32,
    doc: u32,
}

impl<'r> Group<'r> {
    pub(crate) fn new(sources: Vec<Source<'r>>, weight: f32, k1: f32) -> Self {
        Self {
            sources,
            weight,
            k1,
            doc: 0,
        }
    }
}

/// The score of a sum of occurrences.
#[inline]
pub(crate) fn saturate(weight: f32, k1: f32, x: f32) -> f32 {
    if x == f32::INFINITY {
        return weight;
    }
    weight * x / (k1 + x)
}

impl Scorer for Group<'_> {
    fn seek(&mut self, target: u32) -> Result<u32> {
        self.doc = END;
        for source in &mut self.sources {
            self.doc = self.doc.min(source.seek(target)?);
        }
        Ok(self.doc)
    }

    fn score(&mut self) -> Result<f32> {
        let here = self.sources.iter().filter(|source| source.doc == self.doc);
        let x = here.map(Source::x).sum::<f32>();
        Ok(saturate(self.weight, self.k1, x))
    }

    fn bound(&mut self, low: u32, high: u32) -> Result<f32> {
        let x: f32 = self
            .sources
            .iter_mut()
            .map(|source| source.bound(low, high))
            .sum();
        Ok(if x > 0.0 {
            saturate(self.weight, self.k1, x)
        } else {
            0.0
        })
    }

    fn floor(&mut self, target: u32) -> Result<u32> {
        let mut least = END;
        for source in &mut self.sources {
            least = least.min(match &mut source.occurrences {
                Occurrences::Word(cursor) => cursor.seek_unit(target),
                Occurrences::Phrase(phrase) => phrase.seek(target)?,
            });
        }
        Ok(least)
    }

    fn cost(&self) -> u64 {
        self.sources.iter().map(Source::cost).sum()
    }
}
