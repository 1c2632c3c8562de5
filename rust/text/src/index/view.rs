//! `View`: the index as one snapshot has it, with what an open transaction did on top.
//!
//! Every document has a *slot*: those of the merged index the ones it gave them, those of the deltas the ones behind, in order of
//! commits, and own ones the last. So slots have the order of documents, whatever maintenance has done.
//!
//! Invariants
//! 1. `documents` and `lengths` count exactly the documents the snapshot shows, own ones included, own deletions not.
//! 2. A slot is dead when its document is deleted at this snapshot.

use std::sync::{Arc, Mutex, PoisonError};

use super::dead::Dead;
use super::delta::Delta;
use super::dictionary::Dictionary;
use super::documents::{document_at, slot_of};
use super::failure::{Failure, Result};
use super::forward::{self, Words};
use super::keys::{DELTA, DeltaId, DocumentId};
use super::manifest::{Kind, Manifest};
use super::merge::{OWN, Placed, find, placed};
use super::names;
use super::rows::Rows;
use crate::mutants::mutant;

/// Views that are kept; deltas are shared between them.
const VIEWS_MAX: usize = 3;
/// A view with more bytes of deltas is kept only while it is the newest. That one always is: to read its deltas again for every search, or
/// for every step of their fold, would take longer than these.
const VIEW_BYTES_MAX: usize = 48 << 20;

const NO_DOCUMENT: Failure = Failure::Malformed("a posting is of no document");

/// See the module.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) deltas: Vec<Placed>,
    dead: Option<Arc<Dead>>,
    pub(crate) dictionary: Arc<Dictionary>,
    pub(crate) documents: u64,
    pub(crate) lengths: Vec<u64>,
    /// The first slot behind all documents.
    pub(crate) end: u32,
    /// Its terms were made by several rules: until it is made anew, deletions may not match what they delete.
    pub(crate) mixed: bool,
}

/// What a process keeps of an index between searches: the newest views, and with them the deltas and dead slots.
#[derive(Debug)]
pub struct Cache {
    /// A view with more bytes of deltas is kept only while it is the newest.
    bytes_max: usize,
    views: Mutex<Vec<Arc<View>>>,
    /// Deltas that are being folded, step by step.
    folding: Mutex<Vec<(DeltaId, Arc<Delta>)>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self::with_bytes_max(VIEW_BYTES_MAX)
    }
}

impl View {
    /// The index of these rows, which has so many fields.
    pub fn open(
        rows: &dyn Rows,
        cache: &Cache,
        fields: usize,
        own: &[Arc<Delta>],
    ) -> Result<Arc<Self>> {
        let manifest = Manifest::read(rows, fields)?;
        let ids = delta_ids(rows)?;
        let base = match cache.find(manifest.version, &ids) {
            Some(view) => view,
            None => {
                let view = Arc::new(Self::read(rows, cache, manifest, &ids)?);
                cache.keep(&view);
                view
            }
        };
        if own.is_empty() {
            return Ok(base);
        }
        let mut view = (*base).clone();
        let own = own.iter().map(|delta| (OWN, Arc::clone(delta)));
        view.take_in(rows, placed(own.collect(), base.end)?)?;
        Ok(Arc::new(view))
    }

    fn read(rows: &dyn Rows, cache: &Cache, manifest: Manifest, ids: &[DeltaId]) -> Result<Self> {
        let deltas = read_deltas(rows, cache, ids)?;
        let slots = manifest.slots;
        let mut view = Self {
            documents: manifest.documents,
            lengths: manifest.lengths.clone(),
            end: slots,
            dead: cache.dead(&manifest),
            dictionary: cache.dictionary(manifest.version),
            deltas: Vec::new(),
            mixed: false,
            manifest: Arc::new(manifest),
        };
        if view.dead.is_none() && view.manifest.buried > 0 {
            view.dead = Some(Arc::new(Dead::read(rows)?));
        }
        view.take_in(rows, placed(deltas, slots)?)?;
        Ok(view)
    }

