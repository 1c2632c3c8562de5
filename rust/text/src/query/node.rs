//! `Node`: a query as it was typed or put together, before its words went through an analyzer.

use crate::schema::Schema;

use super::QueryError;

/// The most words, phrases and groups in one query.
pub(super) const NODES_MAX: usize = 4096;

/// How deep a query may be nested.
pub(super) const DEPTH_MAX: usize = 64;

/// Boosts lie between these, so that no score overflows.
pub(super) const BOOST_MAX: f32 = 1e6;

/// The greatest slop of a phrase.
pub(super) const SLOP_MAX: u32 = 1 << 20;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Everything,
    Leaf {
        /// Where to look; `None`: in every field.
        fields: Option<Vec<u16>>,
        text: String,
        kind: Leaf,
    },
    Group(Vec<(Occur, Node)>),
    Boost(Box<Node>, f32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    Word,
    Phrase { slop: u32 },
    Prefix,
    Fuzzy { distance: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occur {
    Must,
    Should,
    MustNot,
}

/// The number of a field, or the error that names those there are.
pub(super) fn field(schema: &Schema, name: &str, at: Option<usize>) -> Result<u16, QueryError> {
    schema.field(name).ok_or_else(|| {
        let known: Vec<&str> = schema
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let remedy = if at.is_some() {
            r". A colon that is part of a word is written \:"
        } else {
            ""
        };
        QueryError {
            at,
            message: format!(
                "there is no field '{name}'; the fields are {}{remedy}",
                known.join(", ")
            ),
        }
    })
}

/// A boost, when it is one.
pub(super) fn boost(factor: f64, at: Option<usize>) -> Result<f32, QueryError> {
    let boost = factor as f32;
    if boost.is_finite() && boost > 0.0 && boost <= BOOST_MAX {
        return Ok(boost);
    }
    Err(QueryError {
        at,
        message: format!("a boost is a number above 0 and at most {BOOST_MAX}, not {factor}"),
    })
}
