//! Maintenance: combining deltas, folding them into the merged index, dropping what is dead, in steps of bounded work. Each
//! step is one ordinary transaction, after which every search finds what it found before.
//!
//! Invariants
//! 1. A fold takes all deltas up to a commit number that it keeps to, and goes through their words in order; which words are done stands
//!    in the manifest (see there).
//! 2. A fold gives the documents of these deltas the slots they have in every `View` since the fold began.
//! 3. Documents that came and went within the deltas of one fold leave no posting.

use super::failure::{Failure, Result};
use super::keys::{DeltaId, TERM};
use super::manifest::{Kind, Manifest, Pass};
use super::merge::{Placed, Words, combine, find, placed};
use super::rows::RowsMut;
use super::view::{Cache, delta_ids, read_deltas};
use super::{dead, documents, fill, fold};
use crate::mutants::mutant;

/// Above every word: a compaction has gone through all of them.
const ALL_WORDS: &[u8] = &[0xff; 2];

/// When maintenance begins what, and how much it does at a time.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Documents and deletions in deltas from which on they are folded; at least a 32nd of the documents.
    pub fold_documents: u64,
    /// So many deltas are combined into fewer.
    pub deltas_max: usize,
    /// Dead postings from which on, if they are a fifth of all, they are dropped.
    pub compact_postings: u64,
    /// Work of one step, roughly in bytes read and written.
    pub step_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fold_documents: 2048,
            deltas_max: 16,
            compact_postings: 4096,
            step_bytes: 1 << 20,
        }
    }
}

/// What a step has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do.
    Idle,
    /// Something was done; there may be more.
    Again,
}

/// What an index is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fields of a document.
    pub fields: usize,
    /// Whether it is to keep which words a document has, because nobody keeps its text.
    pub keeps_words: bool,
}

struct Work<'r> {
    rows: &'r dyn RowsMut,
    cache: &'r Cache,
    shape: Shape,
    policy: Policy,
    manifest: Manifest,
    ids: Vec<DeltaId>,
}

/// Does one step on these rows, which are written only if the answer is [`Step::Again`].
pub fn step(rows: &dyn RowsMut, cache: &Cache, shape: Shape, policy: &Policy) -> Result<Step> {
    let manifest = Manifest::read(rows, shape.fields)?;
    let mut work = Work {
        ids: delta_ids(rows)?,
        rows,
        cache,
        shape,
        policy: *policy,
        manifest,
    };
    let step = work.choose()?;
    if step == Step::Again {
        work.manifest.version += 1;
        work.manifest.write(rows)?;
    }
    Ok(step)
}

/// Makes what was written as deltas so far an index whose manifest has this version.
pub fn found(rows: &dyn RowsMut, fields: usize, version: u64, fingerprint: u64) -> Result<()> {
    let manifest = Manifest {
        version,
        fingerprint,
        lengths: vec![0; fields],
        ..Manifest::default()
    };
    manifest.write(rows)
}

