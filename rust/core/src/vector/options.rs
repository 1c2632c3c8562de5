//! What is fixed when a vector store is made: its options in the catalogue.
//!
//! A msgpack map with these keys; those with a default may be left out, others are refused.
//!
//! ```text
//! dimension        int           elements of a vector
//! metric           str           "cosine" · "inner_product" · "l2" · "hamming"
//! element          str  "f32"    "f32" · "f16" · "int8" · "bits"
//! index            str  "auto"   "auto" · "hnsw" · "usearch" · "exact"
//! links            int  16       of a row in a graph
//! ef_construction  int  128      candidates while a graph is built
//! ef               int  64       candidates of a search, unless it asks for others
//! codes            str  "auto"   "auto" · "none" · "int8" · "bits": how scans and walks read less
//! ```

use sopasync_vector::{Element, Metric, Space};

use crate::error::{Error, Result};

/// The kind of vector stores in the catalogue.
pub const VECTOR_KIND: u8 = 2;

/// How sealed segments are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// The engine's choice: today its own graph.
    Auto,
    /// The engine's own graph.
    Hnsw,
    /// The graph of the usearch library.
    Usearch,
    /// No graph: every search is exact.
    Exact,
}

/// Which codes of the vectors are kept besides them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// The engine's choice.
    Auto,
    /// None.
    None,
    /// Eight bits for each element.
    Int8,
    /// One bit for each element.
    Bits,
}

/// What is fixed when a store is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VectorOptions {
    /// Metric, element and dimension.
    pub space: Space,
    /// How sealed segments are searched.
    pub index: IndexKind,
    /// Links of a row in a graph.
    pub links: usize,
    /// Candidates while a graph is built.
    pub ef_construction: usize,
    /// Candidates of a search that does not say how many.
    pub ef: usize,
    /// Codes kept besides the vectors.
    pub codes: CodeKind,
}

const METRICS: [(&str, Metric); 4] = [
    ("cosine", Metric::Cosine),
    ("inner_product", Metric::InnerProduct),
    ("l2", Metric::L2),
    ("hamming", Metric::Hamming),
];
const ELEMENTS: [(&str, Element); 4] = [
    ("f32", Element::F32),
    ("f16", Element::F16),
    ("int8", Element::I8),
    ("bits", Element::Bits),
];
const INDEXES: [(&str, IndexKind); 4] = [
    ("auto", IndexKind::Auto),
    ("hnsw", IndexKind::Hnsw),
    ("usearch", IndexKind::Usearch),
    ("exact", IndexKind::Exact),
];
const CODES: [(&str, CodeKind); 4] = [
    ("auto", CodeKind::Auto),
    ("none", CodeKind::None),
    ("int8", CodeKind::Int8),
    ("bits", CodeKind::Bits),
];

impl VectorOptions {
    /// The default choices for a space.
    pub fn new(space: Space) -> Self {
        Self {
            space,
            index: IndexKind::Auto,
            links: 16,
            ef_construction: 128,
            ef: 64,
            codes: CodeKind::Auto,
        }
    }

    /// Reads the options of a store.
    pub fn parse(packed: &[u8]) -> Result<Self> {
        let pairs = read_map(packed).ok_or_else(|| {
            Error::invalid("the options of a vector store are no msgpack map of texts and numbers")
        })?;
        let (mut dimension, mut metric, mut element) = (None, None, Element::F32);
        let (mut index, mut codes) = (IndexKind::Auto, CodeKind::Auto);
        let (mut links, mut ef_construction, mut ef) = (16, 128, 64);
        for (key, value) in pairs {
            match key {
                "dimension" => dimension = Some(value.number(key, 1, 1 << 16)?),
                "metric" => metric = Some(value.choice(key, &METRICS)?),
                "element" => element = value.choice(key, &ELEMENTS)?,
                "index" => index = value.choice(key, &INDEXES)?,
                "codes" => codes = value.choice(key, &CODES)?,
                "links" => links = value.number(key, 2, 256)?,
                "ef_construction" => ef_construction = value.number(key, 1, 1 << 16)?,
                "ef" => ef = value.number(key, 1, 1 << 16)?,
                _ => {
                    return Err(Error::invalid(format!(
                        "a vector store has no option '{key}'. There are: dimension, metric, element, index, links, \
                         ef_construction, ef, codes"
                    )));
                }
            }
        }
        let missing =
            |what| Error::invalid(format!("the options of a vector store name no {what}"));
        let space = Space::new(
            metric.ok_or_else(|| missing("metric"))?,
            element,
            dimension.ok_or_else(|| missing("dimension"))?,
        )
        .map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self {
            space,
            index,
            links,
            ef_construction,
            ef,
            codes,
        })
    }

    /// Packs the options, all of them.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0x88];
        text(&mut out, "dimension");
        number(&mut out, self.space.dimension());
        text(&mut out, "metric");
        text(&mut out, name(&METRICS, self.space.metric()));
        text(&mut out, "element");
        text(&mut out, name(&ELEMENTS, self.space.element()));
        text(&mut out, "index");
        text(&mut out, name(&INDEXES, self.index));
        text(&mut out, "links");
        number(&mut out, self.links);
        text(&mut out, "ef_construction");
        number(&mut out, self.ef_construction);
        text(&mut out, "ef");
        number(&mut out, self.ef);
        text(&mut out, "codes");
        text(&mut out, name(&CODES, self.codes));
        out
    }
}

