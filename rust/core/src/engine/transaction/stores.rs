//! The stores a transaction sees, makes and removes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Access, Change, Transaction};
use crate::engine::part::Part;
use crate::error::{Error, Result};
use crate::limits::STORE_NAME_BYTES_MAX;
use crate::txn::{INDEX_KIND, StoreInfo};

impl Transaction {
    /// The stores it sees, in order of creation; indexes are told by `links`.
    pub fn stores(&mut self) -> Vec<StoreInfo> {
        self.catalogue = true;
        let seen = self.snapshot.stores.iter().map(|store| &store.info);
        let made = self
            .parts
            .iter()
            .filter(|part| part.created)
            .map(|part| &part.info);
        let removed = |id| {
            self.index
                .get(&id)
                .is_some_and(|part| self.parts[*part].removed)
        };
        seen.chain(made)
            .filter(|info| !removed(info.id) && info.kind != INDEX_KIND)
            .map(|info| (**info).clone())
            .collect()
    }

    /// The store of that name.
    pub fn find_store(&mut self, name: &str) -> Option<StoreInfo> {
        let own = self
            .parts
            .iter()
            .rev()
            .find(|part| part.created && part.info.name == name);
        if let Some(part) = own
            && !part.removed
        {
            return Some((*part.info).clone());
        }
        let found = self
            .snapshot
            .stores
            .by_name(name)
            .map(|store| Arc::clone(&store.info));
        if self.tracks(Access::default()) {
            self.names
                .push((name.to_owned(), found.as_ref().map(|info| info.id)));
        }
        let found = found?;
        let removed = self
            .index
            .get(&found.id)
            .is_some_and(|part| self.parts[*part].removed);
        (!removed).then(|| (*found).clone())
    }

    /// Makes a store. When another transaction commits the same store first (same name, kind and
    /// options), this one writes to that.
    pub fn create_store(&mut self, name: &str, kind: u8, options: &[u8]) -> Result<StoreInfo> {
        self.ensure_writable()?;
        if name.is_empty() || name.len() > STORE_NAME_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a store's name has 1 to {STORE_NAME_BYTES_MAX} bytes; this one has {}",
                name.len()
            )));
        }
        let names_before = self.names.len();
        let found = self.find_store(name);
        // Creation does not depend on what it saw: it joins or conflicts by name at commit.
        self.names.truncate(names_before);
        if found.is_some() {
            return Err(Error::StoreExists {
                store: name.to_owned(),
            });
        }
        let info = Arc::new(StoreInfo {
            id: self.engine.next_store_id.fetch_add(1, Ordering::AcqRel),
            name: name.to_owned(),
            kind,
            options: options.to_vec(),
        });
        let place = self.parts.len();
        self.parts.push(Part::new(Arc::clone(&info), None, true));
        self.index.insert(info.id, place);
        self.note(Change::Created(place));
        self.forget_links();
        Ok((*info).clone())
    }

    /// Removes a store with everything in it, and its indexes.
    pub fn remove_store(&mut self, id: u64) -> Result<()> {
        self.ensure_writable()?;
        for index in self.indexes_to_remove(id)? {
            self.remove_part(index)?;
        }
        self.remove_part(id)?;
        Ok(())
    }

    fn remove_part(&mut self, id: u64) -> Result<()> {
        let place = self.part(id)?;
        self.parts[place].removed = true;
        self.note(Change::Removed(place));
        self.forget_links();
        Ok(())
    }
}
