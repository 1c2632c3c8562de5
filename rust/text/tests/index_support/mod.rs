//! What the tests of the index share: documents, random queries, and BM25 worked out over all documents one by one.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sopasync_text::index::DocumentId;
use sopasync_text::query::distance::within;
use sopasync_text::score::Parameters;
use sopasync_text::{FieldPhrase, FieldTerm, PhraseTerm, Query};

/// Terms of each field, with positions.
pub type Fields = Vec<Vec<(String, u32)>>;

/// Numbers that follow from a seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A word; low numbers are frequent, and neighbours look alike.
pub fn any_word(random: &mut Random, words: usize) -> String {
    let most = 1 + random.below(words);
    name(random.below(most))
}

fn name(number: usize) -> String {
    let letters = ["ba", "co", "di", "fé", "gu", "k"];
    let mut name = String::new();
    let mut left = number + 1;
    while left > 0 {
        name.push_str(letters[left % letters.len()]);
        left /= letters.len();
    }
    name
}

pub fn any_fields(random: &mut Random, fields: usize, words: usize, longest: usize) -> Fields {
    let mut document = Vec::new();
    for _ in 0..fields {
        let (mut terms, mut position) = (Vec::new(), 0);
        for _ in 0..random.below(longest + 1) {
            terms.push((any_word(random, words), position));
            // Stop words leave holes.
            position += 1 + u32::from(random.below(6) == 0);
        }
        document.push(terms);
    }
    document
}

/// All documents a snapshot shows.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub documents: BTreeMap<DocumentId, Fields>,
}

struct Statistics<'m> {
    model: &'m Model,
    parameters: &'m Parameters,
    averages: Vec<f64>,
    /// Documents with a term in a field, and in any.
    df: BTreeMap<(u16, &'m str), usize>,
    any: BTreeMap<&'m str, usize>,
    /// What prefixes and fuzzy words stand for, by the query's place in memory: terms with what they count, and the df.
    expanded: RefCell<BTreeMap<usize, Expanded>>,
}

type Expanded = (Vec<(u16, String, f64)>, usize);

impl Model {
    /// Every match with its score, best first, equal ones in the order of documents.
    pub fn search(&self, query: &Query, parameters: &Parameters) -> Vec<(DocumentId, f64)> {
        let count = self.documents.len() as f64;
        let average = |field: usize| {
            self.documents
                .values()
                .map(|fields| fields[field].len())
                .sum::<usize>() as f64
                / count
        };
        let (mut df, mut any) = (BTreeMap::new(), BTreeMap::new());
        for fields in self.documents.values() {
            let all = fields.iter().zip(0u16..).flat_map(|(terms, field)| {
                terms.iter().map(move |(term, _)| (field, term.as_str()))
            });
            let all: BTreeSet<(u16, &str)> = all.collect();
            all.iter().for_each(|key| *df.entry(*key).or_default() += 1);
            let terms: BTreeSet<&str> = all.iter().map(|key| key.1).collect();
            terms
                .iter()
                .for_each(|term| *any.entry(*term).or_default() += 1);
        }
        let statistics = Statistics {
            df,
            any,
            expanded: RefCell::default(),
            model: self,
            parameters,
            averages: (0..parameters.boosts.len()).map(average).collect(),
        };
        let score =
            |(id, fields): (&DocumentId, &Fields)| Some((*id, statistics.score(query, fields)?));
        let mut hits: Vec<_> = self.documents.iter().filter_map(score).collect();
        hits.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        hits
    }
}