fn name<T: PartialEq + Copy>(choices: &[(&'static str, T)], wanted: T) -> &'static str {
    let found = choices.iter().find(|(_, choice)| *choice == wanted);
    found.expect("every choice has a name").0
}

fn text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 32, "names are short");
    out.push(0xa0 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, number: usize) {
    out.push(0xce);
    out.extend_from_slice(&(number as u32).to_be_bytes());
}

/// A value of the map.
enum Value<'a> {
    Text(&'a str),
    Number(u64),
}

impl Value<'_> {
    fn number(&self, key: &str, least: usize, most: usize) -> Result<usize> {
        match self {
            Self::Number(number) if (least as u64..=most as u64).contains(number) => {
                Ok(*number as usize)
            }
            _ => Err(Error::invalid(format!(
                "{key} of a vector store is a whole number from {least} to {most}"
            ))),
        }
    }

    fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T> {
        if let Self::Text(text) = self
            && let Some((_, choice)) = choices.iter().find(|(name, _)| name == text)
        {
            return Ok(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        Err(Error::invalid(format!(
            "{key} of a vector store is one of: {}",
            names.join(", ")
        )))
    }
}

/// A map of texts to texts and whole numbers.
fn read_map(mut packed: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let take = &mut packed;
    let count = match byte(take)? {
        tag @ 0x80..=0x8f => usize::from(tag & 0x0f),
        0xde => usize::from(u16::from_be_bytes(array(take)?)),
        _ => return None,
    };
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let key = match value(take)? {
            Value::Text(key) => key,
            Value::Number(_) => return None,
        };
        pairs.push((key, value(take)?));
    }
    take.is_empty().then_some(pairs)
}

fn value<'a>(take: &mut &'a [u8]) -> Option<Value<'a>> {
    let length = match byte(take)? {
        tag @ 0..=0x7f => return Some(Value::Number(u64::from(tag))),
        0xcc => return Some(Value::Number(u64::from(byte(take)?))),
        0xcd => return Some(Value::Number(u64::from(u16::from_be_bytes(array(take)?)))),
        0xce => return Some(Value::Number(u64::from(u32::from_be_bytes(array(take)?)))),
        0xcf => return Some(Value::Number(u64::from_be_bytes(array(take)?))),
        tag @ 0xa0..=0xbf => usize::from(tag & 0x1f),
        0xd9 => usize::from(byte(take)?),
        _ => return None,
    };
    let (text, rest) = take.split_at_checked(length)?;
    *take = rest;
    std::str::from_utf8(text).ok().map(Value::Text)
}

fn byte(take: &mut &[u8]) -> Option<u8> {
    let (first, rest) = take.split_first()?;
    *take = rest;
    Some(*first)
}

fn array<const N: usize>(take: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = take.split_first_chunk::<N>()?;
    *take = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_back_and_anything_else_is_refused() {
        for (_, metric) in METRICS {
            for (_, element) in ELEMENTS {
                for (_, codes) in CODES {
                    let Ok(space) = Space::new(metric, element, 100) else {
                        continue;
                    };
                    let options = VectorOptions {
                        codes,
                        index: IndexKind::Usearch,
                        ef: 300,
                        ..VectorOptions::new(space)
                    };
                    assert_eq!(VectorOptions::parse(&options.encode()).unwrap(), options);
                }
            }
        }
        let refused = |packed: &[u8], part: &str| {
            let error = VectorOptions::parse(packed).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(b"\x80", "no metric");
        refused(b"\x81\xa6metric\xa2l2", "no dimension");
        refused(
            b"\x81\xa6metric\xa3foo",
            "metric of a vector store is one of: cosine",
        );
        refused(b"\x81\xa9dimension\x00", "from 1 to 65536");
        refused(b"\x81\xa3abc\x00", "no option 'abc'");
        refused(b"\x93", "no msgpack map");
        refused(b"\x81\xa6metric\xa2l", "no msgpack map");
        let good = VectorOptions::new(Space::new(Metric::L2, Element::F32, 3).unwrap()).encode();
        for cut in 0..good.len() {
            assert!(VectorOptions::parse(&good[..cut]).is_err());
        }
    }
}
