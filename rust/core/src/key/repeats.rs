//! Keys that come more than once.

use rustc_hash::FxHashSet;

/// Tells which keys of a list came before. Remembers nothing when they ascend.
#[derive(Debug)]
pub struct Repeats<'k> {
    seen: Option<FxHashSet<&'k [u8]>>,
}

impl<'k> Repeats<'k> {
    /// Of these keys, in this order.
    pub fn of(keys: impl Iterator<Item = &'k [u8]> + Clone) -> Self {
        let ascend = keys.clone().is_sorted_by(|key, next| key < next);
        Self {
            seen: (!ascend).then(FxHashSet::default),
        }
    }

    /// Has the key been asked for already? To be asked once for each, in order.
    pub fn again(&mut self, key: &'k [u8]) -> bool {
        self.seen.as_mut().is_some_and(|seen| !seen.insert(key))
    }
}
