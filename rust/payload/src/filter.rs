//! Filters: parsed from msgpack, asked about one payload.
//!
//! ```text
//! ["eq", field, v]   ["ne", field, v]   ["in", field, [v, ...]]   ["exists", field]
//! ["range", field, low | nil, low included, high | nil, high included]
//! ["and", [filter, ...]]   ["or", [filter, ...]]   ["not", filter]
//! ```
//!
//! F1 the values of one `In` are sorted and distinct; the bounds of one `Range` are of one class.
//! F2 filters nest at most `DEPTH_MAX` deep.

use std::ops::Bound;

use crate::error::{Error, Result};
use crate::msgpack::{Item, Reader};
use crate::scalar::{class_name, is_cut, key_of};
use crate::walk::{Found, find};

/// F2.
const DEPTH_MAX: usize = 64;
const FIELD_BYTES_MAX: usize = 1024;

type Key = Box<[u8]>;

/// A condition on payloads.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub(crate) root: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Some value of the field passes the test.
    Field(Box<str>, Test),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    Exists,
    /// F1.
    In(Vec<Key>),
    Range(Bound<Key>, Bound<Key>),
}

impl Test {
    fn holds(&self, key: &[u8]) -> bool {
        match self {
            Self::Exists => true,
            Self::In(keys) => keys.binary_search_by(|probe| (**probe).cmp(key)).is_ok(),
            Self::Range(low, high) => {
                (match low {
                    Bound::Included(low) => **low <= *key,
                    Bound::Excluded(low) => **low < *key,
                    Bound::Unbounded => true,
                }) && match high {
                    Bound::Included(high) => *key <= **high,
                    Bound::Excluded(high) => *key < **high,
                    Bound::Unbounded => true,
                }
            }
        }
    }
}

impl Filter {
    /// Reads a packed filter.
    pub fn parse(msgpack: &[u8]) -> Result<Self> {
        let mut parser = Parser {
            reader: Reader::new(msgpack),
            place: Vec::new(),
        };
        let root = parser.node()?;
        if !parser.reader.remaining().is_empty() {
            return Err(parser.wrong("something follows its end"));
        }
        Ok(Self { root })
    }

    /// Whether a packed payload (a map, or nil) matches. Malformed bytes have the fields that can be read.
    pub fn matches(&self, payload: &[u8]) -> bool {
        let mut key = Vec::with_capacity(64);
        holds(&self.root, payload, &mut key)
    }

    /// The fields whose values it asks for, sorted; not those it only asks the existence of.
    pub fn fields(&self) -> Vec<&str> {
        let mut names = Vec::new();
        collect(&self.root, &mut names);
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn holds(node: &Node, payload: &[u8], key: &mut Vec<u8>) -> bool {
    match node {
        Node::Field(field, test) => find(payload, field.as_bytes(), &mut |found| match found {
            Found::Field => matches!(test, Test::Exists),
            Found::Value(item) => key_of(key, item) && test.holds(key),
        })
        .unwrap_or(false),
        Node::And(nodes) => nodes.iter().all(|node| holds(node, payload, key)),
        Node::Or(nodes) => nodes.iter().any(|node| holds(node, payload, key)),
        Node::Not(node) => !holds(node, payload, key),
    }
}

fn collect<'f>(node: &'f Node, names: &mut Vec<&'f str>) {
    match node {
        Node::Field(_, Test::Exists) => {}
        Node::Field(field, _) => names.push(field),
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| collect(node, names)),
        Node::Not(node) => collect(node, names),
    }
}

struct Parser<'a> {
    reader: Reader<'a>,
    /// Indexes of the way to where the reader is.
    place: Vec<usize>,
}

