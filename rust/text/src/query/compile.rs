//! From a [`Node`] to a [`Query`]: every word through the analyzer of each field it is looked for in.
//!
//! What has no term left (a stop word, a sign) is as if it had not been written.

use super::ast::{FieldPhrase, FieldTerm, PhraseTerm, Query};
use super::node::{Leaf, Node, Occur};
use crate::analysis::{Analyzer, Kind};
use crate::schema::Schema;

pub(super) fn compile(node: &Node, schema: &Schema) -> Query {
    Compiler { schema }
        .node(node, 1.0)
        .unwrap_or(Query::Nothing)
}

struct Compiler<'a> {
    schema: &'a Schema,
}

/// What one word or phrase became, by kind and field.
#[derive(Default)]
struct Found {
    terms: Vec<FieldTerm>,
    phrases: Vec<FieldPhrase>,
    prefixes: Vec<FieldTerm>,
    others: Vec<Query>,
}

impl Compiler<'_> {
    fn node(&self, node: &Node, boost: f32) -> Option<Query> {
        match node {
            Node::Everything => Some(Query::Everything),
            Node::Boost(inner, factor) => {
                self.node(inner, (boost * factor).clamp(f32::MIN_POSITIVE, 1e12))
            }
            Node::Group(clauses) => self.group(clauses, boost),
            Node::Leaf { fields, text, kind } => {
                let every: Vec<u16> = (0..self.schema.fields.len() as u16).collect();
                let fields = fields.as_deref().unwrap_or(&every);
                match *kind {
                    Leaf::Word => self.words(fields, text, 0, boost),
                    Leaf::Phrase { slop } => self.words(fields, text, slop, boost),
                    Leaf::Prefix => self.prefix(fields, text, boost),
                    Leaf::Fuzzy { distance } => self.fuzzy(fields, text, distance, boost),
                }
            }
        }
    }

    fn group(&self, clauses: &[(Occur, Node)], boost: f32) -> Option<Query> {
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        for (occur, node) in clauses {
            let Some(query) = self.node(node, boost) else {
                continue;
            };
            match (occur, exclusions(query)) {
                // `+(-a)` and `-a` beside something required are the same.
                (Occur::Must, Err(mut excluded)) => must_not.append(&mut excluded),
                (Occur::Must, Ok(query)) => must.push(query),
                (Occur::Should, Ok(query)) => should.push(query),
                (Occur::MustNot, Ok(query)) => must_not.push(query),
                (Occur::Should, Err(excluded)) => should.push(without(excluded)),
                (Occur::MustNot, Err(excluded)) => must_not.push(without(excluded)),
            }
        }
        let only_exclusions = clauses
            .iter()
            .all(|(occur, node)| *occur == Occur::MustNot || excludes(node));
        if must.is_empty() && should.is_empty() {
            if !only_exclusions || clauses.is_empty() {
                return None;
            }
            return Some(without(must_not));
        }
        if must_not.is_empty() && must.len() + should.len() == 1 {
            return must.pop().or_else(|| should.pop());
        }
        Some(Query::Boolean {
            must,
            should,
            must_not,
        })
    }

    /// One word, or several next to each other.
    fn words(&self, fields: &[u16], text: &str, slop: u32, boost: f32) -> Option<Query> {
        let mut found = Found::default();
        for &field in fields {
            let analyzer = self.analyzer(field);
            let mut terms: Vec<PhraseTerm> = Vec::new();
            analyzer.analyze_query(text, &mut |token| {
                terms.push(PhraseTerm {
                    offset: token.position,
                    term: token.text.to_owned(),
                });
            });
            let Some(first) = terms.first().map(|term| term.offset) else {
                continue;
            };
            terms.iter_mut().for_each(|term| term.offset -= first);
            if terms.len() > 1 {
                found.phrases.push(FieldPhrase { field, terms });
                continue;
            }
            let term = terms.swap_remove(0).term;
            if analyzer.is_beginning(&term) {
                found.prefixes.push(FieldTerm { field, term });
            } else {
                found.terms.push(FieldTerm { field, term });
            }
        }
        found.query(slop, boost)
    }

    /// The words before the last one, and everything that begins like the last.
    fn prefix(&self, fields: &[u16], text: &str, boost: f32) -> Option<Query> {
        let mut found = Found::default();
        for &field in fields {
            let analyzer = self.analyzer(field);
            let spelled = spelled(analyzer, text);
            let Some((last, start)) = spelled.last().cloned() else {
                continue;
            };
            if analyzer.options().kind == Kind::Ngrams || analyzer.is_pair(&last) {
                found.others.extend(self.words(&[field], text, 0, boost));
                continue;
            }
            let beginning = FieldTerm { field, term: last };
            let stem = stem_of(analyzer, &beginning.term)
                .filter(|stem| !stem.starts_with(&beginning.term));
            if spelled.len() == 1 && stem.is_none() {
                found.prefixes.push(beginning);
                continue;
            }
            let mut last = vec![Query::Prefix {
                prefixes: vec![beginning],
                boost,
            }];
            // `running*` begins no term where `running` stands as `run`.
            last.extend(stem.map(|term| Query::Term {
                terms: vec![FieldTerm { field, term }],
                boost,
            }));
            let mut must: Vec<Query> = self
                .words(&[field], &text[..start], 0, boost)
                .into_iter()
                .collect();
            must.push(any(last));
            found.others.push(all(must));
        }
        found.query(0, boost)
    }

    fn fuzzy(&self, fields: &[u16], text: &str, distance: u8, boost: f32) -> Option<Query> {
        let mut alternatives: Vec<FieldTerm> = Vec::new();
        let mut found = Found::default();
        for &field in fields {
            let analyzer = self.analyzer(field);
            let words = spelled(analyzer, text);
            if words.is_empty() {
                continue;
            }
            if analyzer.options().kind == Kind::Ngrams
                || words.iter().any(|(word, _)| analyzer.is_pair(word))
            {
                found.others.extend(self.words(&[field], text, 0, boost));
                continue;
            }
            // Terms are stems; what is looked for may be near one as it is typed, or by its own stem.
            let both = |word: &str| {
                let stem = stem_of(analyzer, word).filter(|stem| stem != word);
                let each = [Some(word.to_owned()), stem].into_iter().flatten();
                each.map(|term| FieldTerm { field, term })
                    .collect::<Vec<_>>()
            };
            if let [(word, _)] = words.as_slice() {
                alternatives.extend(both(word));
                continue;
            }
            let each = words.iter().map(|(word, _)| Query::Fuzzy {
                terms: both(word),
                distance,
                boost,
            });
            found.others.push(all(each.collect()));
        }
        if !alternatives.is_empty() {
            found.others.push(Query::Fuzzy {
                terms: alternatives,
                distance,
                boost,
            });
        }
        found.query(0, boost)
    }

    fn analyzer(&self, field: u16) -> &Analyzer {
        &self.schema.fields[usize::from(field)].analyzer
    }
}