impl Statistics<'_> {
    fn idf(&self, df: usize) -> f64 {
        let (all, df) = (self.model.documents.len() as f64, df as f64);
        (1.0 + (all - df + 0.5) / (df + 0.5)).ln()
    }

    fn df_in(&self, field: u16, term: &str) -> usize {
        self.df.get(&(field, term)).copied().unwrap_or(0)
    }

    fn df_any(&self, term: &str) -> usize {
        self.any.get(term).copied().unwrap_or(0)
    }

    fn expand(&self, query: &Query, expand: impl FnOnce() -> Expanded) -> Expanded {
        let place = std::ptr::from_ref(query) as usize;
        self.expanded
            .borrow_mut()
            .entry(place)
            .or_insert_with(expand)
            .clone()
    }

    fn x(&self, fields: &Fields, field: u16, tf: f64) -> f64 {
        if tf == 0.0 {
            return 0.0;
        }
        let b = f64::from(self.parameters.b);
        let length = fields[field as usize].len() as f64;
        let norm = 1.0 - b + b * length / self.averages[field as usize];
        f64::from(self.parameters.boosts[field as usize]) * tf / norm
    }

    fn saturate(&self, boost: f32, idf: f64, x: f64) -> Option<f64> {
        (x > 0.0).then(|| f64::from(boost) * idf * x / (f64::from(self.parameters.k1) + x))
    }

    fn vocabulary(&self, field: u16) -> impl Iterator<Item = &str> {
        self.df
            .keys()
            .filter(move |key| key.0 == field)
            .map(|key| key.1)
    }

    fn score(&self, query: &Query, fields: &Fields) -> Option<f64> {
        match query {
            Query::Nothing => None,
            Query::Everything => Some(0.0),
            Query::Term { terms, boost } => {
                let x = terms
                    .iter()
                    .map(|t| self.x(fields, t.field, tf(fields, t.field, &t.term) as f64))
                    .sum();
                let df = match &terms[..] {
                    [one] => self.df_in(one.field, &one.term),
                    several => several.iter().map(|t| self.df_any(&t.term)).max().unwrap(),
                };
                self.saturate(*boost, self.idf(df), x)
            }
            Query::Phrase {
                phrases,
                slop,
                boost,
            } => {
                let mut weight = 0f64;
                let mut x = 0.0;
                for phrase in phrases {
                    if phrase
                        .terms
                        .iter()
                        .any(|t| self.df_in(phrase.field, &t.term) == 0)
                    {
                        continue;
                    }
                    let df = |term: &str| {
                        if phrases.len() > 1 {
                            self.df_any(term)
                        } else {
                            self.df_in(phrase.field, term)
                        }
                    };
                    weight = weight.max(phrase.terms.iter().map(|t| self.idf(df(&t.term))).sum());
                    x += self.x(
                        fields,
                        phrase.field,
                        f64::from(occurrences(fields, phrase, *slop)),
                    );
                }
                self.saturate(*boost, weight, x)
            }
            Query::Prefix { boost, .. } | Query::Fuzzy { boost, .. } => {
                let (terms, df) = self.expand(query, || self.terms_of(query));
                let x = terms.iter().map(|(field, term, factor)| {
                    self.x(fields, *field, tf(fields, *field, term) as f64 * factor)
                });
                self.saturate(*boost, self.idf(df), x.sum())
            }
            Query::Boolean {
                must,
                should,
                must_not,
            } => {
                let mut sum = 0.0;
                for query in must {
                    sum += self.score(query, fields)?;
                }
                let some: Vec<f64> = should
                    .iter()
                    .filter_map(|query| self.score(query, fields))
                    .collect();
                if must.is_empty() && some.is_empty()
                    || must_not
                        .iter()
                        .any(|query| self.score(query, fields).is_some())
                {
                    return None;
                }
                Some(sum + some.iter().sum::<f64>())
            }
        }
    }
}

impl Statistics<'_> {
    /// The terms of a prefix or a fuzzy word, and the df they count with.
    fn terms_of(&self, query: &Query) -> Expanded {
        let mut found: BTreeMap<(u16, String), u8> = BTreeMap::new();
        match query {
            Query::Prefix { prefixes, .. } => {
                for prefix in prefixes {
                    let terms = self
                        .vocabulary(prefix.field)
                        .filter(|term| term.starts_with(&prefix.term));
                    found.extend(terms.map(|term| ((prefix.field, term.to_owned()), 0)));
                }
            }
            Query::Fuzzy {
                terms, distance, ..
            } => {
                for looked in terms {
                    for term in self.vocabulary(looked.field) {
                        if let Some(near) =
                            (0..=*distance).find(|most| within(&looked.term, term, *most))
                        {
                            let old = found.entry((looked.field, term.to_owned())).or_insert(near);
                            *old = near.min(*old);
                        }
                    }
                }
            }
            _ => unreachable!("no other query stands for several terms"),
        }
        let nearest = found.values().min().copied().unwrap_or(0);
        let at_nearest = found.iter().filter(|found| *found.1 == nearest);
        let df = at_nearest
            .map(|((field, term), _)| self.df_in(*field, term))
            .max()
            .unwrap_or(0);
        let terms = found
            .into_iter()
            .map(|((field, term), near)| (field, term, 1.0 / (1.0 + f64::from(near))));
        (terms.collect(), df)
    }
}

fn tf(fields: &Fields, field: u16, term: &str) -> usize {
    fields[field as usize]
        .iter()
        .filter(|(own, _)| own == term)
        .count()
}

/// By trying every choice of positions.
fn occurrences(fields: &Fields, phrase: &FieldPhrase, slop: u32) -> u32 {
    let text = &fields[phrase.field as usize];
    let places: Vec<Vec<i64>> = phrase
        .terms
        .iter()
        .map(|t| {
            let own = text.iter().filter(|(term, _)| *term == t.term);
            own.map(|(_, position)| i64::from(*position) - i64::from(t.offset))
                .collect()
        })
        .collect();
    let mut starts: Vec<i64> = places.concat();
    starts.sort_unstable();
    starts.dedup();
    let fits = |start: &i64| {
        choose(
            phrase,
            &places,
            *start,
            *start + i64::from(slop),
            &mut Vec::new(),
        )
    };
    starts.iter().filter(|start| fits(start)).count() as u32
}