    fn take_in(&mut self, rows: &dyn Rows, deltas: Vec<Placed>) -> Result<()> {
        let wrong = Failure::Malformed("more was deleted from the index than was in it");
        let mut gone = Vec::new();
        for placed in deltas {
            self.end = placed.end()?;
            let delta = &placed.delta;
            self.mixed |= self
                .fingerprint()
                .is_some_and(|rules| rules != delta.fingerprint);
            if delta.fields() != self.lengths.len() {
                return Err(Failure::Malformed(
                    "a delta has another number of fields than the store",
                ));
            }
            gone.extend_from_slice(&delta.removed);
            let documents = self.documents + u64::from(delta.count);
            self.documents = documents
                .checked_sub(delta.removed.len() as u64)
                .ok_or(wrong.clone())?;
            for (length, (added, removed)) in self.lengths.iter_mut().zip(&delta.sums) {
                let sum = length.checked_add(*added).ok_or(wrong.clone())?;
                let removed = if mutant("text-keep-lengths") {
                    0
                } else {
                    *removed
                };
                *length = less(sum, removed, self.mixed)?;
            }
            self.deltas.push(placed);
        }
        if !gone.is_empty() {
            let mut dead = self
                .dead
                .take()
                .map_or_else(Dead::default, |dead| (*dead).clone());
            for document in gone {
                if !dead.add(self.slot(rows, document)?) {
                    return Err(Failure::Malformed("a document was deleted twice"));
                }
            }
            self.dead = Some(Arc::new(dead));
        }
        Ok(())
    }

    fn fingerprint(&self) -> Option<u64> {
        let first = self.deltas.first().map(|placed| placed.delta.fingerprint);
        if self.manifest.slots > 0 {
            Some(self.manifest.fingerprint)
        } else {
            first
        }
    }

    /// The slot of a document that is, or was, in the index.
    pub(crate) fn slot(&self, rows: &dyn Rows, document: DocumentId) -> Result<u32> {
        let missing = Failure::Malformed("a deleted document is not in its delta");
        if document.seq <= self.manifest.merged {
            return slot_of(rows, document);
        }
        find(&self.deltas, document).ok_or(missing)
    }

    /// The document in a slot.
    pub fn document(&self, rows: &dyn Rows, slot: u32) -> Result<DocumentId> {
        if slot < self.manifest.slots {
            return document_at(rows, slot);
        }
        let (placed, place) = self.placed(slot)?;
        placed.delta.document(place).ok_or(NO_DOCUMENT)
    }

    /// Puts the name of the document in a slot into `name`.
    pub fn name(&self, rows: &dyn Rows, slot: u32, name: &mut Vec<u8>) -> Result<()> {
        if slot < self.manifest.slots {
            return names::name_at(rows, slot, name);
        }
        let (placed, place) = self.placed(slot)?;
        let found = placed.delta.names.get(place as usize);
        name.clear();
        name.extend_from_slice(found.ok_or(NO_DOCUMENT)?);
        Ok(())
    }

    /// The words of a document, and how long it is: of a committed one, in an index that keeps them.
    pub fn words(&self, rows: &dyn Rows, document: DocumentId) -> Result<Words> {
        let (slot, fields) = (self.slot(rows, document)?, self.lengths.len());
        if slot < self.manifest.slots {
            return forward::words_at(rows, slot, fields);
        }
        let (placed, place) = self.placed(slot)?;
        let known = placed.delta.known(place)?;
        Ok(Words {
            lengths: known.lengths.to_vec(),
            words: known.words.iter().map(|word| word.1.to_vec()).collect(),
        })
    }

    fn placed(&self, slot: u32) -> Result<(&Placed, u32)> {
        let at = self.deltas.partition_point(|placed| placed.base <= slot);
        let placed = at.checked_sub(1).and_then(|at| self.deltas.get(at));
        let placed = placed.ok_or(NO_DOCUMENT)?;
        Ok((placed, slot - placed.base))
    }

    /// The first slot behind all documents.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// Documents that its deltas take away.
    pub fn removed(&self) -> impl Iterator<Item = DocumentId> + '_ {
        let removed = self.deltas.iter().map(|placed| &placed.delta.removed);
        removed.flatten().copied()
    }

    /// Whether its deltas have a document and do not take it away again.
    pub fn has(&self, document: DocumentId) -> bool {
        find(&self.deltas, document).is_some_and(|slot| !self.is_dead(slot))
    }

    /// Whether the document in a slot is deleted.
    #[inline]
    pub fn is_dead(&self, slot: u32) -> bool {
        if mutant("text-ignore-deletions") {
            return false;
        }
        self.dead.as_ref().is_some_and(|dead| dead.contains(slot))
    }

    /// Documents it shows.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Documents and deletions that stand in deltas, and the number of deltas.
    pub fn unmerged(&self) -> (u64, usize) {
        let sum =
            |placed: &Placed| u64::from(placed.delta.count) + placed.delta.removed.len() as u64;
        (self.deltas.iter().map(sum).sum(), self.deltas.len())
    }

    /// The deltas that have something to say about `word`: those a fold has not come to yet.
    pub(crate) fn deltas_of(&self, word: &[u8]) -> &[Placed] {
        match &self.manifest.pass {
            Some(pass)
                if pass.kind == Kind::Fold
                    && !mutant("text-count-twice")
                    && word < pass.next.as_slice() =>
            {
                let folded = self
                    .deltas
                    .partition_point(|placed| placed.id.seq <= pass.upto);
                &self.deltas[folded..]
            }
            _ => &self.deltas,
        }
    }

    /// Whether terms in it were made by other rules than those of `fingerprint`: then it has to be made anew.
    pub fn is_stale(&self, fingerprint: u64) -> bool {
        let merged = self.manifest.slots > 0 && self.manifest.fingerprint != fingerprint;
        merged
            || self
                .deltas
                .iter()
                .any(|placed| placed.delta.fingerprint != fingerprint)
    }

    fn bytes(&self) -> usize {
        self.deltas.iter().map(|placed| placed.delta.bytes()).sum()
    }
}

