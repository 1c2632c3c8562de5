//! Where the words of a phrase stand together.

use rustc_hash::FxHashSet;

use crate::query::PhraseTerm;

use super::Mark;

/// More occurrences of a phrase's words than this are not looked at: a text has a few dozen that anybody reads.
const OCCURRENCES_MAX: usize = 4096;

/// A phrase looked for in one field.
#[derive(Debug)]
pub(super) struct SoughtPhrase {
    terms: Vec<(String, u32)>,
    slop: u32,
}

/// A word of the phrase in the text: its place in the phrase, its position in the text, its mark.
pub(super) type Occurrence = (usize, u32, Mark);

impl SoughtPhrase {
    pub(super) fn new(terms: &[PhraseTerm], slop: u32) -> SoughtPhrase {
        SoughtPhrase {
            terms: terms
                .iter()
                .map(|it| (it.term.clone(), it.offset))
                .collect(),
            slop,
        }
    }

    /// The places a term has in the phrase.
    pub(super) fn places_of<'a>(&'a self, term: &'a str) -> impl Iterator<Item = usize> + 'a {
        let places = self.terms.iter().enumerate();
        places
            .filter(move |(_, (it, _))| it == term)
            .map(|(place, _)| place)
    }

    /// Mark the words wherever all of them stand, none further than `slop` from where another has it.
    pub(super) fn mark(&self, occurrences: &[Occurrence], marks: &mut Vec<Mark>) {
        // Where the phrase would begin, were this word at its place.
        let mut begins: Vec<(i64, usize, usize)> = occurrences
            .iter()
            .take(OCCURRENCES_MAX)
            .enumerate()
            .map(|(at, &(place, position, _))| {
                (
                    i64::from(position) - i64::from(self.terms[place].1),
                    place,
                    at,
                )
            })
            .collect();
        begins.sort_unstable();
        let mut counts = vec![0_usize; self.terms.len()];
        let mut missing = self.terms.len();
        let mut first = 0;
        let mut marked_to = 0;
        for last in 0..begins.len() {
            let place = begins[last].1;
            missing -= usize::from(counts[place] == 0);
            counts[place] += 1;
            while begins[last].0 - begins[first].0 > i64::from(self.slop) {
                let place = begins[first].1;
                counts[place] -= 1;
                missing += usize::from(counts[place] == 0);
                first += 1;
            }
            let inside = || {
                begins[first..=last]
                    .iter()
                    .map(|&(_, _, at)| occurrences[at].2.start)
            };
            // A word that stands twice in the phrase has to stand twice in the text.
            if missing == 0 && inside().collect::<FxHashSet<_>>().len() >= self.terms.len() {
                for &(_, _, at) in &begins[first.max(marked_to)..=last] {
                    marks.push(occurrences[at].2);
                }
                marked_to = last + 1;
            }
        }
    }
}
