//! A phrase in one field: documents that have all its words, near the places the phrase has them.
//!
//! Put every word's position back by its offset in the phrase. A match is a choice of one position for each word, no position
//! twice for a word that stands twice, whose positions put back lie within `slop` of each other: with slop 0 the words stand exactly as in
//! the phrase; a word between two others costs 1, two neighbours swapped cost 2. The number of occurrences is the number of
//! different positions put back, of any of the words, from which on there is a match within `slop`.

use crate::index::Result;
use crate::index::cursor::{Cursor, END};

struct Word<'r> {
    cursor: Cursor<'r>,
    offset: u32,
    /// Positions put back, shifted by the largest offset so that none is negative.
    places: Vec<u32>,
}

/// See the module.
pub(crate) struct Phrase<'r> {
    /// In the order of the phrase.
    words: Vec<Word<'r>>,
    /// Their order by cost.
    order: Vec<usize>,
    slop: u32,
    tf: u32,
    doc: Option<u32>,
    /// Where `exact` is among the places of each word but the first.
    at: Vec<usize>,
}

impl<'r> Phrase<'r> {
    /// Cursors and offsets, ascending.
    pub(crate) fn new(words: Vec<(Cursor<'r>, u32)>, slop: u32) -> Self {
        let words: Vec<Word<'r>> = words
            .into_iter()
            .map(|(cursor, offset)| Word {
                cursor,
                offset,
                places: Vec::new(),
            })
            .collect();
        let mut order: Vec<usize> = (0..words.len()).collect();
        order.sort_by_key(|word| words[*word].cursor.count);
        Self {
            words,
            order,
            slop,
            tf: 0,
            doc: None,
            at: Vec::new(),
        }
    }

    pub(crate) fn doc(&self) -> u32 {
        self.doc.unwrap_or(0)
    }

    pub(crate) fn tf(&self) -> u32 {
        self.tf
    }

    pub(crate) fn length(&self) -> u32 {
        self.words[0].cursor.length()
    }

    pub(crate) fn cost(&self) -> u64 {
        self.words[self.order[0]].cursor.count
    }

    pub(crate) fn seek(&mut self, target: u32) -> Result<u32> {
        if let Some(doc) = self.doc
            && doc >= target
        {
            return Ok(doc);
        }
        let mut target = target;
        'documents: loop {
            let doc = self.words[self.order[0]].cursor.seek(target)?;
            if doc == END {
                break;
            }
            for word in &self.order[1..] {
                let other = self.words[*word].cursor.seek(doc)?;
                if other != doc {
                    if other == END {
                        break 'documents;
                    }
                    target = other;
                    continue 'documents;
                }
            }
            self.tf = self.occurrences()?;
            if self.tf > 0 {
                self.doc = Some(doc);
                return Ok(doc);
            }
            target = doc + 1;
        }
        self.doc = Some(END);
        Ok(END)
    }

    fn occurrences(&mut self) -> Result<u32> {
        let shift = self.words.last().map_or(0, |word| word.offset);
        for word in &mut self.words {
            let offset = word.offset;
            word.cursor.positions(&mut word.places)?;
            word.places
                .iter_mut()
                .for_each(|place| *place = place.saturating_add(shift - offset));
            word.places.dedup();
        }
        if self.slop == 0 {
            return Ok(self.exact());
        }
        let mut starts: Vec<u32> = self
            .words
            .iter()
            .flat_map(|word| word.places.iter().copied())
            .collect();
        starts.sort_unstable();
        starts.dedup();
        Ok(starts
            .into_iter()
            .filter(|start| self.matches_from(*start))
            .count() as u32)
    }

    fn exact(&mut self) -> u32 {
        let (first, rest) = self.words.split_first().expect("a phrase has words");
        self.at.clear();
        self.at.resize(rest.len(), 0);
        let mut found = 0;
        'places: for place in &first.places {
            for (word, at) in rest.iter().zip(&mut self.at) {
                while word.places.get(*at).is_some_and(|other| other < place) {
                    *at += 1;
                }
                if word.places.get(*at) != Some(place) {
                    continue 'places;
                }
            }
            found += 1;
        }
        found
    }

    /// Whether there is a match with positions put back in `start..=start + slop`. A word that stands twice in the phrase needs two
    /// positions: the intervals its positions may lie in are equally long, so the first free one is always a good choice.
    fn matches_from(&self, start: u32) -> bool {
        let end = start.saturating_add(self.slop);
        let shift = self.words.last().map_or(0, |word| word.offset);
        let mut taken: Vec<(&[u8], u32)> = Vec::with_capacity(self.words.len());
        for word in &self.words {
            // The same word elsewhere in the phrase: compare real positions.
            let real = |place: u32| {
                (
                    word.cursor.word(),
                    place.saturating_add(word.offset).saturating_sub(shift),
                )
            };
            let from = word.places.partition_point(|place| *place < start);
            let mut inside = word.places[from..]
                .iter()
                .take_while(|place| **place <= end);
            match inside.find(|place| !taken.contains(&real(**place))) {
                Some(place) => taken.push(real(*place)),
                None => return false,
            }
        }
        true
    }
}