impl Found {
    fn query(self, slop: u32, boost: f32) -> Option<Query> {
        let mut parts = self.others;
        if !self.terms.is_empty() {
            parts.push(Query::Term {
                terms: self.terms,
                boost,
            });
        }
        if !self.phrases.is_empty() {
            parts.push(Query::Phrase {
                phrases: self.phrases,
                slop,
                boost,
            });
        }
        if !self.prefixes.is_empty() {
            parts.push(Query::Prefix {
                prefixes: self.prefixes,
                boost,
            });
        }
        (!parts.is_empty()).then(|| any(parts))
    }
}

/// The words of a text as they are spelled, each with its place.
fn spelled(analyzer: &Analyzer, text: &str) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    analyzer.spell(text, &mut |token| {
        words.push((token.text.to_owned(), token.start))
    });
    words
}

/// The stem of a spelled word; nothing for a stop word.
fn stem_of(analyzer: &Analyzer, word: &str) -> Option<String> {
    let mut stem = None;
    analyzer.analyze_query(word, &mut |token| stem = Some(token.text.to_owned()));
    stem
}

fn any(mut should: Vec<Query>) -> Query {
    match should.len() {
        1 => should.swap_remove(0),
        _ => Query::Boolean {
            must: Vec::new(),
            should,
            must_not: Vec::new(),
        },
    }
}

fn all(mut must: Vec<Query>) -> Query {
    match must.len() {
        1 => must.swap_remove(0),
        _ => Query::Boolean {
            must,
            should: Vec::new(),
            must_not: Vec::new(),
        },
    }
}

/// Every document but those.
fn without(must_not: Vec<Query>) -> Query {
    if must_not.is_empty() {
        return Query::Everything;
    }
    Query::Boolean {
        must: vec![Query::Everything],
        should: Vec::new(),
        must_not,
    }
}

/// What `without` was made of, or the query itself.
fn exclusions(query: Query) -> Result<Query, Vec<Query>> {
    match query {
        Query::Boolean {
            must,
            should,
            must_not,
        } if should.is_empty() && must == [Query::Everything] => Err(must_not),
        other => Ok(other),
    }
}

/// Whether a node only says what is not looked for.
fn excludes(node: &Node) -> bool {
    match node {
        Node::Group(clauses) => {
            !clauses.is_empty()
                && clauses
                    .iter()
                    .all(|(occur, node)| *occur == Occur::MustNot || excludes(node))
        }
        Node::Boost(inner, _) => excludes(inner),
        _ => false,
    }
}
