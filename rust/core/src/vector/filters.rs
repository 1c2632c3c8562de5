//! Filters that come again: parsed once for a store, and what they select of a segment kept beside it.
//!
//! Whoever asks names the filter by bytes of its own choice. The names of different filters differ, and say everything
//! that decides what a filter selects.
//!
//! F1 a segment's columns never change, so neither does what a filter selects of them.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use sopasync_payload::{Fields, Filter, Selection, check_fields};

use super::VectorStore;
use super::query::refused;
use super::segment::Sealed;
use crate::error::Result;

/// Filters that a store knows at most; with one more it begins anew.
const KNOWN_MAX: usize = 256;
/// Selections that a segment keeps at most,
const KEPT_MAX: usize = 32;
/// and bytes of them, unless one alone is larger.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// A filter that a store knows by name.
#[derive(Debug)]
pub struct KnownFilter {
    /// What it asks.
    pub filter: Filter,
    /// Never given to another filter of the store while the process lasts.
    id: u64,
}

/// The filters that a store knows.
#[derive(Default)]
pub(super) struct Filters(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_name: FxHashMap<Box<[u8]>, Arc<KnownFilter>>,
    last_id: u64,
}

impl VectorStore {
    /// The filter of that name.
    pub fn known_filter(&self, name: &[u8]) -> Option<Arc<KnownFilter>> {
        self.index.filters.0.lock().by_name.get(name).cloned()
    }

    /// Gives a filter a name, so that what it selects is kept for the next time.
    pub fn know_filter(&self, name: &[u8], filter: Filter) -> Arc<KnownFilter> {
        let mut known = self.index.filters.0.lock();
        known.last_id += 1;
        let filter = Arc::new(KnownFilter {
            filter,
            id: known.last_id,
        });
        known.insert(name, &filter);
        filter
    }

    /// Gives a known filter one more name.
    pub fn name_filter(&self, name: &[u8], filter: &Arc<KnownFilter>) {
        self.index.filters.0.lock().insert(name, filter);
    }
}

impl Known {
    fn insert(&mut self, name: &[u8], filter: &Arc<KnownFilter>) {
        if self.by_name.len() >= KNOWN_MAX {
            self.by_name.clear();
        }
        self.by_name.insert(name.into(), Arc::clone(filter));
    }
}

/// What a filter selects of a segment.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) selection: Selection,
    /// Some payload of the segment has each field that the filter names.
    pub(super) has_fields: bool,
}

/// The selections that a segment keeps, the last one asked for first.
#[derive(Default)]
pub(super) struct Selections(Mutex<Vec<(u64, Arc<Selected>)>>);

impl Selections {
    fn get(&self, id: u64) -> Option<Arc<Selected>> {
        let mut kept = self.0.lock();
        let at = kept.iter().position(|(other, _)| *other == id)?;
        kept[..=at].rotate_right(1);
        Some(Arc::clone(&kept[0].1))
    }

    fn put(&self, id: u64, selected: &Arc<Selected>) {
        let mut kept = self.0.lock();
        kept.insert(0, (id, Arc::clone(selected)));
        kept.truncate(KEPT_MAX);
        let mut bytes = 0;
        let enough = kept.iter().position(|(_, selected)| {
            bytes += bytes_of(&selected.selection);
            bytes > KEPT_BYTES_MAX
        });
        kept.truncate(enough.unwrap_or(KEPT_MAX).max(1));
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let kept = self.0.lock();
        kept.iter()
            .map(|(_, selected)| bytes_of(&selected.selection))
            .sum()
    }
}

fn bytes_of(selection: &Selection) -> usize {
    let list = selection.as_list().map_or(0, <[u32]>::len) * 4;
    list + selection.as_words().map_or(0, <[u64]>::len) * 8
}

impl Sealed {
    /// What the filter selects, kept for the next time if it is known.
    pub(super) fn select(
        &self,
        filter: &Filter,
        known: Option<&KnownFilter>,
    ) -> Result<Arc<Selected>> {
        if let Some(selected) = known.and_then(|known| self.selections.get(known.id)) {
            return Ok(selected);
        }
        let selected = Arc::new(Selected {
            selection: refused(self.columns.select(filter))?,
            has_fields: !self.columns.is_empty() && check_fields(filter, &[&self.columns]).is_ok(),
        });
        if let Some(known) = known {
            self.selections.put(known.id, &selected);
        }
        Ok(selected)
    }

    /// Whether `select` will take no time to speak of.
    pub(super) fn selects_at_once(&self, known: Option<&KnownFilter>) -> bool {
        known.is_some_and(|known| {
            let kept = self.selections.0.lock();
            kept.iter().any(|(id, _)| *id == known.id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(slots: u32) -> Arc<Selected> {
        Arc::new(Selected {
            selection: Selection::all(slots),
            has_fields: true,
        })
    }

    #[test]
    fn the_selections_asked_for_last_are_kept() {
        let kept = Selections::default();
        for id in 0..KEPT_MAX as u64 {
            kept.put(id, &selected(10));
        }
        assert!(kept.get(0).is_some());
        kept.put(100, &selected(10));
        assert!(kept.get(0).is_some() && kept.get(1).is_none() && kept.get(100).is_some());
    }

    #[test]
    fn large_selections_are_few_and_one_is_kept_whatever_its_size() {
        let kept = Selections::default();
        for id in 0..10 {
            kept.put(id, &selected(KEPT_BYTES_MAX as u32 * 8 / 3 - 64));
        }
        assert!(kept.get(9).is_some() && kept.get(7).is_some() && kept.get(6).is_none());
        assert!(kept.memory_bytes() <= KEPT_BYTES_MAX);
        kept.put(11, &selected(KEPT_BYTES_MAX as u32 * 16));
        assert!(kept.get(11).is_some() && kept.get(9).is_none());
    }
}
