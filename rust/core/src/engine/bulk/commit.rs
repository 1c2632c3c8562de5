//! Making a finished tree the store's: durable pages first, then one record.

use std::sync::Arc;

use super::loader::BulkLoader;
use crate::engine::options::Isolation;
use crate::engine::sequencer::{Commit, CommitInfo};
use crate::error::Result;
use crate::mutants::mutant;
use crate::page::ChildRef;
use crate::txn::{Claims, LoadedTree, ReadSet, RecordWriter, StoreClaims};

impl BulkLoader {
    pub(super) fn commit_tree(mut self, root: Option<ChildRef>) -> Result<CommitInfo> {
        let runs = self.pages.finish()?;
        let engine = Arc::clone(&self.engine);
        let mut record = RecordWriter::default();
        if self.creates {
            record.create(&self.info);
        }
        if let Some(root) = root {
            record.load(&LoadedTree {
                store: self.info.id,
                root,
                runs,
            });
        }
        let record = record.finish();
        let snapshot = engine.published.load_full();
        if record.is_empty() {
            let (seq, stamp) = (snapshot.seq, snapshot.stamp);
            return Ok(CommitInfo { seq, stamp });
        }
        // A checkpoint must not sync at the same time: one of two syncs may swallow the error of
        // the other.
        let mut checkpoints = engine.checkpoint.lock();
        engine.ensure_open()?;
        engine.ensure_sound()?;
        if root.is_some() && !mutant("bulk-skip-sync") {
            // Pages of a checkpoint may be lost with ours: nothing may build on either.
            engine
                .pager
                .sync()
                .inspect_err(|error| engine.poison(error))?;
        }
        self.wait_for_later_group()?;
        let hold = engine.pager.live.pin(self.pages.stamp());
        let commit = Commit {
            snapshot,
            isolation: Isolation::Serializable,
            claims: self.claims(),
            record,
            extents: Vec::new(),
        };
        let info = engine.sequence(commit, None).result?;
        // Whatever comes of the log: the tip has the tree now.
        self.pages.hand_over();
        if root.is_some() && !mutant("bulk-skip-hold") {
            checkpoints.loads.push((info.stamp, hold));
        }
        drop(checkpoints);
        engine.wait_durable(info.stamp)?;
        Ok(info)
    }

    /// The load's stamp may lie above the group being formed (L2): then that group goes first.
    fn wait_for_later_group(&self) -> Result<()> {
        loop {
            let forming = self.engine.sequencer.lock().tip.stamp;
            if forming > self.pages.stamp() {
                return Ok(());
            }
            self.engine.wait_durable(forming)?;
        }
    }

    /// The store must be there still; that it is empty is looked at when the record is applied.
    fn claims(&self) -> Claims {
        let store = StoreClaims {
            id: self.info.id,
            name: self.info.name.clone(),
            created: self.creates,
            removed: false,
            reads: ReadSet::default(),
            written: Vec::new(),
            changed: true,
            indexes_made: Vec::new(),
        };
        Claims {
            stores: vec![store],
            ..Claims::default()
        }
    }
}
