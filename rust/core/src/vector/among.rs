//! The nearest among given keys: every vector that one of them has is measured, without the index.

use rustc_hash::FxHashSet;
use sopasync_payload::{Fields, check_fields};

use super::exact::{PIECE_BYTES, Rows};
use super::hits::{Holders, VectorHits};
use super::own::Own;
use super::query::VectorQuery;
use super::rows::{PROVISIONAL, VECTOR, key_row, number_of_value, numbered_row};
use super::{VectorStore, pull};
use crate::engine::{Access, Transaction};
use crate::error::Result;

/// More keys than this are not looked up by a call that may not wait.
const INLINE_KEYS_MAX: usize = 256;

impl VectorStore {
    /// `find` over the vectors of these keys alone, exactly; keys without one are passed over. The commit depends on these
    /// keys, and on no others.
    pub fn find_among<'k>(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        keys: impl ExactSizeIterator<Item = &'k [u8]>,
        access: Access,
    ) -> Result<VectorHits> {
        if !access.may_wait && keys.len() > INLINE_KEYS_MAX {
            return Err(crate::error::Error::WouldBlock);
        }
        let mut search = self.begin_search(tx, query)?;
        let space = self.index.space();
        let none = FxHashSet::default();
        let mut seen = FxHashSet::default();
        let mut rows = Rows::default();
        for key in keys {
            if !seen.insert(key) {
                continue;
            }
            self.check_key(key)?;
            let number = tx.visit(self.id, &key_row(key), access, |_, value| {
                number_of_value(value)
            })?;
            let Some(number) = number.transpose()? else {
                continue;
            };
            let row = numbered_row(VECTOR, number);
            let aside = pull::aside(access.may_wait);
            tx.visit(self.id, &row, aside, |meta, value| {
                rows.add(&row, meta, value, space, &none)
            })?
            .transpose()?;
            if rows.bytes() >= PIECE_BYTES {
                let piece = std::mem::take(&mut rows);
                self.search_piece(&mut search, &piece, (PROVISIONAL, &[]))?;
            }
        }
        self.search_piece(&mut search, &rows, (PROVISIONAL, &[]))?;
        if let Some(filter) = query.asked_filter()
            && (search.met.is_empty() || check_fields(filter, &[&search.met]).is_err())
        {
            self.check_filter(tx, filter, access.may_wait)?;
        }
        let own = Own::default();
        let holders = Holders::new(None, &own);
        self.hits(tx, search, &holders, access.may_wait)
    }
}
