//! A query becomes scorers, and these give the best documents.

use std::cell::Cell;

use super::bm25::{Norm, Parameters, idf};
use super::boolean::Boolean;
use super::expand;
use super::group::{Group, Occurrences, Source};
use super::list::List;
use super::phrase::Phrase;
use super::scorer::{Everything, Scorer};
use super::term::Term;
use super::top::{Accept, Collector, Hit};
use super::window::collect_union;
use crate::index::cursor::Cursor;
use crate::index::{ANY, Failure, Result, Rows, View, word};
use crate::query::{FieldPhrase, FieldTerm, Query};

/// Groups of more sources are worked out beforehand.
const SOURCES_MAX: usize = 8;

type Boxed<'r> = Box<dyn Scorer + 'r>;

/// What is looked for, and how much of it.
pub struct Search<'q> {
    /// The question.
    pub query: &'q Query,
    /// BM25's constants.
    pub parameters: &'q Parameters,
    /// Hits wanted, after leaving out `offset` better ones.
    pub limit: usize,
    /// Hits to leave out.
    pub offset: usize,
    /// Postings that may be gone through: a search that may need more fails at once as [`Failure::Costly`].
    pub patience: u64,
}

/// The best documents of `view` that `accept` lets through, best first; those of equal score in the order of documents.
pub fn search(
    view: &View,
    rows: &dyn Rows,
    search: &Search<'_>,
    accept: Option<Accept<'_>>,
) -> Result<Vec<Hit>> {
    let wanted = search
        .limit
        .saturating_add(search.offset)
        .min(view.documents() as usize);
    if wanted == 0 || search.limit == 0 {
        return Ok(Vec::new());
    }
    let builder = Builder {
        view,
        rows,
        parameters: search.parameters,
        left: Cell::new(search.patience),
        may_take_long: search.patience == u64::MAX,
    };
    let mut collector = Collector::new(view, wanted, accept);
    let (mut any, must_not) = builder.top(search.query)?;
    collector.excluded = must_not;
    match any.len() {
        0 => return Ok(Vec::new()),
        1 => any[0].collect(&mut collector)?,
        _ => collect_union(any, &mut collector)?,
    }
    let mut hits = collector.finish();
    hits.drain(..search.offset.min(hits.len()));
    Ok(hits)
}

/// How many documents a search may have to look at: whether it is worth a thread of its own.
pub fn cost(view: &View, rows: &dyn Rows, query: &Query, parameters: &Parameters) -> Result<u64> {
    let builder = Builder {
        view,
        rows,
        parameters,
        left: Cell::new(u64::MAX),
        may_take_long: true,
    };
    let (any, _) = builder.top(query)?;
    Ok(any.iter().map(|scorer| scorer.cost()).sum())
}

struct Builder<'a, 'r> {
    view: &'a View,
    rows: &'r dyn Rows,
    parameters: &'a Parameters,
    /// Postings that may still be gone through.
    left: Cell<u64>,
    may_take_long: bool,
}

