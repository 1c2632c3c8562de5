//! `Schema`: what a text store keeps about itself in the catalogue, as Python writes it there.
//!
//! ```text
//! {"format": 1, "description": str, "k1": float, "b": float, "stored": bool,
//!  "fields": [[name, boost, analyzer], ...]}            analyzer: see `analysis::options`
//! ```
//!
//! Invariants
//! 1. There is at least one field, no two have one name, and a field's number is its place in the list.
//! 2. `k1` >= 0, 0 <= `b` <= 1, every boost > 0, all finite.

use crate::analysis::{ANALYSIS_VERSION, Analyzer};
use crate::error::{Error, Result};
use crate::wire::Map;

/// The most fields a text store can have.
pub const FIELDS_MAX: usize = 64;

/// The lasting properties of a text store.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Its fields; the number of a field is its place here.
    pub fields: Vec<Field>,
    /// BM25: how soon more occurrences stop to count.
    pub k1: f32,
    /// BM25: how much the length of a text counts.
    pub b: f32,
    /// Whether the texts themselves are kept (for highlights and reindexing).
    pub stored: bool,
    /// A sentence about the store.
    pub description: String,
}

/// A named part of every document.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in queries and documents.
    pub name: String,
    /// How much an occurrence here counts (BM25F weight).
    pub boost: f32,
    /// What makes terms of its texts.
    pub analyzer: Analyzer,
}

impl Schema {
    /// Read the catalogue's form. Unknown keys and values out of range are refused.
    pub fn from_options(options: &[u8]) -> Result<Schema> {
        let mut map = Map::parse(options, "the options of a text store")?;
        let format = map.integer("format")?;
        if format != 1 {
            return Err(Error::new(format!(
                "the text store was made by a newer sopasync (options of format {format}; this version reads 1). \
                 Use a newer sopasync"
            )));
        }
        let schema = Schema {
            description: map.text_or("description", "")?,
            k1: map.float("k1")? as f32,
            b: map.float("b")? as f32,
            stored: map.boolean("stored")?,
            fields: map
                .array("fields")?
                .into_iter()
                .map(Field::parse)
                .collect::<Result<_>>()?,
        };
        map.finish()?;
        schema.check()?;
        Ok(schema)
    }

    /// The number of a field.
    pub fn field(&self, name: &str) -> Option<u16> {
        self.fields
            .iter()
            .position(|field| field.name == name)
            .map(|at| at as u16)
    }

    /// A number that differs when texts become other terms than before: an index made under another
    /// fingerprint has to be made again.
    pub fn fingerprint(&self) -> u64 {
        let mut state = u64::from(ANALYSIS_VERSION);
        for field in &self.fields {
            for byte in format!("{}={:?};", field.name, field.analyzer.options()).bytes() {
                state = (state ^ u64::from(byte))
                    .wrapping_mul(0x0000_0100_0000_01b3)
                    .rotate_left(5);
            }
        }
        state
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(what));
        if self.fields.is_empty() || self.fields.len() > FIELDS_MAX {
            return wrong(format!(
                "a text store has 1 to {FIELDS_MAX} fields, not {}",
                self.fields.len()
            ));
        }
        for (at, field) in self.fields.iter().enumerate() {
            if field.name.is_empty() {
                return wrong("a field of a text store needs a name".into());
            }
            if self.fields[..at]
                .iter()
                .any(|other| other.name == field.name)
            {
                return wrong(format!(
                    "two fields of the text store are called '{}'",
                    field.name
                ));
            }
            if !(field.boost.is_finite() && field.boost > 0.0) {
                return wrong(format!(
                    "the boost of field '{}' is {}; give a number above 0",
                    field.name, field.boost
                ));
            }
        }
        if !(self.k1.is_finite() && self.k1 >= 0.0) {
            return wrong(format!(
                "k1 is {}; give a number of 0 or more (1.2 is usual)",
                self.k1
            ));
        }
        if !(self.b.is_finite() && (0.0..=1.0).contains(&self.b)) {
            return wrong(format!(
                "b is {}; give a number from 0 to 1 (0.75 is usual)",
                self.b
            ));
        }
        Ok(())
    }
}

impl Field {
    fn parse(entry: rmpv::Value) -> Result<Field> {
        let rmpv::Value::Array(parts) = entry else {
            return Err(Error::new(
                "a field of a text store is written as [name, boost, analyzer]",
            ));
        };
        let Ok([name, boost, analyzer]) = <[rmpv::Value; 3]>::try_from(parts) else {
            return Err(Error::new(
                "a field of a text store is written as [name, boost, analyzer]",
            ));
        };
        let name = name.as_str().unwrap_or_default().to_owned();
        Ok(Field {
            boost: boost.as_f64().unwrap_or(f64::NAN) as f32,
            analyzer: Analyzer::from_value(analyzer)?,
            name,
        })
    }
}