impl Work<'_> {
    fn choose(&mut self) -> Result<Step> {
        match self.manifest.pass.take() {
            Some(pass) if pass.kind == Kind::Fold => return self.fold(pass),
            Some(pass) => return self.compact(pass),
            None => {}
        }
        let policy = self.policy;
        let filled = self.manifest.slots;
        let begin = |kind, upto, filled| Pass {
            kind,
            upto,
            added: 0,
            dropped: 0,
            negative: 0,
            filled,
            next: Vec::new(),
        };
        if let Some(last) = self.ids.last().copied() {
            let deltas = placed(
                read_deltas(self.rows, self.cache, &self.ids)?,
                self.manifest.slots,
            )?;
            let size =
                |placed: &Placed| u64::from(placed.delta.count) + placed.delta.removed.len() as u64;
            let sizes: Vec<u64> = deltas.iter().map(size).collect();
            if sizes.iter().sum::<u64>() >= policy.fold_documents.max(self.manifest.documents / 32)
            {
                return self.fold(begin(Kind::Fold, last.seq, filled));
            }
            if deltas.len() >= policy.deltas_max.max(2) {
                return self.combine(&deltas[combinable(&sizes)..]);
            }
        }
        let (dead, all) = (self.manifest.dead, self.manifest.postings);
        if dead >= policy.compact_postings && dead * 5 > all {
            return self.compact(begin(Kind::Compact, 0, 0));
        }
        Ok(Step::Idle)
    }

    fn combine(&mut self, deltas: &[Placed]) -> Result<Step> {
        let row = combine(deltas)?;
        let last = deltas.last().map_or(0, |placed| placed.id.seq);
        for placed in deltas {
            self.rows.delete(&placed.id.key())?;
        }
        let id = DeltaId {
            seq: last,
            combined: self.manifest.version + 1,
        };
        self.rows.put(&id.key(), &row)?;
        Ok(Step::Again)
    }

    fn fold(&mut self, mut pass: Pass) -> Result<Step> {
        let count = self.ids.partition_point(|id| id.seq <= pass.upto);
        let deltas = read_deltas(self.rows, self.cache, &self.ids[..count])?;
        let deltas = placed(deltas, self.manifest.slots)?;
        self.cache.hold(&deltas);
        let mut gone = self.gone(&deltas)?;
        let is_gone: rustc_hash::FxHashSet<u32> = gone
            .iter()
            .copied()
            .filter(|slot| *slot >= self.manifest.slots)
            .collect();
        let end = deltas.last().map_or(Ok(pass.filled), Placed::end)?;
        let mut work = 0;
        while pass.filled < end {
            let (filled, written) =
                fill::fill(self.rows, self.shape, &deltas, &is_gone, pass.filled)?;
            pass.filled = filled;
            work += written;
            if work >= self.policy.step_bytes {
                self.manifest.pass = Some(pass);
                return Ok(Step::Again);
            }
        }
        let mut words = Words::from(&deltas, &pass.next)?;
        let mut writer = fold::Writer {
            rows: self.rows,
            work,
        };
        let mut change = fold::Change::default();
        while let Some(word) = words.peek()? {
            if writer.work >= self.policy.step_bytes {
                pass.next = word.to_vec();
                self.manifest.pass = Some(pass);
                return Ok(Step::Again);
            }
            (change.added, change.removed) = (0, 0);
            change.postings.clear();
            let any = word[0] == super::pending::ANY;
            words.take(word, &mut |placed, entry| {
                change.added += entry.added;
                change.removed += entry.removed;
                if any {
                    return Ok(());
                }
                placed
                    .delta
                    .postings(&entry, placed.base, &mut change.postings)
            })?;
            if !any {
                let dropped = change.postings.retain(|slot| !is_gone.contains(&slot))?;
                pass.added += change.postings.len() as u64;
                pass.dropped += dropped as u64;
                pass.negative += u64::from(change.removed);
            }
            writer.apply(word, &change)?;
        }
        self.finish_fold(&pass, &deltas, &mut gone)?;
        self.cache.hold(&[]);
        Ok(Step::Again)
    }

    /// The slots of the documents that these deltas took away.
    fn gone(&self, deltas: &[Placed]) -> Result<Vec<u32>> {
        let mut gone = Vec::new();
        for document in deltas.iter().flat_map(|placed| &placed.delta.removed) {
            let slot = match document.seq > self.manifest.merged {
                true => find(deltas, *document),
                false => Some(documents::slot_of(self.rows, *document)?),
            };
            gone.push(slot.ok_or(Failure::Malformed("a deleted document is not in its delta"))?);
        }
        Ok(gone)
    }

    fn finish_fold(&mut self, pass: &Pass, deltas: &[Placed], gone: &mut [u32]) -> Result<()> {
        let wrong = Failure::Malformed("more was deleted from the index than was in it");
        let runs: Vec<_> = deltas
            .iter()
            .flat_map(|placed| placed.delta.runs.iter().copied())
            .collect();
        documents::append(self.rows, self.manifest.slots, &runs)?;
        if !gone.is_empty() && !mutant("text-forget-dead") {
            dead::bury(self.rows, gone)?;
            self.manifest.buried += 1;
        }
        for placed in deltas {
            self.rows.delete(&placed.id.key())?;
            let again = mutant("text-reuse-slot") && placed.delta.count > 0;
            self.manifest.slots = placed.end()? - u32::from(again);
            self.manifest.documents += u64::from(placed.delta.count);
            for (length, (added, removed)) in
                self.manifest.lengths.iter_mut().zip(&placed.delta.sums)
            {
                *length = (*length + added)
                    .checked_sub(*removed)
                    .ok_or(wrong.clone())?;
            }
        }
        let documents = self.manifest.documents.checked_sub(gone.len() as u64);
        self.manifest.documents = documents.ok_or(wrong.clone())?;
        self.manifest.postings += pass.added;
        // What deletions say of postings that came and went within this fold was never in the index.
        let dead = (self.manifest.dead + pass.negative).checked_sub(pass.dropped);
        self.manifest.dead = dead.ok_or(wrong)?;
        self.manifest.merged = pass.upto;
        if let Some(first) = deltas.first() {
            self.manifest.fingerprint = first.delta.fingerprint;
        }
        Ok(())
    }

    fn compact(&mut self, mut pass: Pass) -> Result<Step> {
        let dead = match self.cache.dead(&self.manifest) {
            Some(dead) => dead,
            None => std::sync::Arc::new(dead::Dead::read(self.rows)?),
        };
        let mut writer = fold::Writer {
            rows: self.rows,
            work: 0,
        };
        while writer.work < self.policy.step_bytes && pass.next != ALL_WORDS {
            let mut keys = Vec::new();
            let low = super::keys::with(TERM, &pass.next);
            self.rows
                .scan_keys(&low, &[TERM + 1], 64, false, &mut |key| {
                    keys.push(key[1..].to_vec())
                })?;
            for word in &keys {
                if word[0] != super::pending::ANY {
                    pass.dropped += writer.compact(word, &dead)?;
                }
            }
            pass.next = keys.pop().map_or(ALL_WORDS.to_vec(), |mut last| {
                last.push(0);
                last
            });
        }
        let slots = self.manifest.slots;
        while writer.work < self.policy.step_bytes && pass.filled < slots {
            let (filled, work) = fill::strip(self.rows, self.shape, &dead, pass.filled, slots)?;
            writer.work += 64 + work;
            pass.filled = filled;
        }
        if pass.next != ALL_WORDS || pass.filled < slots {
            self.manifest.pass = Some(pass);
            return Ok(Step::Again);
        }
        let wrong = Failure::Malformed("more postings were dropped than were dead");
        let left = |there: u64| there.checked_sub(pass.dropped).ok_or(wrong.clone());
        self.manifest.dead = left(self.manifest.dead)?;
        self.manifest.postings = left(self.manifest.postings)?;
        Ok(Step::Again)
    }
}

/// Where the deltas to combine begin: the newest ones, and older ones as long as they are not much larger than all
/// behind them, so that a document is written again a few times only, however small the commits are.
fn combinable(sizes: &[u64]) -> usize {
    let mut at = sizes
        .len()
        .saturating_sub(sizes.len() / 2)
        .min(sizes.len() - 2);
    let mut sum: u64 = sizes[at..].iter().sum();
    while at > 0 && sizes[at - 1] <= sum.saturating_mul(2) {
        at -= 1;
        sum += sizes[at];
    }
    at
}