impl<'r> Builder<'_, 'r> {
    /// A cursor on a word, whose postings count as work.
    fn open(&self, field: u8, term: &str) -> Result<Cursor<'r>> {
        let cursor = Cursor::open(self.view, self.rows, &word(field, term.as_bytes()))?;
        self.spend(cursor.count)?;
        Ok(cursor)
    }

    fn spend(&self, postings: u64) -> Result<()> {
        let left = self
            .left
            .get()
            .checked_sub(postings)
            .ok_or(Failure::Costly)?;
        self.left.set(left);
        Ok(())
    }

    /// A query as a union, and what must not match.
    fn top(&self, query: &Query) -> Result<(Vec<Boxed<'r>>, Vec<Boxed<'r>>)> {
        let (mut any, mut none) = (Vec::new(), Vec::new());
        if let Query::Boolean {
            must,
            should,
            must_not,
        } = query
            && must.is_empty()
        {
            self.flatten(should, &mut any)?;
            self.all(must_not, &mut none)?;
        } else {
            any.extend(self.scorer(query)?);
        }
        Ok((any, none))
    }

    /// Unions within a union are part of it.
    fn flatten(&self, queries: &[Query], any: &mut Vec<Boxed<'r>>) -> Result<()> {
        for query in queries {
            match query {
                Query::Boolean {
                    must,
                    should,
                    must_not,
                } if must.is_empty() && must_not.is_empty() => {
                    self.flatten(should, any)?;
                }
                query => any.extend(self.scorer(query)?),
            }
        }
        Ok(())
    }

    fn all(&self, queries: &[Query], into: &mut Vec<Boxed<'r>>) -> Result<()> {
        for query in queries {
            into.extend(self.scorer(query)?);
        }
        Ok(())
    }

    /// `None` when nothing can match.
    fn scorer(&self, query: &Query) -> Result<Option<Boxed<'r>>> {
        match query {
            Query::Nothing => Ok(None),
            Query::Everything => Ok(Some(Box::new(Everything {
                end: self.view.end,
                doc: 0,
            }))),
            Query::Term { terms, boost } => self.term(terms, *boost),
            Query::Phrase {
                phrases,
                slop,
                boost,
            } => self.phrase(phrases, *slop, *boost),
            Query::Prefix { prefixes, boost } => self.prefix(prefixes, *boost),
            Query::Fuzzy {
                terms,
                distance,
                boost,
            } => self.fuzzy(terms, *distance, *boost),
            Query::Boolean {
                must,
                should,
                must_not,
            } => self.boolean(must, should, must_not),
        }
    }

    fn boolean(
        &self,
        must: &[Query],
        should: &[Query],
        must_not: &[Query],
    ) -> Result<Option<Boxed<'r>>> {
        let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for query in must {
            match self.scorer(query)? {
                Some(scorer) => all.push(scorer),
                None => return Ok(None),
            }
        }
        self.flatten(should, &mut any)?;
        if all.is_empty() && any.is_empty() {
            return Ok(None);
        }
        self.all(must_not, &mut none)?;
        Ok(Some(Box::new(Boolean::new(all, any, none))))
    }

    fn norm(&self, field: u16) -> Norm {
        Norm::new(self.parameters, self.view, field as u8)
    }

    fn weight(&self, boost: f32, df: u64) -> f32 {
        boost * idf(self.view.documents, df)
    }

    /// Documents that have `term` in any of several fields.
    fn df_any(&self, term: &str) -> Result<u64> {
        Ok(self.open(ANY, term)?.df)
    }

    fn term(&self, terms: &[FieldTerm], boost: f32) -> Result<Option<Boxed<'r>>> {
        let k1 = self.parameters.k1;
        let mut sources = Vec::with_capacity(terms.len());
        let mut df = 0;
        for FieldTerm { field, term } in terms {
            let cursor = self.open(*field as u8, term)?;
            df = df.max(cursor.df);
            if cursor.df > 0 {
                sources.push((cursor, self.norm(*field)));
            }
        }
        if sources.is_empty() {
            return Ok(None);
        }
        if terms.len() > 1 {
            df = self.df_any_of(terms.iter().map(|term| term.term.as_str()), df)?;
        }
        let weight = self.weight(boost, df);
        if terms.len() == 1
            && let Some((cursor, norm)) = sources.pop()
        {
            return Ok(Some(Box::new(Term::new(cursor, weight, k1, norm))));
        }
        let source = |(cursor, norm)| Source::new(Occurrences::Word(Box::new(cursor)), norm, 1.0);
        let sources = sources.into_iter().map(source).collect();
        Ok(Some(Box::new(Group::new(sources, weight, k1))))
    }

    /// The df of a word that is looked for in several fields: of the term when all fields have the same one for it; analyzers that
    /// differ make different terms, and then the most frequent one counts.
    fn df_any_of<'t>(&self, terms: impl Iterator<Item = &'t str>, least: u64) -> Result<u64> {
        let mut terms: Vec<&str> = terms.collect();
        terms.sort_unstable();
        terms.dedup();
        let mut df = least;
        for term in terms {
            df = df.max(self.df_any(term)?);
        }
        Ok(df)
    }

    fn phrase(&self, phrases: &[FieldPhrase], slop: u32, boost: f32) -> Result<Option<Boxed<'r>>> {
        let mut sources = Vec::with_capacity(phrases.len());
        let mut weight = 0f32;
        for FieldPhrase { field, terms } in phrases {
            let mut words = Vec::with_capacity(terms.len());
            let mut sum = 0.0;
            for term in terms {
                let cursor = self.open(*field as u8, &term.term)?;
                let mut df = cursor.df;
                if phrases.len() > 1 {
                    df = df.max(self.df_any(&term.term)?);
                }
                sum += self.weight(boost, df);
                words.push((cursor, term.offset));
            }
            if words.iter().all(|(cursor, _)| cursor.df > 0) {
                weight = weight.max(sum);
                let phrase = Occurrences::Phrase(Phrase::new(words, slop));
                sources.push(Source::new(phrase, self.norm(*field), 1.0));
            }
        }
        if sources.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Group::new(
            sources,
            weight,
            self.parameters.k1,
        ))))
    }

    fn prefix(&self, prefixes: &[FieldTerm], boost: f32) -> Result<Option<Boxed<'r>>> {
        let mut sources = Vec::new();
        let mut df = 0;
        for FieldTerm { field, term } in prefixes {
            let norm = self.norm(*field);
            for cursor in expand::prefix(self.view, self.rows, *field as u8, term)? {
                df = df.max(cursor.df);
                self.spend(cursor.count)?;
                sources.push(Source::new(Occurrences::Word(Box::new(cursor)), norm, 1.0));
            }
        }
        self.expanded(sources, boost, df)
    }

    /// Farther terms count less; the nearest ones say how rare the word is.
    fn fuzzy(&self, terms: &[FieldTerm], most: u8, boost: f32) -> Result<Option<Boxed<'r>>> {
        let mut found: Vec<(u16, Cursor<'r>, u8)> = Vec::new();
        for FieldTerm { field, term } in terms {
            let long = self.may_take_long;
            for (cursor, distance) in
                expand::fuzzy(self.view, self.rows, *field as u8, term, most, long)?
            {
                self.spend(cursor.count)?;
                match found
                    .iter_mut()
                    .find(|old| old.0 == *field && old.1.word() == cursor.word())
                {
                    Some(old) => old.2 = old.2.min(distance),
                    None => found.push((*field, cursor, distance)),
                }
            }
        }
        let nearest = found.iter().map(|found| found.2).min().unwrap_or(0);
        let at_nearest = found.iter().filter(|found| found.2 == nearest);
        let df = at_nearest.map(|found| found.1.df).max().unwrap_or(0);
        let sources = found.into_iter().map(|(field, cursor, distance)| {
            let factor = 1.0 / (1.0 + f32::from(distance));
            Source::new(
                Occurrences::Word(Box::new(cursor)),
                self.norm(field),
                factor,
            )
        });
        self.expanded(sources.collect(), boost, df)
    }

    fn expanded(&self, sources: Vec<Source<'r>>, boost: f32, df: u64) -> Result<Option<Boxed<'r>>> {
        if sources.is_empty() {
            return Ok(None);
        }
        let (weight, k1) = (self.weight(boost, df), self.parameters.k1);
        if sources.len() > SOURCES_MAX {
            return Ok(Some(Box::new(List::of(
                sources,
                weight,
                k1,
                self.view.end,
            )?)));
        }
        Ok(Some(Box::new(Group::new(sources, weight, k1))))
    }
}
