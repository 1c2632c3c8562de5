//! The form in which Python writes query expressions: msgpack lists, the first element says what it is.
//!
//! ```text
//! query := str                                         the query language
//!        | ["text", str, fields, all: bool]            the same, words without a field in `fields`
//!        | ["term", str, fields]                       a word, or several next to each other
//!        | ["phrase", str, fields, slop: int]
//!        | ["prefix", str, fields]
//!        | ["fuzzy", str, fields, distance: 1 | 2]
//!        | ["all", [query, ...]] | ["any", [query, ...]] | ["none", [query, ...]]
//!        | ["boost", query, factor: float]
//!        | ["everything"]
//! fields := [name, ...] | nil                          nil: every field
//! ```

use rmpv::Value;

use super::node::{self, Leaf, NODES_MAX, Node, Occur, SLOP_MAX};
use super::parser::Parser;
use super::{Joined, QueryError};
use crate::schema::Schema;

type Result<T> = std::result::Result<T, QueryError>;

pub(super) fn read(data: &[u8], schema: &Schema) -> Result<Node> {
    let value = crate::wire::parse(data, "the bytes of a query expression")
        .map_err(|error| QueryError::nowhere(error.message()))?;
    Reader { schema, nodes: 0 }.query(value)
}

struct Reader<'a> {
    schema: &'a Schema,
    nodes: usize,
}

impl Reader<'_> {
    fn query(&mut self, value: Value) -> Result<Node> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(QueryError::nowhere(format!(
                "a query has at most {NODES_MAX} parts"
            )));
        }
        if let Some(text) = value.as_str() {
            return Parser::new(text, self.schema, Joined::Any).parse(None);
        }
        let Value::Array(parts) = value else {
            return Err(wrong(&value));
        };
        let mut parts = Parts(parts.into_iter());
        let name = parts.text()?;
        let node = match name.as_str() {
            "everything" => Node::Everything,
            "text" => {
                let text = parts.text()?;
                let fields = self.fields(parts.next()?)?;
                let joined = if parts.boolean()? {
                    Joined::All
                } else {
                    Joined::Any
                };
                Parser::new(&text, self.schema, joined).parse(fields.as_deref())?
            }
            "term" => self.leaf(&mut parts, |_| Ok(Leaf::Word))?,
            "prefix" => self.leaf(&mut parts, |_| Ok(Leaf::Prefix))?,
            "phrase" => self.leaf(&mut parts, |parts| {
                let slop = parts.integer()?;
                match u32::try_from(slop) {
                    Ok(slop) if slop <= SLOP_MAX => Ok(Leaf::Phrase { slop }),
                    _ => Err(QueryError::nowhere(format!(
                        "the slop of a phrase is 0 to {SLOP_MAX}, not {slop}"
                    ))),
                }
            })?,
            "fuzzy" => self.leaf(&mut parts, |parts| match parts.integer()? {
                1 => Ok(Leaf::Fuzzy { distance: 1 }),
                2 => Ok(Leaf::Fuzzy { distance: 2 }),
                other => Err(QueryError::nowhere(format!(
                    "a fuzzy word may differ by 1 or 2 letters, not {other}"
                ))),
            })?,
            "all" => self.group(&mut parts, Occur::Must)?,
            "any" => self.group(&mut parts, Occur::Should)?,
            "none" => self.group(&mut parts, Occur::MustNot)?,
            "boost" => {
                let inner = self.query(parts.next()?)?;
                let factor = parts.next()?;
                let factor = factor.as_f64().ok_or_else(|| wrong(&factor))?;
                Node::Boost(Box::new(inner), node::boost(factor, None)?)
            }
            other => {
                return Err(QueryError::nowhere(format!(
                    "there is no query expression '{other}'"
                )));
            }
        };
        match parts.0.next() {
            None => Ok(node),
            Some(rest) => Err(wrong(&rest)),
        }
    }

    fn leaf(
        &self,
        parts: &mut Parts,
        kind: impl FnOnce(&mut Parts) -> Result<Leaf>,
    ) -> Result<Node> {
        let text = parts.text()?;
        let fields = self.fields(parts.next()?)?;
        let kind = kind(parts)?;
        Ok(Node::Leaf { fields, text, kind })
    }

    fn group(&mut self, parts: &mut Parts, occur: Occur) -> Result<Node> {
        let Value::Array(queries) = parts.next()? else {
            return Err(QueryError::nowhere(
                "a list of queries is missing in the query expression",
            ));
        };
        let clauses = queries
            .into_iter()
            .map(|query| Ok((occur, self.query(query)?)));
        Ok(Node::Group(clauses.collect::<Result<_>>()?))
    }

    fn fields(&self, value: Value) -> Result<Option<Vec<u16>>> {
        let names = match value {
            Value::Nil => return Ok(None),
            Value::Array(names) if !names.is_empty() => names,
            other => return Err(wrong(&other)),
        };
        let mut fields = Vec::new();
        for name in &names {
            let name = name.as_str().ok_or_else(|| wrong(name))?;
            let number = node::field(self.schema, name, None)?;
            if !fields.contains(&number) {
                fields.push(number);
            }
        }
        Ok(Some(fields))
    }
}

/// The elements of a list that nobody has taken yet.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn next(&mut self) -> Result<Value> {
        self.0
            .next()
            .ok_or_else(|| QueryError::nowhere("a part of the query expression is missing"))
    }

    fn text(&mut self) -> Result<String> {
        let value = self.next()?;
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| wrong(&value))
    }

    fn integer(&mut self) -> Result<u64> {
        let value = self.next()?;
        value.as_u64().ok_or_else(|| wrong(&value))
    }

    fn boolean(&mut self) -> Result<bool> {
        let value = self.next()?;
        value.as_bool().ok_or_else(|| wrong(&value))
    }
}

fn wrong(value: &Value) -> QueryError {
    let mut shown = value.to_string();
    if shown.chars().count() > 60 {
        shown = shown.chars().take(60).chain("...".chars()).collect();
    }
    QueryError::nowhere(format!("this cannot be part of a query: {shown}"))
}
