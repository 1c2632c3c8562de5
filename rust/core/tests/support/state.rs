//! The model: what a database holds at one commit, as plain ordered maps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// An entry: the part that rides along, and the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    pub meta: Arc<[u8]>,
    pub value: Arc<[u8]>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.value[..self.value.len().min(12)];
        write!(
            f,
            "meta {} bytes, value {} bytes {start:?}..",
            self.meta.len(),
            self.value.len()
        )
    }
}

pub type Contents = BTreeMap<Vec<u8>, Item>;

/// All stores of one moment by name, each with its kind. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub stores: BTreeMap<String, (u8, Arc<Contents>)>,
}

impl State {
    pub fn contents(&self, store: &str) -> &Contents {
        &self.stores[store].1
    }

    pub fn contents_mut(&mut self, store: &str) -> &mut Contents {
        let (_, contents) = self.stores.get_mut(store).expect("the model has the store");
        Arc::make_mut(contents)
    }

    pub fn put(&mut self, store: &str, key: &[u8], meta: &[u8], value: &[u8]) {
        let item = Item {
            meta: meta.into(),
            value: value.into(),
        };
        self.contents_mut(store).insert(key.to_vec(), item);
    }

    /// What differs, in words; nothing when equal.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let names = |state: &Self| state.stores.keys().cloned().collect::<Vec<_>>();
        if names(self) != names(other) {
            return Some(format!(
                "stores {:?} against {:?}",
                names(self),
                names(other)
            ));
        }
        for (name, (kind, contents)) in &self.stores {
            let (other_kind, other_contents) = &other.stores[name];
            if kind != other_kind {
                return Some(format!("store {name} has kind {kind} against {other_kind}"));
            }
            if Arc::ptr_eq(contents, other_contents) || contents == other_contents {
                continue;
            }
            let keys = contents.keys().chain(other_contents.keys());
            for key in keys {
                let (left, right) = (contents.get(key), other_contents.get(key));
                if left != right {
                    return Some(format!(
                        "store {name}, key {}: {left:?} against {right:?}",
                        short(key)
                    ));
                }
            }
        }
        None
    }
}

/// A key for a message.
pub fn short(key: &[u8]) -> String {
    let start = String::from_utf8_lossy(&key[..key.len().min(24)]).into_owned();
    format!("{start:?} ({} bytes)", key.len())
}

/// The entries of a range; ranges that end before they begin are empty, as in the engine.
pub fn range<'a>(
    contents: &'a Contents,
    low: Bound<&[u8]>,
    high: Bound<&[u8]>,
) -> Vec<(&'a Vec<u8>, &'a Item)> {
    use Bound::{Excluded, Included};
    let empty = match (low, high) {
        (Included(a), Included(b)) => a > b,
        (Included(a) | Excluded(a), Included(b) | Excluded(b)) => a >= b,
        _ => false,
    };
    if empty {
        return Vec::new();
    }
    contents.range::<[u8], _>((low, high)).collect()
}
