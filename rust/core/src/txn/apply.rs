//! Applying a transaction's record to the tip: all of it, or nothing.
//!
//! A record changes the group's pages in place (`Fresh`, T1), so one that fails half-way cannot be taken back by
//! itself. What a user can make fail is therefore found out before anything is changed: a store made otherwise, a load
//! into a store that is not empty, an operation on a value of the wrong kind. What is left are pages that cannot be
//! read; then the group is made again from its earlier records (`Tip::rebuild`).

use crossbeam_epoch::Guard;
use rustc_hash::FxHashMap;

use super::merge::{MergeOp, merge};
use super::record::{EntryOp, LoadedTree, Op, Record};
use super::stamp::stamped;
use super::stores::{Store, StoreInfo, Stores};
use super::tip::Tip;
use crate::error::{Error, Result};
use crate::limits::EXTENT_BYTES_MIN;
use crate::mutants::mutant;
use crate::page::{Cell, CellValue, ChildRef, LargeRef, encode_inline, encode_large};
use crate::pager::Pager;
use crate::tree::{Editor, Finger, TipReader, get};

/// What to put back when the rest of a record cannot be applied.
#[derive(Default)]
struct Undo {
    roots: Vec<(u64, Option<ChildRef>)>,
    catalogue: Option<Stores>,
}

/// The store whose entries are being applied.
struct Open {
    id: u64,
    root: Option<ChildRef>,
}

/// A record that could not be applied.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: Error,
    /// The tip is of no use before it is made again (`Tip::rebuild`); otherwise it is as it was.
    pub(crate) half_way: bool,
}

impl Tip {
    /// Applies a record as commit `seq + 1`.
    pub(crate) fn apply(
        &mut self,
        record: &[u8],
        pager: &Pager,
        guard: &Guard,
    ) -> std::result::Result<(), Refused> {
        let before = self.fresh.changes();
        let mut undo = Undo::default();
        let result = vet(self, record, pager, guard)
            .and_then(|()| self.run(record, &mut undo, pager, guard));
        let Err(error) = result else {
            return Ok(());
        };
        let half_way = self.fresh.changes() != before;
        if !half_way {
            if let Some(stores) = undo.catalogue {
                self.stores = stores;
            }
            for (id, root) in undo.roots.into_iter().rev() {
                if self.stores.get(id).is_some() {
                    self.stores.set_root(id, root);
                }
            }
        }
        Err(Refused { error, half_way })
    }

    /// Makes the group again from `records`, which went well once before. After an error the tip is of no use.
    pub(crate) fn rebuild<'r>(
        &mut self,
        records: impl IntoIterator<Item = &'r [u8]>,
        pager: &Pager,
        guard: &Guard,
    ) -> Result<()> {
        self.begin_again(pager);
        for record in records {
            self.replay(record, pager, guard)?;
            self.seq += 1;
        }
        Ok(())
    }

    /// Applies a record that went well once before: of the log, or of this group. After an error the tip is of no use.
    pub(crate) fn replay(&mut self, record: &[u8], pager: &Pager, guard: &Guard) -> Result<()> {
        self.run(record, &mut Undo::default(), pager, guard)
    }

    fn run(&mut self, record: &[u8], undo: &mut Undo, pager: &Pager, guard: &Guard) -> Result<()> {
        let application = Application {
            tip: self,
            pager,
            guard,
            undo,
            finger: Finger::default(),
        };
        application.run(record)
    }
}

