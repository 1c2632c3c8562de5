//! By which rules a text store makes terms of texts, and in which rows its index stands: for changing the rules while the store is in use.
//!
//! ```text
//! 11  -> rules   := version  generation  state:u8 (1 closing, 2 clearing, added)  current:bytes  wanted:bytes
//! 12  -> rebuild := generation  fingerprint:u64 (little-endian)  slot  step  seq          how far the next generation is; see `rebuild`
//! ```
//! Without the row 11 the rules are those the store was made with, and its generation is 0. `current` and `wanted` are options of a
//! text store, as in the catalogue; no bytes for the catalogue's own, and for none wanted.
//!
//! The rows of an odd generation have 80 added to their family, so the next index grows beside the one that answers.
//!
//! Invariants
//! R1  What a transaction adds or removes is indexed by the rules of its snapshot: it claims row 11, so that its commit fails when these
//!     are other rules by then.
//! R2  `version` rises with every change of the row: equal rows are one state.

use std::sync::Arc;

use sopasync_text::Schema;
use sopasync_text::index::{Cache, Shape};
use sopasync_text::score::Parameters;

use super::index::malformed;
use super::store::aside;
use crate::engine::Transaction;
use crate::error::{Error, Result};
use crate::wire::{Put, Take};

pub(super) const RULES: [u8; 1] = [0x11];
pub(super) const REBUILD: [u8; 1] = [0x12];

const CLOSING: u8 = 1;
const CLEARING: u8 = 2;

/// The row 11.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RulesRow {
    pub(super) version: u64,
    pub(super) generation: u64,
    /// The next generation is about to take over: nobody begins to write.
    pub(super) closing: bool,
    /// Rows of the other generation are to go.
    pub(super) clearing: bool,
    pub(super) current: Vec<u8>,
    pub(super) wanted: Vec<u8>,
}

impl RulesRow {
    pub(super) fn read(tx: &mut Transaction, store: u64, may_wait: bool) -> Result<Self> {
        let row = tx.visit(store, &RULES, aside(may_wait), |_, value| {
            Self::decode(value)
        })?;
        row.unwrap_or_else(|| Ok(Self::default()))
    }

    /// Writes it as a new version.
    pub(super) fn write(mut self, tx: &mut Transaction, store: u64) -> Result<()> {
        self.version += 1;
        tx.put(store, &RULES, &[], &self.encode(), true)
    }

    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(self.current.len() + self.wanted.len() + 16);
        row.put_varint(self.version);
        row.put_varint(self.generation);
        row.push(u8::from(self.closing) * CLOSING + u8::from(self.clearing) * CLEARING);
        row.put_bytes(&self.current);
        row.put_bytes(&self.wanted);
        row
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self> {
        let mut take = Take::new(row);
        let mut read = || {
            let (version, generation, state) = (take.varint()?, take.varint()?, take.byte()?);
            let (current, wanted) = (take.bytes()?.to_vec(), take.bytes()?.to_vec());
            Some(Self {
                version,
                generation,
                closing: state & CLOSING != 0,
                clearing: state & CLEARING != 0,
                current,
                wanted,
            })
        };
        let rules = read().filter(|_| take.is_empty());
        rules.ok_or_else(|| malformed("the rules of a text store are not well formed"))
    }
}

/// Rules ready for use.
pub(super) struct Rules {
    /// The row they stand in; empty when there is none.
    pub(super) row: Vec<u8>,
    pub(super) generation: u64,
    pub(super) closing: bool,
    pub(super) schema: Arc<Schema>,
    pub(super) parameters: Parameters,
    pub(super) fingerprint: u64,
    /// Views of this generation.
    pub(super) cache: Arc<Cache>,
}

impl Rules {
    pub(super) fn new(row: &RulesRow, options: &[u8], cache: Arc<Cache>) -> Result<Self> {
        let schema =
            Schema::from_options(options).map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self {
            row: Vec::new(),
            generation: row.generation,
            closing: row.closing,
            parameters: Parameters {
                k1: schema.k1,
                b: schema.b,
                boosts: schema.fields.iter().map(|field| field.boost).collect(),
            },
            fingerprint: schema.fingerprint(),
            schema: Arc::new(schema),
            cache,
        })
    }

    pub(super) fn fields(&self) -> usize {
        self.schema.fields.len()
    }

    pub(super) fn shape(&self) -> Shape {
        Shape {
            fields: self.fields(),
            keeps_words: !self.schema.stored,
        }
    }
}

/// What is added to the families of a generation's rows.
pub(super) fn family_bit(generation: u64) -> u8 {
    (generation % 2) as u8 * 0x80
}
