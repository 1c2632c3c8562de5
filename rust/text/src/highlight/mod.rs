//! Highlights: the pieces of a text that a query is about, with the places to mark.
//!
//! The text is analysed again and its terms are compared with those of the query, so that what is marked is what was
//! found: stems, beginnings, near spellings, phrases where all their words stand.
//!
//! Invariants
//! 1. Marks lie within their text in ascending order, do not touch each other's characters, and are never empty.
//! 2. Nothing is marked because of what a query excludes.

mod fragments;
mod phrase;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::query::{Query, distance};
use crate::schema::Schema;

pub use fragments::{Fragment, FragmentOptions};
use phrase::SoughtPhrase;

/// A query, prepared for marking texts. Made once for all hits of a search.
#[derive(Debug)]
pub struct Highlighter<'a> {
    schema: &'a Schema,
    /// By number of the field.
    fields: Vec<Sought>,
}

/// What is looked for in one field.
#[derive(Debug, Default)]
struct Sought {
    terms: FxHashSet<String>,
    prefixes: Vec<String>,
    fuzzy: Vec<(String, u8)>,
    phrases: Vec<SoughtPhrase>,
}

/// A place to mark, in bytes, and the number of the term that stands there (equal terms have equal numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    start: usize,
    end: usize,
    term: usize,
}

impl<'a> Highlighter<'a> {
    /// Prepare a query.
    pub fn new(query: &Query, schema: &'a Schema) -> Highlighter<'a> {
        let mut fields = Vec::new();
        fields.resize_with(schema.fields.len(), Sought::default);
        collect(query, &mut fields);
        Highlighter { schema, fields }
    }

    /// The places of `text` that a query is about, in bytes.
    pub fn marks(&self, field: u16, text: &str) -> Vec<(usize, usize)> {
        let marks = self.find(field, text);
        marks.iter().map(|mark| (mark.start, mark.end)).collect()
    }

    /// The best pieces of `text`, in its order; none when nothing in it was looked for.
    pub fn fragments(&self, field: u16, text: &str, options: &FragmentOptions) -> Vec<Fragment> {
        fragments::cut(text, &self.find(field, text), options)
    }

    fn find(&self, field: u16, text: &str) -> Vec<Mark> {
        let Some(sought) = self
            .fields
            .get(usize::from(field))
            .filter(|sought| !sought.is_empty())
        else {
            return Vec::new();
        };
        let analyzer = &self.schema.fields[usize::from(field)].analyzer;
        let mut judged: FxHashMap<String, Verdict> = FxHashMap::default();
        let mut marks = Vec::new();
        let mut in_phrases = vec![Vec::new(); sought.phrases.len()];
        analyzer.analyze(text, &mut |token| {
            let known = judged.len();
            let verdict = match judged.get(token.text) {
                Some(verdict) => verdict,
                None => judged
                    .entry(token.text.to_owned())
                    .or_insert_with(|| sought.judge(token.text, known)),
            };
            let mark = Mark {
                start: token.start,
                end: token.end,
                term: verdict.number,
            };
            match verdict.meaning {
                Meaning::Nothing => {}
                Meaning::Whole => marks.push(mark),
                Meaning::Beginning => {
                    // A pair of characters, of which only the first was looked for.
                    let end = match analyzer.is_pair(token.text) {
                        true => {
                            token.start + analyzer.first_character(&text[token.start..token.end])
                        }
                        false => token.end,
                    };
                    marks.push(Mark { end, ..mark });
                }
            }
            for &(phrase, place) in &verdict.phrases {
                in_phrases[phrase].push((place, token.position, mark));
            }
        });
        for (phrase, occurrences) in sought.phrases.iter().zip(in_phrases) {
            phrase.mark(&occurrences, &mut marks);
        }
        merged(marks)
    }
}

/// What a term of the text means to a query.
#[derive(Debug)]
struct Verdict {
    number: usize,
    meaning: Meaning,
    /// The phrases it belongs to, each with its place there.
    phrases: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Nothing,
    Whole,
    Beginning,
}

impl Sought {
    fn is_empty(&self) -> bool {
        self.terms.is_empty()
            && self.prefixes.is_empty()
            && self.fuzzy.is_empty()
            && self.phrases.is_empty()
    }

    fn judge(&self, term: &str, number: usize) -> Verdict {
        let meaning = if self.terms.contains(term)
            || self
                .fuzzy
                .iter()
                .any(|(it, most)| distance::within(it, term, *most))
        {
            Meaning::Whole
        } else if self
            .prefixes
            .iter()
            .any(|prefix| term.starts_with(prefix.as_str()))
        {
            Meaning::Beginning
        } else {
            Meaning::Nothing
        };
        let mut phrases = Vec::new();
        for (phrase, it) in self.phrases.iter().enumerate() {
            phrases.extend(it.places_of(term).map(|place| (phrase, place)));
        }
        Verdict {
            number,
            meaning,
            phrases,
        }
    }
}

fn collect(query: &Query, fields: &mut [Sought]) {
    match query {
        Query::Nothing | Query::Everything => {}
        Query::Term { terms, .. } => {
            for it in terms {
                fields[usize::from(it.field)].terms.insert(it.term.clone());
            }
        }
        Query::Prefix { prefixes, .. } => {
            for it in prefixes {
                fields[usize::from(it.field)].prefixes.push(it.term.clone());
            }
        }
        Query::Fuzzy {
            terms, distance, ..
        } => {
            for it in terms {
                fields[usize::from(it.field)]
                    .fuzzy
                    .push((it.term.clone(), *distance));
            }
        }
        Query::Phrase { phrases, slop, .. } => {
            for it in phrases {
                fields[usize::from(it.field)]
                    .phrases
                    .push(SoughtPhrase::new(&it.terms, *slop));
            }
        }
        Query::Boolean { must, should, .. } => {
            must.iter().chain(should).for_each(|it| collect(it, fields))
        }
    }
}

/// Marks in their order, those that overlap as one.
fn merged(mut marks: Vec<Mark>) -> Vec<Mark> {
    marks.sort_by_key(|mark| (mark.start, mark.end));
    let mut kept: Vec<Mark> = Vec::with_capacity(marks.len());
    for mark in marks.into_iter().filter(|mark| mark.start < mark.end) {
        match kept.last_mut() {
            Some(last) if mark.start < last.end => last.end = last.end.max(mark.end),
            _ => kept.push(mark),
        }
    }
    kept
}