/// Errs where a commutative operation of the record cannot be applied to the value that is there.
fn vet(tip: &Tip, record: &[u8], pager: &Pager, guard: &Guard) -> Result<()> {
    let reader = tip.reader(pager, guard);
    let mut store: Option<&Store> = None;
    // Several operations on one entry follow each other.
    let mut last: Option<(&[u8], Vec<u8>)> = None;
    for op in Record::new(record).map_while(|op| op) {
        match op {
            // Stores made or removed by this record have no entries to look at.
            Op::Store(id) => {
                store = tip.stores.get(id);
                last = None;
            }
            Op::Entry(key, EntryOp::Merge(op, operand)) => {
                let value = match &last {
                    Some((same, value)) if *same == key => merge(op, Some(value), operand),
                    _ => merged(
                        &reader,
                        store.and_then(|store| store.root),
                        key,
                        op,
                        operand,
                    )
                    .map(|(_, value)| value),
                };
                last = Some((key, value.map_err(|error| refused(error, store, key))?));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says of which entry an operation is wrong; a store that this record makes has no name yet.
fn refused(error: Error, store: Option<&Store>, key: &[u8]) -> Error {
    match (error, store) {
        (Error::BadMerge { reason }, Some(store)) => Error::MergeRefused {
            store: store.info.name.clone(),
            key: key.to_vec(),
            reason,
        },
        (error, _) => error,
    }
}

struct Application<'a> {
    tip: &'a mut Tip,
    pager: &'a Pager,
    guard: &'a Guard,
    undo: &'a mut Undo,
    finger: Finger,
}

impl Application<'_> {
    fn run(mut self, record: &[u8]) -> Result<()> {
        let mut joined: FxHashMap<u64, u64> = FxHashMap::default();
        let mut open: Option<Open> = None;
        let mut payload = Vec::new();
        for op in Record::new(record) {
            let op = op.ok_or_else(|| {
                Error::corruption("log", 0, "a transaction record is not well formed")
            })?;
            match op {
                Op::Create(info) => self.create(info, &mut joined)?,
                Op::Remove(id, _) => {
                    self.close(open.take());
                    self.remove(id);
                }
                Op::Store(id) => {
                    self.close(open.take());
                    open = Some(self.open(*joined.get(&id).unwrap_or(&id))?);
                }
                Op::Load(tree) => {
                    self.close(open.take());
                    self.load(&tree, &joined)?;
                }
                Op::Entry(key, op) => {
                    let store = open.as_mut().ok_or_else(|| {
                        Error::corruption("log", 0, "a record's entry belongs to no store")
                    })?;
                    store.root = self.entry(store, key, op, &mut payload)?;
                }
            }
        }
        self.close(open);
        Ok(())
    }

    fn create(&mut self, info: StoreInfo, joined: &mut FxHashMap<u64, u64>) -> Result<()> {
        self.tip.next_store_id = self.tip.next_store_id.max(info.id + 1);
        if let Some(existing) = self.tip.stores.by_name(&info.name) {
            let existing = &existing.info;
            if existing.kind != info.kind || existing.options != info.options {
                return Err(Error::StoreExists { store: info.name });
            }
            // Two transactions created the same store: both write to the one that came first.
            joined.insert(info.id, existing.id);
            return Ok(());
        }
        self.undo
            .catalogue
            .get_or_insert_with(|| self.tip.stores.clone());
        self.tip.stores.insert(info);
        Ok(())
    }

    fn remove(&mut self, id: u64) {
        self.undo
            .catalogue
            .get_or_insert_with(|| self.tip.stores.clone());
        self.tip.stores.remove(id);
    }

    /// Gives an empty store the tree of a bulk load.
    fn load(&mut self, tree: &LoadedTree, joined: &FxHashMap<u64, u64>) -> Result<()> {
        let made_by_another = joined.contains_key(&tree.store);
        let target = self.open(*joined.get(&tree.store).unwrap_or(&tree.store))?;
        let has_indexes = self.tip.stores.get(target.id).is_some_and(|store| {
            let name = &store.info.name;
            !self.tip.stores.indexes_of(name).is_empty()
        });
        if made_by_another || target.root.is_some() || has_indexes {
            let info = &self.tip.stores.get(target.id).expect("just opened").info;
            return Err(Error::Conflict {
                store: info.name.clone(),
                keys: Vec::new(),
                reason: "the store was made, written to or given an index while it was being loaded",
            });
        }
        if tree.root.page.stamp >= self.tip.stamp {
            // A follower that began before the owner's present life numbers its groups lower.
            return Err(self
                .pager
                .mismatch(tree.root.page, "a tree was loaded that is not born yet"));
        }
        for &(id, span) in &tree.runs {
            self.tip.fresh.adopt_run(id, span);
        }
        self.tip.stores.set_root(target.id, Some(tree.root));
        Ok(())
    }

    fn open(&mut self, id: u64) -> Result<Open> {
        let Some(store) = self.tip.stores.get(id) else {
            return Err(Error::StoreNotFound {
                store: format!("number {id}"),
            });
        };
        let root = store.root;
        self.undo.roots.push((id, root));
        Ok(Open { id, root })
    }

    fn close(&mut self, open: Option<Open>) {
        if let Some(open) = open {
            let root = open.root.map(|root| self.editor(open.id).settle(root));
            self.tip.stores.set_root(open.id, root);
        }
    }

    fn editor(&mut self, store: u64) -> Editor<'_> {
        Editor {
            pager: self.pager,
            guard: self.guard,
            fresh: &mut self.tip.fresh,
            finger: &mut self.finger,
            stamp: self.tip.stamp,
            store,
        }
    }

    fn entry(
        &mut self,
        store: &Open,
        key: &[u8],
        op: EntryOp<'_>,
        payload: &mut Vec<u8>,
    ) -> Result<Option<ChildRef>> {
        let inline_max = self.pager.inline_bytes_max();
        let stamp = self.tip.stamp;
        let seq = self.tip.seq + 1;
        let mut editor = self.editor(store.id);
        let (own_key, own_value);
        let (mut key, mut op) = (key, op);
        if let EntryOp::Put { stamp, .. } | EntryOp::PutExtent { stamp, .. } = op
            && !stamp.is_none()
        {
            let seq = if mutant("stamp-one-early") {
                seq - 1
            } else {
                seq
            };
            own_key = stamped(key, stamp.key_at, seq);
            key = &own_key;
            if let EntryOp::Put { value, .. } = &mut op {
                own_value = stamped(value, stamp.value_at, seq);
                *value = &own_value;
            }
        }
        match op {
            EntryOp::Delete => return editor.delete(store.root, key),
            EntryOp::Put { meta, value, .. } if value.len() <= inline_max => {
                encode_inline(payload, meta, value);
            }
            EntryOp::Put { meta, value, .. } => {
                assert!(
                    value.len() < EXTENT_BYTES_MIN,
                    "longer values come as extents"
                );
                let large = editor.add_large(value);
                encode_large(payload, meta, large);
            }
            EntryOp::PutExtent { meta, extent, .. } => {
                let extent = LargeRef { stamp, ..extent };
                editor.fresh.adopt(extent);
                encode_large(payload, meta, extent);
            }
            EntryOp::Meta(meta) => {
                let reader = editor.reader();
                let Some(cell) = get(&reader, store.root, key)? else {
                    return Ok(store.root);
                };
                match cell.value {
                    CellValue::Inline(value) => encode_inline(payload, meta, value),
                    CellValue::Large(large) => encode_large(payload, meta, large),
                }
            }
            EntryOp::Merge(op, operand) => {
                let (meta, value) = merged(&editor.reader(), store.root, key, op, operand)?;
                if value.len() <= inline_max {
                    encode_inline(payload, &meta, &value);
                } else {
                    let large = editor.add_large(&value);
                    encode_large(payload, &meta, large);
                }
            }
        }
        editor.put(store.root, key, payload)
    }
}

fn merged(
    reader: &TipReader<'_>,
    root: Option<ChildRef>,
    key: &[u8],
    op: MergeOp,
    operand: &[u8],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let Some(Cell { meta, value }) = get(reader, root, key)? else {
        return Ok((Vec::new(), merge(op, None, operand)?));
    };
    let value = match value {
        CellValue::Inline(value) => merge(op, Some(value), operand)?,
        CellValue::Large(large) if large.length >= EXTENT_BYTES_MIN as u64 => {
            return Err(Error::BadMerge {
                reason: format!("the stored value has {} bytes", large.length),
            });
        }
        CellValue::Large(large) => {
            let old = match reader.fresh.large(large) {
                Some(old) => old,
                None => reader.pager.large(large, true, reader.guard)?,
            };
            merge(op, Some(&old), operand)?
        }
    };
    Ok((meta.to_vec(), value))
}