fn choose(
    phrase: &FieldPhrase,
    places: &[Vec<i64>],
    low: i64,
    high: i64,
    taken: &mut Vec<(String, i64)>,
) -> bool {
    let at = taken.len();
    if at == places.len() {
        return true;
    }
    places[at]
        .iter()
        .filter(|place| (low..=high).contains(place))
        .any(|place| {
            let real = (
                phrase.terms[at].term.clone(),
                place + i64::from(phrase.terms[at].offset),
            );
            if taken.contains(&real) {
                return false;
            }
            taken.push(real);
            let found = choose(phrase, places, low, high, taken);
            taken.pop();
            found
        })
}

/// A query of any kind.
pub fn any_query(random: &mut Random, fields: usize, words: usize, depth: usize) -> Query {
    let boost = [1.0, 1.0, 1.0, 2.5, 0.3][random.below(5)];
    let mut searched: Vec<u16> = (0..fields as u16).collect();
    if random.below(3) == 0 {
        searched = vec![random.below(fields) as u16];
    }
    let in_fields = |term: &str| -> Vec<FieldTerm> {
        let of = |field: &u16| FieldTerm {
            field: *field,
            term: term.to_owned(),
        };
        searched.iter().map(of).collect()
    };
    let part = |random: &mut Random| any_query(random, fields, words, depth.saturating_sub(1));
    match random.below(if depth == 0 { 10 } else { 16 }) {
        0..=4 => {
            let term = any_word(random, words + 2);
            Query::Term {
                terms: in_fields(&term),
                boost,
            }
        }
        5 | 6 => {
            let mut offset = 0;
            let mut terms = Vec::new();
            for _ in 0..2 + random.below(3) {
                terms.push(PhraseTerm {
                    offset,
                    term: any_word(random, words / 3 + 1),
                });
                offset += 1 + u32::from(random.below(5) == 0);
            }
            let of = |field: &u16| FieldPhrase {
                field: *field,
                terms: terms.clone(),
            };
            let slop = [0, 0, 1, 2, 5][random.below(5)];
            Query::Phrase {
                phrases: searched.iter().map(of).collect(),
                slop,
                boost,
            }
        }
        7 | 8 => {
            let word = any_word(random, words);
            let cut = random.below(word.chars().count() + 1);
            let beginning: String = word.chars().take(cut).collect();
            Query::Prefix {
                prefixes: in_fields(&beginning),
                boost,
            }
        }
        9 => {
            let term = any_word(random, words * 2);
            Query::Fuzzy {
                terms: in_fields(&term),
                distance: 1 + random.below(2) as u8,
                boost,
            }
        }
        10 if random.below(4) == 0 => Query::Everything,
        10 if random.below(4) == 0 => Query::Nothing,
        11..=13 => {
            let should = (0..1 + random.below(4)).map(|_| part(random)).collect();
            let must_not = (0..random.below(6) / 4).map(|_| part(random)).collect();
            Query::Boolean {
                must: Vec::new(),
                should,
                must_not,
            }
        }
        _ => {
            let must = (0..1 + random.below(3)).map(|_| part(random)).collect();
            let should = (0..random.below(3)).map(|_| part(random)).collect();
            let must_not = (0..random.below(5) / 3).map(|_| part(random)).collect();
            Query::Boolean {
                must,
                should,
                must_not,
            }
        }
    }
}

/// Fails unless these are the best of `expected`: the same scores to 1e-5, in order; the same documents but for those whose scores
/// are nearly equal.
pub fn assert_best(
    found: &[(DocumentId, f32)],
    expected: &[(DocumentId, f64)],
    offset: usize,
    limit: usize,
    place: &str,
) {
    let wanted = expected.len().saturating_sub(offset).min(limit);
    assert_eq!(
        found.len(),
        wanted,
        "{place}: number of hits; all: {expected:?}"
    );
    for (at, (id, score)) in found.iter().enumerate() {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * a.abs().max(b.abs());
        let should = expected[offset + at];
        assert!(
            near(f64::from(*score), should.1),
            "{place}: score {score} at {at}, should be {should:?}"
        );
        let own = expected.iter().find(|(other, _)| other == id);
        let own = own.unwrap_or_else(|| panic!("{place}: {id:?} does not match"));
        assert!(
            near(own.1, should.1),
            "{place}: {id:?} at {at}, should be {should:?}"
        );
    }
    assert!(
        found.is_sorted_by(|a, b| a.1 > b.1 || a.1 == b.1 && a.0 < b.0),
        "{place}: not in order"
    );
}
