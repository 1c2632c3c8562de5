//! The stores of one moment: their names, options and roots.
//!
//! ```text
//! catalogue := next_id:varint count:varint store* removed:varint root* runs:varint run*
//! store     := id:varint kind:8 name:bytes options:bytes root
//! root      := 0 | 1 ChildRef
//! run       := gap:varint length:varint       pages in use, as distances from the run before
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use super::index::{ENGINE_KIND_MIN, INDEX_KIND, IndexDefinition};
use crate::page::ChildRef;
use crate::wire::{Put, Take};

/// What a store is: fixed when it is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// Number, never used again.
    pub id: u64,
    /// Name, unique among the stores of a moment.
    pub name: String,
    /// Which layer above understands it.
    pub kind: u8,
    /// Opaque to the engine.
    pub options: Vec<u8>,
}

/// A store and the root of its tree.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) info: Arc<StoreInfo>,
    pub(crate) root: Option<ChildRef>,
    /// What its options say, if it is an index that this version can read.
    pub(crate) index: Option<Arc<IndexDefinition>>,
}

/// Which indexes concern which store, by its name.
#[derive(Clone, Debug, Default)]
struct Links {
    /// The indexes of a store.
    own: HashMap<String, Vec<u64>>,
    /// The indexes of other stores, or its own, that refer to it.
    referrers: HashMap<String, Vec<u64>>,
    /// Indexes whose options this version cannot read, and stores of kinds of the engine's own that it does not know.
    unreadable: Vec<u64>,
}

/// All stores of one moment. Cheap to clone: names are shared until one changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    /// Ascending by id.
    list: Vec<Store>,
    names: Arc<HashMap<String, u64>>,
    /// Trees of removed stores whose pages are still to be found and freed.
    removed: Arc<Vec<ChildRef>>,
    /// Counts creations and removals.
    version: u64,
    links: Arc<Links>,
}

impl Stores {
    fn index(&self, id: u64) -> Option<usize> {
        self.list
            .binary_search_by_key(&id, |store| store.info.id)
            .ok()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Store> {
        self.index(id).map(|index| &self.list[index])
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Store> {
        self.get(*self.names.get(name)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Store> {
        self.list.iter()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn removed(&self) -> &[ChildRef] {
        &self.removed
    }

    /// Changes a root; the one before.
    pub(super) fn set_root(&mut self, id: u64, root: Option<ChildRef>) -> Option<ChildRef> {
        let index = self.index(id).expect("the store was looked up before");
        std::mem::replace(&mut self.list[index].root, root)
    }

    /// The indexes of the store of that name, by their numbers.
    pub(crate) fn indexes_of(&self, name: &str) -> &[u64] {
        self.links.own.get(name).map_or(&[], Vec::as_slice)
    }

    /// The indexes that refer to the store of that name, by their numbers.
    pub(crate) fn referrers_of(&self, name: &str) -> &[u64] {
        self.links.referrers.get(name).map_or(&[], Vec::as_slice)
    }

    /// An index that this version cannot read: nothing may be written to the store it belongs to, whichever that is.
    pub(crate) fn unreadable_index(&self) -> Option<u64> {
        self.links.unreadable.first().copied()
    }

    pub(super) fn insert(&mut self, info: StoreInfo) {
        let place = self.list.partition_point(|store| store.info.id < info.id);
        Arc::make_mut(&mut self.names).insert(info.name.clone(), info.id);
        let index = self.link(&info).map(Arc::new);
        self.list.insert(
            place,
            Store {
                info: Arc::new(info),
                root: None,
                index,
            },
        );
        self.version += 1;
    }

    fn link(&mut self, info: &StoreInfo) -> Option<IndexDefinition> {
        if info.kind < ENGINE_KIND_MIN {
            return None;
        }
        let links = Arc::make_mut(&mut self.links);
        // What a kind of a newer version is to keep cannot be kept here.
        let known = info.kind == INDEX_KIND;
        let index = known.then(|| IndexDefinition::decode(&info.options));
        let Some(index) = index.flatten() else {
            links.unreadable.push(info.id);
            return None;
        };
        links
            .own
            .entry(index.store.clone())
            .or_default()
            .push(info.id);
        if let Some(reference) = &index.reference {
            let referrers = links.referrers.entry(reference.store.clone());
            referrers.or_default().push(info.id);
        }
        Some(index)
    }

    fn unlink(&mut self, id: u64) {
        let links = Arc::make_mut(&mut self.links);
        links.unreadable.retain(|other| *other != id);
        for map in [&mut links.own, &mut links.referrers] {
            map.retain(|_, ids| {
                ids.retain(|other| *other != id);
                !ids.is_empty()
            });
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        let Some(index) = self.index(id) else { return };
        let store = self.list.remove(index);
        if store.info.kind >= ENGINE_KIND_MIN {
            self.unlink(id);
        }
        Arc::make_mut(&mut self.names).remove(&store.info.name);
        if let Some(root) = store.root {
            Arc::make_mut(&mut self.removed).push(root);
        }
        self.version += 1;
    }

    /// Forgets a removed tree whose pages have been freed.
    pub(crate) fn forget_removed(&mut self, root: ChildRef) {
        Arc::make_mut(&mut self.removed).retain(|other| *other != root);
    }

    /// The catalogue a checkpoint writes.
    pub(crate) fn encode(&self, next_id: u64, runs: &[(u64, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(next_id);
        out.put_varint(self.list.len() as u64);
        for Store { info, root, .. } in &self.list {
            out.put_varint(info.id);
            out.push(info.kind);
            out.put_bytes(info.name.as_bytes());
            out.put_bytes(&info.options);
            match root {
                None => out.push(0),
                Some(root) => {
                    out.push(1);
                    out.extend_from_slice(&root.encode());
                }
            }
        }
        out.put_varint(self.removed.len() as u64);
        for root in &*self.removed {
            out.extend_from_slice(&root.encode());
        }
        out.put_varint(runs.len() as u64);
        let mut end = 0;
        for (start, span) in runs {
            out.put_varint(start - end);
            out.put_varint(*span);
            end = start + span;
        }
        out
    }

    /// Reads a catalogue: stores, next id, runs in use. `None` when it makes no sense.
    #[expect(
        clippy::type_complexity,
        reason = "its one caller takes it apart at once"
    )]
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u64, Vec<(u64, u64)>)> {
        let mut take = Take::new(bytes);
        let root = |take: &mut Take<'_>| take.raw(ChildRef::BYTES).map(ChildRef::decode);
        let mut stores = Self::default();
        let next_id = take.varint()?;
        for _ in 0..take.varint()? {
            let id = take.varint()?;
            let kind = take.byte()?;
            let name = String::from_utf8(take.bytes()?.to_vec()).ok()?;
            let options = take.bytes()?.to_vec();
            stores.insert(StoreInfo {
                id,
                name,
                kind,
                options,
            });
            if take.byte()? == 1 {
                stores.set_root(id, Some(root(&mut take)?));
            }
        }
        let mut removed = Vec::new();
        for _ in 0..take.varint()? {
            removed.push(root(&mut take)?);
        }
        stores.removed = Arc::new(removed);
        let mut runs = Vec::new();
        let mut end = 0u64;
        for _ in 0..take.varint()? {
            let start = end.checked_add(take.varint()?)?;
            let span = take.varint()?;
            end = start.checked_add(span)?;
            runs.push((start, span));
        }
        take.is_empty().then_some((stores, next_id, runs))
    }
}
