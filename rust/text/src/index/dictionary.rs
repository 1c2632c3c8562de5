//! `Dictionary`: the words of the merged index in memory, in order, for queries that look at many: those for near spellings.
//!
//! It is made when it is asked for a second time at one version of the manifest, and by a search that may take its time, so that
//! neither an index that is being folded nor a query that must be short pays for what is used once. Beyond `BYTES_MAX` it is not made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::failure::{Failure, Result};
use super::keys::TERM;
use super::pending::ANY;
use super::rows::Rows;

/// A dictionary takes at most so many bytes: a million words.
const BYTES_MAX: usize = 16 << 20;

/// Words in order, each a field's number and a term.
#[derive(Debug, Default)]
pub(crate) struct WordList {
    bytes: Vec<u8>,
    ends: Vec<u32>,
    /// Bytes that each has in common with the one before, whole characters, at most 255.
    shared: Vec<u8>,
}

/// Bytes of `shared` that are looked at at once.
const STRIDE: usize = 32;

/// See the module. One for each version of the manifest.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    asked: AtomicBool,
    words: Mutex<Option<Option<Arc<WordList>>>>,
}

impl Dictionary {
    /// The words, if they are at hand, or to be made now. A query that must be short and would be the one to make them is `Costly`.
    pub(crate) fn words(
        &self,
        rows: &dyn Rows,
        may_take_long: bool,
    ) -> Result<Option<Arc<WordList>>> {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = &*words {
            return Ok(words.clone());
        }
        if !self.asked.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        if !may_take_long {
            return Err(Failure::Costly);
        }
        let made = WordList::read(rows)?.map(Arc::new);
        *words = Some(made.clone());
        Ok(made)
    }
}

impl WordList {
    pub(crate) fn read(rows: &dyn Rows) -> Result<Option<Self>> {
        let mut words = Self::default();
        let high = [TERM, ANY];
        rows.scan_keys(&[TERM], &high, usize::MAX, false, &mut |key| {
            if words.bytes.len() <= BYTES_MAX {
                words.push(&key[1..]);
            }
        })?;
        Ok((words.bytes.len() <= BYTES_MAX).then_some(words))
    }

    fn push(&mut self, word: &[u8]) {
        let before = self.ends.len().checked_sub(1).and_then(|at| self.get(at));
        let before = before.unwrap_or_default();
        let mut shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
        shared = shared.min(u8::MAX.into());
        // Not a part of a character.
        while shared > 0 && word.get(shared).is_some_and(|byte| byte & 0xc0 == 0x80) {
            shared -= 1;
        }
        self.shared.push(shared as u8);
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Bytes that the word at `at` has in common with the one before, at least.
    pub(crate) fn shared(&self, at: usize) -> usize {
        self.shared.get(at).copied().unwrap_or(0).into()
    }

    /// The first word behind `at` that does not begin with the first `length` bytes of the word there, or one before it.
    pub(crate) fn behind(&self, at: usize, length: usize) -> usize {
        let mut next = at + 1;
        let Ok(length) = u8::try_from(length) else {
            return next;
        };
        for stride in self.shared[next.min(self.shared.len())..].chunks(STRIDE) {
            let least = stride
                .iter()
                .fold(u8::MAX, |least, shared| least.min(*shared));
            if least < length {
                let inside = stride.iter().position(|shared| *shared < length);
                return next + inside.unwrap_or(0);
            }
            next += stride.len();
        }
        next
    }

    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)? as usize;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[begin as usize..end])
    }

    /// The first word at or above `word`, from one on that is not above it.
    pub(crate) fn seek(&self, from: usize, word: &[u8]) -> usize {
        let below = |at: usize| self.get(at).is_some_and(|other| other < word);
        let (mut low, mut step) = (from, 1);
        while below(low + step) {
            low += step;
            step *= 2;
        }
        let (mut low, mut high) = (low, (low + step).min(self.ends.len()));
        while low < high {
            let middle = low.midpoint(high);
            if below(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
