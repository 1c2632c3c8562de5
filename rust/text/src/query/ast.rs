//! What the index is asked.

use super::compile::compile;
use super::parser::Parser;
use super::{QueryError, expression};
use crate::schema::Schema;

/// A query ready for the index. Scores of parts add up.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// No document (a query of stop words alone).
    Nothing,
    /// Every document, with score 0.
    Everything,
    /// One word, in some fields (BM25F over them).
    Term {
        /// The word in each field searched; a field is there at most once.
        terms: Vec<FieldTerm>,
        /// Multiplies the score.
        boost: f32,
    },
    /// Words next to each other, within one field.
    Phrase {
        /// The phrase in each field searched.
        phrases: Vec<FieldPhrase>,
        /// How many places, in all, words may be away from where the phrase has them.
        slop: u32,
        /// Multiplies the score.
        boost: f32,
    },
    /// Every term that begins so.
    Prefix {
        /// The beginning, in each field searched.
        prefixes: Vec<FieldTerm>,
        /// Multiplies the score.
        boost: f32,
    },
    /// Every term at most `distance` edits away (see [`super::distance`]).
    Fuzzy {
        /// The words looked for; a field may be there twice, with the word and with its stem.
        terms: Vec<FieldTerm>,
        /// 1 or 2.
        distance: u8,
        /// Multiplies the score.
        boost: f32,
    },
    /// All of `must`, none of `must_not`, and one of `should` when `must` is empty. At least one of `must` and `should` is there.
    Boolean {
        /// Each must match.
        must: Vec<Query>,
        /// Those that match add to the score.
        should: Vec<Query>,
        /// None may match.
        must_not: Vec<Query>,
    },
}

/// A term, or the beginning of one, in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field's number in the schema.
    pub field: u16,
    /// The term as the field's analyzer gives it.
    pub term: String,
}

/// A phrase in a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPhrase {
    /// The field's number in the schema.
    pub field: u16,
    /// At least two, in ascending order of their offsets; the first offset is 0. Where stop words are left out, offsets jump.
    pub terms: Vec<PhraseTerm>,
}

/// A term of a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhraseTerm {
    /// Its position minus that of the phrase's first term.
    pub offset: u32,
    /// The term as the field's analyzer gives it.
    pub term: String,
}

/// What words without an operator between them mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Joined {
    /// At least one of them; the more the better.
    #[default]
    Any,
    /// All of them.
    All,
}

impl Query {
    /// Understand what somebody typed. Words without a field are looked for in all of them.
    pub fn parse(text: &str, schema: &Schema) -> Result<Query, QueryError> {
        Query::parse_with(text, schema, Joined::Any)
    }

    /// The same, with what stands between words chosen.
    pub fn parse_with(text: &str, schema: &Schema, joined: Joined) -> Result<Query, QueryError> {
        let node = Parser::new(text, schema, joined).parse(None)?;
        Ok(compile(&node, schema))
    }

    /// Read the form in which Python writes expressions (see `expression.rs`).
    pub fn from_msgpack(data: &[u8], schema: &Schema) -> Result<Query, QueryError> {
        Ok(compile(&expression::read(data, schema)?, schema))
    }
}
