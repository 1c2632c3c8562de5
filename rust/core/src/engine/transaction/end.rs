//! Committing and rolling back: what a transaction hands to the sequencer.

use std::sync::Arc;

use super::{CommitTicket, Transaction};
use crate::engine::committer::Submission;
use crate::engine::options::Isolation;
use crate::engine::part::Part;
use crate::engine::sequencer::{Commit, CommitInfo, Done, Waiter};
use crate::error::Result;
use crate::page::LargeRef;
use crate::txn::{Claims, INDEX_KIND, NewValue, RecordWriter, StoreClaims, Write};

impl Transaction {
    /// Commits, and returns when the commit is durable.
    pub fn commit(mut self) -> Result<CommitInfo> {
        let Some(commit) = self.take_commit()? else {
            return Ok(self.nothing_written());
        };
        let engine = Arc::clone(&self.engine);
        drop(self);
        engine.throttle();
        let info = engine.sequence(commit, None).result?;
        engine.wait_durable(info.stamp)?;
        Ok(info)
    }

    /// Hands the transaction to the committer and returns at once; `done` is called with the
    /// outcome. An error here means that nothing was handed over, and `done` is not called.
    pub fn submit(self, done: Done) -> Result<CommitTicket> {
        Self::submit_all(vec![(self, done)])
            .pop()
            .expect("one answer per transaction")
    }

    /// Hands transactions over together, so that those of one database share a group: the committer
    /// would otherwise wake up for the first and sync it alone. One answer each, as of `submit`.
    pub fn submit_all(batch: Vec<(Self, Done)>) -> Vec<Result<CommitTicket>> {
        let Some((first, _)) = batch.first() else {
            return Vec::new();
        };
        let mut engine = Arc::clone(&first.engine);
        let mut submissions = Vec::with_capacity(batch.len());
        let answers = batch
            .into_iter()
            .map(|(mut transaction, done)| {
                if !Arc::ptr_eq(&engine, &transaction.engine) {
                    let earlier = std::mem::replace(&mut engine, Arc::clone(&transaction.engine));
                    earlier.submit(std::mem::take(&mut submissions));
                }
                let ticket = CommitTicket::new();
                let Some(commit) = transaction.take_commit()? else {
                    ticket.take();
                    done(Ok(transaction.nothing_written()));
                    return Ok(ticket);
                };
                submissions.push(Submission {
                    commit,
                    ticket: ticket.clone(),
                    done: Waiter::new(done, ticket.clone()),
                });
                Ok(ticket)
            })
            .collect();
        engine.submit(submissions);
        answers
    }

    /// Takes everything back. The same as dropping it.
    pub fn rollback(self) {
        drop(self);
    }

    fn nothing_written(&self) -> CommitInfo {
        CommitInfo {
            seq: self.snapshot.seq,
            stamp: self.snapshot.stamp,
        }
    }

    fn take_commit(&mut self) -> Result<Option<Commit>> {
        self.engine.ensure_open()?;
        if !self.has_writes() {
            return Ok(None);
        }
        self.prepare()?;
        let mut record = RecordWriter::default();
        let kept = |part: &&Part| !part.removed;
        for part in self
            .parts
            .iter()
            .filter(|part| part.removed && !part.created)
        {
            // A creation that was rolled back looks the same but never was at the snapshot.
            if self.snapshot.stores.get(part.info.id).is_some() {
                record.remove(&part.info);
            }
        }
        for part in self.parts.iter().filter(kept).filter(|part| part.created) {
            record.create(&part.info);
        }
        for part in self
            .parts
            .iter()
            .filter(kept)
            .filter(|part| !part.writes.is_empty())
        {
            record.store(part.info.id);
            part.writes.record(&mut record);
        }
        let record = record.finish();
        if record.is_empty() {
            return Ok(None);
        }
        Ok(Some(Commit {
            snapshot: Arc::clone(&self.snapshot),
            isolation: self.options.isolation,
            extents: self.used_extents(),
            record,
            claims: self.claims(),
        }))
    }

    /// The extents the record names; the others are given back.
    fn used_extents(&mut self) -> Vec<LargeRef> {
        let written = std::mem::take(&mut self.extents);
        if written.is_empty() {
            return written;
        }
        let mut used = Vec::new();
        for part in self.parts.iter().filter(|part| !part.removed) {
            for (_, write) in part.writes.keys() {
                if let Write::Put {
                    value: NewValue::Extent(extent),
                    ..
                } = write
                {
                    used.push(*extent);
                }
            }
        }
        let unused: Vec<LargeRef> = written
            .into_iter()
            .filter(|extent| !used.contains(extent))
            .collect();
        self.engine.release_extents(&unused);
        used
    }

    fn claims(&mut self) -> Claims {
        let first_wins = self.options.isolation == Isolation::Snapshot;
        let mut claims = Claims {
            stores: Vec::new(),
            names: std::mem::take(&mut self.names),
            catalogue: self.catalogue && self.options.isolation == Isolation::Serializable,
            indexed: self.indexed_stores(),
        };
        let mut made = self.indexes_made();
        for part in std::mem::take(&mut self.parts) {
            let never_was =
                part.removed && (part.created || self.snapshot.stores.get(part.info.id).is_none());
            if never_was {
                continue;
            }
            let written = if first_wins && !part.removed {
                part.writes
                    .keys()
                    .filter(|(_, write)| match write {
                        Write::Edit { meta, .. } => meta.is_some(),
                        // Unique to this commit (T2).
                        Write::Put { stamp, .. } => stamp.key_at.is_none(),
                        Write::Delete => true,
                    })
                    .map(|(key, _)| key.into())
                    .collect()
            } else {
                Vec::new()
            };
            if part.writes.is_empty() && part.reads.is_empty() && !part.removed && !part.created {
                continue;
            }
            let changed = part.removed || part.created || !part.writes.is_empty();
            claims.stores.push(StoreClaims {
                changed: changed && part.info.kind != INDEX_KIND,
                indexes_made: made.remove(&part.info.name).unwrap_or_default(),
                id: part.info.id,
                name: part.info.name.clone(),
                created: part.created,
                removed: part.removed,
                reads: part.reads,
                written,
            });
        }
        claims
    }
}
