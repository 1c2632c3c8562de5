//! Giving space back: pages at the end of the file move to free places before them, so that the
//! next checkpoint can cut the file.
//!
//! A checkpoint writes changed pages to new places while the old ones are still needed, so a store
//! that is changed all over leaves a file of two or three times its size. While changes go on that room is used
//! again and again; when they stop it is given back. Moving a page is an edit like any other, but for a
//! record: a replay would build its own pages anyway.
//!
//! Invariant
//! K1  A page is moved only by path copying in a group of its own making: snapshots, the last
//!     checkpoint and the log know nothing of it.

use std::sync::atomic::Ordering;

use crossbeam_epoch as epoch;

use super::core::Engine;
use crate::error::{Error, Result};
use crate::page::ChildRef;
use crate::tree::{Reader, get};

/// Paths moved while the sequencer is held.
const PATHS_AT_ONCE: usize = 32;

impl Engine {
    /// After a checkpoint: if one part in `share` of the file is free, moves pages at its end, `bytes_max` of them
    /// at most, and writes another checkpoint, which cuts the file. How many were moved.
    pub(super) fn compact(&self, share: u64, bytes_max: usize) -> Result<usize> {
        let pages_max = bytes_max / self.pager.page_bytes();
        let Some(limit) = self.pager.packed_end(share) else {
            return Ok(0);
        };
        let mut left = pages_max;
        match self.move_far(limit, &mut left) {
            // Nobody asked for the damaged page. Whoever does, or a check, will be told.
            Ok(()) | Err(Error::Corruption { .. }) => {}
            Err(error) => return Err(error),
        }
        let moved = pages_max - left;
        if moved > 0 {
            self.checkpoint()?;
            let counter = &self.counters.moved_pages;
            counter.fetch_add(moved as u64, Ordering::Relaxed);
        }
        Ok(moved)
    }

    fn move_far(&self, limit: u64, left: &mut usize) -> Result<()> {
        let snapshot = self.published.load_full();
        for store in snapshot.stores.iter() {
            let Some(root) = store.root else { continue };
            let mut keys = Vec::new();
            self.find_far(root, limit, left, &mut keys)?;
            for keys in keys.chunks(PATHS_AT_ONCE) {
                self.move_paths(store.info.id, root, keys, limit)?;
            }
        }
        Ok(())
    }

    /// Keys on whose way pages at `limit` or behind it lie: one for each of these, the lower nodes first.
    fn find_far(
        &self,
        root: ChildRef,
        limit: u64,
        left: &mut usize,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        let mut open = vec![(root, Vec::new())];
        while let Some((at, lower)) = open.pop() {
            if *left == 0 {
                return Ok(());
            }
            let guard = epoch::pin();
            let node = self.pager.node(at.page, true, &guard)?;
            if at.page.id >= limit && at.page.span == 1 {
                *left -= 1;
                keys.push(lower);
            }
            if node.level() > 1 {
                open.extend((0..node.count()).map(|index| (node.child(index), node.key(index))));
                continue;
            }
            if node.is_leaf() {
                continue;
            }
            for index in 0..node.count() {
                let page = node.child(index).page;
                if *left > 0 && page.id >= limit && page.span == 1 {
                    *left -= 1;
                    keys.push(node.key(index));
                }
            }
        }
        Ok(())
    }

    fn move_paths(&self, store: u64, root: ChildRef, keys: &[Vec<u8>], limit: u64) -> Result<()> {
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.pager,
            guard: &guard,
            wait: true,
        };
        for key in keys {
            // Read before the sequencer is held.
            get(&reader, Some(root), key)?;
        }
        let mut sequencer = self.sequencer.lock();
        let _whole = self.or_poison("moving pages");
        self.ensure_sound()?;
        let moved = sequencer
            .tip
            .relocate(store, keys, limit, &self.pager, &guard);
        if let Err(error) = moved {
            self.rebuild(sequencer, &guard);
            return Err(error);
        }
        drop(sequencer);
        drop(guard);
        self.drain()
    }
}
