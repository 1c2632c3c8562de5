//! The indexes that concern a store, as a transaction sees them: its own, and those that refer to it.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Transaction;
use crate::error::{Error, Result};
use crate::txn::{INDEX_KIND, IndexDefinition, StoreInfo};

/// An index and the store that holds its entries.
#[derive(Clone, Debug)]
pub struct Link {
    /// Number of the index's own store.
    pub id: u64,
    /// What it is.
    pub definition: Arc<IndexDefinition>,
}

/// What has to be kept when entries of a store change.
#[derive(Debug, Default)]
pub struct Links {
    /// Its indexes.
    pub indexes: Vec<Link>,
    /// Indexes, of other stores or its own, that refer to it.
    pub referrers: Vec<Link>,
}

/// A newer version made it, and nothing that it keeps may change without it.
fn unreadable(info: &StoreInfo) -> Error {
    let name = info.name.escape_default();
    if info.kind == INDEX_KIND {
        return Error::UnsupportedFormat {
            file: format!("index {name}"),
            found: info.options.first().copied().map_or(0, u32::from),
            supported: 1,
        };
    }
    Error::UnsupportedFormat {
        file: format!("the kind of store {name}"),
        found: u32::from(info.kind),
        supported: u32::from(INDEX_KIND),
    }
}

impl Transaction {
    /// The indexes that concern a store; `None` when there are none.
    #[inline]
    pub fn links(&mut self, store: u64) -> Result<Option<Arc<Links>>> {
        let place = self.part(store)?;
        if let Some(links) = &self.parts[place].links {
            return Ok(links.clone());
        }
        self.find_links(place)
    }

    #[cold]
    fn find_links(&mut self, place: usize) -> Result<Option<Arc<Links>>> {
        let stores = &self.snapshot.stores;
        if let Some(id) = stores.unreadable_index() {
            return Err(unreadable(&stores.get(id).expect("it is among them").info));
        }
        let part = &self.parts[place];
        let name = part.info.name.clone();
        let mut links = Links::default();
        // A store made here has none but those made here, even if one of its name was there before.
        let own = if part.created {
            &[]
        } else {
            stores.indexes_of(&name)
        };
        links.indexes.extend(self.seen_links(own));
        links
            .referrers
            .extend(self.seen_links(stores.referrers_of(&name)));
        for (id, definition) in self.made_links() {
            let link = Link { id, definition };
            let refers = |definition: &IndexDefinition| {
                definition.reference.as_ref().map(|to| &to.store) == Some(&name)
            };
            if refers(&link.definition) {
                links.referrers.push(link.clone());
            }
            if link.definition.store == name {
                links.indexes.push(link);
            }
        }
        let none = links.indexes.is_empty() && links.referrers.is_empty();
        let links = (!none).then(|| Arc::new(links));
        self.parts[place].links = Some(links.clone());
        Ok(links)
    }

    fn is_removed(&self, id: u64) -> bool {
        let place = self.index.get(&id);
        place.is_some_and(|place| self.parts[*place].removed)
    }

    fn seen_links(&self, ids: &[u64]) -> Vec<Link> {
        let there = ids.iter().filter(|id| !self.is_removed(**id));
        there
            .filter_map(|id| {
                let index = self.snapshot.stores.get(*id)?.index.as_ref()?;
                Some(Link {
                    id: *id,
                    definition: Arc::clone(index),
                })
            })
            .collect()
    }

    fn made_links(&self) -> impl Iterator<Item = (u64, Arc<IndexDefinition>)> {
        let made = self
            .parts
            .iter()
            .filter(|part| part.created && !part.removed && part.info.kind == INDEX_KIND);
        made.filter_map(|part| {
            let definition = IndexDefinition::decode(&part.info.options)?;
            Some((part.info.id, Arc::new(definition)))
        })
    }

    /// The store of that name, without the commit depending on it.
    pub fn known_store(&self, name: &str) -> Option<StoreInfo> {
        let mut made = self.parts.iter().rev();
        let made = made.find(|part| part.created && !part.removed && part.info.name == name);
        if let Some(part) = made {
            return Some((*part.info).clone());
        }
        let found = &self.snapshot.stores.by_name(name)?.info;
        (!self.is_removed(found.id)).then(|| (**found).clone())
    }

    /// Was the store made by this transaction?
    pub fn has_made(&self, store: u64) -> bool {
        let place = self.index.get(&store);
        place.is_some_and(|place| self.parts[*place].created)
    }

    /// The indexes that go with a store. Refused while other stores refer to it.
    pub(super) fn indexes_to_remove(&mut self, store: u64) -> Result<Vec<u64>> {
        let place = self.part(store)?;
        let info = Arc::clone(&self.parts[place].info);
        if info.kind == INDEX_KIND {
            return Ok(Vec::new());
        }
        let Some(links) = self.links(store)? else {
            return Ok(Vec::new());
        };
        let mut others = links.referrers.iter().map(|link| &link.definition.store);
        if let Some(other) = others.find(|other| **other != info.name) {
            return Err(Error::invalid(format!(
                "store '{}' is not removed: items of store '{other}' refer to it. Remove that store, or the relation, first",
                info.name
            )));
        }
        Ok(links.indexes.iter().map(|link| link.id).collect())
    }

    /// Which stores have which indexes may have changed.
    pub(super) fn forget_links(&mut self) {
        for part in &mut self.parts {
            part.links = None;
        }
    }

    /// The stores there were, for which this transaction makes indexes or to which these refer.
    pub(super) fn indexed_stores(&self) -> Vec<(u64, String)> {
        let names: FxHashSet<String> = self
            .made_links()
            .flat_map(|(_, definition)| {
                let target = definition.reference.as_ref().map(|to| to.store.clone());
                [Some(definition.store.clone()), target]
            })
            .flatten()
            .collect();
        let stores = &self.snapshot.stores;
        let made = |name: &String| {
            let mut parts = self.parts.iter();
            parts.any(|part| part.created && !part.removed && part.info.name == *name)
        };
        names
            .into_iter()
            .filter(|name| !made(name))
            .filter_map(|name| Some((stores.by_name(&name)?.info.id, name)))
            .collect()
    }

    /// Catalogue names and options of the indexes it makes, by the names of their stores.
    pub(super) fn indexes_made(&self) -> HashMap<String, Vec<(String, Vec<u8>)>> {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for part in &self.parts {
            if !part.created || part.removed || part.info.kind != INDEX_KIND {
                continue;
            }
            if let Some(definition) = IndexDefinition::decode(&part.info.options) {
                let made = (part.info.name.clone(), part.info.options.clone());
                found.entry(definition.store).or_default().push(made);
            }
        }
        found
    }
}