/// What is left when `removed` goes; in an index of several rules it may be more than there is.
pub(crate) fn less(there: u64, removed: u64, mixed: bool) -> Result<u64> {
    if mixed {
        return Ok(there.saturating_sub(removed));
    }
    let wrong = Failure::Malformed("more was deleted from the index than was in it");
    there.checked_sub(removed).ok_or(wrong)
}

/// The deltas there are, oldest first; not the one of the transaction itself, which has no number yet.
pub(crate) fn delta_ids(rows: &dyn Rows) -> Result<Vec<DeltaId>> {
    let mut ids = Ok(Vec::new());
    let high = super::keys::delta_key(DocumentId::OWN);
    rows.scan_keys(&[DELTA], &high, usize::MAX, false, &mut |key| {
        if let Ok(list) = &mut ids {
            match DeltaId::of(key) {
                Ok(id) => list.push(id),
                Err(error) => ids = Err(error),
            }
        }
    })?;
    ids
}

pub(crate) fn read_deltas(
    rows: &dyn Rows,
    cache: &Cache,
    ids: &[DeltaId],
) -> Result<Vec<(DeltaId, Arc<Delta>)>> {
    let read = |id: &DeltaId| {
        if let Some(delta) = cache.delta(*id) {
            return Ok((*id, delta));
        }
        let row = rows.copy(&id.key())?;
        let row = row.ok_or(Failure::Malformed("a delta has a key and no row"))?;
        Ok((*id, Arc::new(Delta::open(row, id.seq)?)))
    };
    ids.iter().map(read).collect()
}

impl Cache {
    /// One that finds views of fewer bytes large, for tests.
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            views: Mutex::default(),
            folding: Mutex::default(),
        }
    }

    fn views(&self) -> std::sync::MutexGuard<'_, Vec<Arc<View>>> {
        // A panic elsewhere leaves whole views: each is pushed in one step.
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, version: u64, ids: &[DeltaId]) -> Option<Arc<View>> {
        let mut views = self.views();
        let at = views.iter().position(|view| {
            view.manifest.version == version && view.deltas.iter().map(|placed| &placed.id).eq(ids)
        })?;
        views[..=at].rotate_right(1);
        Some(Arc::clone(&views[0]))
    }

    fn keep(&self, view: &Arc<View>) {
        let mut views = self.views();
        views.retain(|older| older.bytes() <= self.bytes_max);
        views.insert(0, Arc::clone(view));
        views.truncate(VIEWS_MAX);
    }

    pub(crate) fn delta(&self, id: DeltaId) -> Option<Arc<Delta>> {
        let views = self.views();
        let mut deltas = views.iter().flat_map(|view| &view.deltas);
        let found = deltas.find(|placed| placed.id == id);
        if let Some(placed) = found {
            return Some(Arc::clone(&placed.delta));
        }
        let folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        let found = folding.iter().find(|delta| delta.0 == id);
        found.map(|(_, delta)| Arc::clone(delta))
    }

    /// Keeps the deltas of a fold for its next step; none when it is over.
    pub(crate) fn hold(&self, deltas: &[Placed]) {
        let mut folding = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        folding.clear();
        let delta = |placed: &Placed| (placed.id, Arc::clone(&placed.delta));
        folding.extend(deltas.iter().map(delta));
    }

    /// The dictionary of a version of the manifest.
    fn dictionary(&self, version: u64) -> Arc<Dictionary> {
        let views = self.views();
        let same = views.iter().find(|view| view.manifest.version == version);
        same.map_or_else(Arc::default, |view| Arc::clone(&view.dictionary))
    }

    /// The dead slots of the merged index, when a view without deletions of its own has them.
    pub(crate) fn dead(&self, manifest: &Manifest) -> Option<Arc<Dead>> {
        let views = self.views();
        let same = |view: &&Arc<View>| {
            view.manifest.buried == manifest.buried
                && view
                    .deltas
                    .iter()
                    .all(|placed| placed.delta.removed.is_empty())
        };
        views.iter().find(same).and_then(|view| view.dead.clone())
    }
}