impl<'a> Parser<'a> {
    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Filter {
            place: self.place.iter().map(|step| format!("[{step}]")).collect(),
            reason: reason.into(),
        }
    }

    /// Parses at a step further in.
    fn at<T>(&mut self, step: usize, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.place.push(step);
        let parsed = parse(self)?;
        self.place.pop();
        Ok(parsed)
    }

    fn item(&mut self) -> Result<Item<'a>> {
        self.reader.item()
    }

    fn array(&mut self) -> Result<usize> {
        match self.item()? {
            Item::Array(count) => Ok(count),
            _ => Err(self.wrong("a list is expected")),
        }
    }

    fn node(&mut self) -> Result<Node> {
        if self.place.len() > DEPTH_MAX * 2 {
            return Err(self.wrong(format!("filters nest at most {DEPTH_MAX} deep")));
        }
        let count = self.array()?;
        let Item::Str(operator) = self.item()? else {
            return Err(self.wrong("an operator is expected first, such as \"eq\""));
        };
        let operator = String::from_utf8_lossy(operator).into_owned();
        let expected = match operator.as_str() {
            "and" | "or" | "not" | "exists" => 2,
            "eq" | "ne" | "in" => 3,
            "range" => 6,
            _ => {
                return Err(self.wrong(format!(
                    "unknown operator '{operator}'. There are: eq, ne, in, range, exists, and, or, not"
                )));
            }
        };
        if count != expected {
            return Err(self.wrong(format!(
                "'{operator}' takes {} arguments, got {}",
                expected - 1,
                count.saturating_sub(1)
            )));
        }
        Ok(match operator.as_str() {
            "and" => Node::And(self.at(1, Self::nodes)?),
            "or" => Node::Or(self.at(1, Self::nodes)?),
            "not" => Node::Not(Box::new(self.at(1, Self::node)?)),
            "exists" => Node::Field(self.at(1, Self::field)?, Test::Exists),
            "eq" => self.equal()?,
            "ne" => Node::Not(Box::new(self.equal()?)),
            "in" => {
                let field = self.at(1, Self::field)?;
                Node::Field(field, Test::In(self.at(2, Self::keys)?))
            }
            _ => self.range()?,
        })
    }

    fn nodes(&mut self) -> Result<Vec<Node>> {
        (0..self.array()?)
            .map(|step| self.at(step, Self::node))
            .collect()
    }

    fn field(&mut self) -> Result<Box<str>> {
        match self.item()? {
            Item::Str(name) if name.len() <= FIELD_BYTES_MAX => std::str::from_utf8(name)
                .map(Box::from)
                .map_err(|_| self.wrong("a field's name is not UTF-8")),
            Item::Str(_) => Err(self.wrong(format!(
                "a field's name has at most {FIELD_BYTES_MAX} bytes"
            ))),
            _ => Err(self.wrong("a field's name is expected")),
        }
    }

    fn key(&mut self) -> Result<Key> {
        let item = self.item()?;
        let mut key = Vec::new();
        if !key_of(&mut key, item) {
            return Err(self.wrong(
                "this compares with nothing. Give a number (not NaN), str, bytes, bool, None, date, time or UUID",
            ));
        }
        Ok(key.into())
    }

    fn keys(&mut self) -> Result<Vec<Key>> {
        let mut keys = (0..self.array()?)
            .map(|step| self.at(step, Self::key))
            .collect::<Result<Vec<_>>>()?;
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn equal(&mut self) -> Result<Node> {
        let field = self.at(1, Self::field)?;
        Ok(Node::Field(field, Test::In(vec![self.at(2, Self::key)?])))
    }

    fn truth(&mut self) -> Result<bool> {
        match self.item()? {
            Item::Bool(truth) => Ok(truth),
            _ => Err(self.wrong("true or false is expected")),
        }
    }

    fn bound(&mut self, step: usize) -> Result<Option<(Key, bool)>> {
        let key = if self.reader.remaining().first() == Some(&0xC0) {
            self.item()?;
            None
        } else {
            Some(self.at(step, Self::key)?)
        };
        let included = self.at(step + 1, Self::truth)?;
        if key.as_ref().is_some_and(|key| is_cut(key)) {
            return Err(self.wrong(format!(
                "a bound of a range has at most {} bytes",
                crate::KEY_PREFIX_BYTES
            )));
        }
        Ok(key.map(|key| (key, included)))
    }

    fn range(&mut self) -> Result<Node> {
        let field = self.at(1, Self::field)?;
        let low = self.bound(2)?;
        let high = self.bound(4)?;
        let class = match (&low, &high) {
            (Some((low, _)), Some((high, _))) if low[0] != high[0] => {
                return Err(self.wrong(format!(
                    "the bounds of a range are of one type, got {} and {}",
                    class_name(low),
                    class_name(high)
                )));
            }
            (Some((key, _)), _) | (None, Some((key, _))) => key[0],
            (None, None) => {
                return Err(self.wrong("a range needs a bound. To ask for any value, use 'exists'"));
            }
        };
        let bound = |given: Option<(Key, bool)>, open: Bound<Key>| match given {
            Some((key, true)) => Bound::Included(key),
            Some((key, false)) => Bound::Excluded(key),
            None => open,
        };
        let low = bound(low, Bound::Included(Box::new([class])));
        let high = bound(high, Bound::Excluded(Box::new([class + 1])));
        Ok(Node::Field(field, Test::Range(low, high)))
    }
}
