//! A bulk load as its users hold it: what is added goes where its order allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::file::Owned;
use super::merge::{Merged, Source, merge};
use super::sort::SortBuffer;
use super::spill::{SpillReader, SpillWriter, Spilled};
use crate::engine::core::Engine;
use crate::engine::sequencer::CommitInfo;
use crate::engine::transaction::Transaction;
use crate::error::{Error, Result};
use crate::limits::{STORE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use crate::page::{Cell, ChildRef, encode_inline, encode_large};
use crate::tree::{BulkPages, Runs, TreeBuilder, TreeReader};
use crate::txn::StoreInfo;

/// Sorted files of one size before they are merged into one.
const FILES_PER_HEIGHT: usize = 32;
/// Bytes read at a time from one of the files being merged.
const BLOCK_BYTES: (usize, usize) = (16 << 10, 1 << 20);

/// What is loaded.
#[derive(Clone, Copy, Debug)]
pub enum BulkTarget<'a> {
    /// The empty store of this number.
    Store(u64),
    /// A store that the load makes; nobody sees it before the load is committed.
    New {
        /// Its name.
        name: &'a str,
        /// Which layer above understands it.
        kind: u8,
        /// Opaque to the engine.
        options: &'a [u8],
    },
}

/// What a second entry of one key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The entry added last holds.
    LastWins,
    /// The load fails.
    Refuse,
}

/// How a load works.
#[derive(Clone, Copy, Debug)]
pub struct BulkOptions {
    /// Memory for entries that do not come in ascending order; past it they go to temporary files.
    pub memory_bytes: usize,
    /// How full pages are made.
    pub fill_percent: usize,
    /// What a second entry of one key means.
    pub duplicates: Duplicates,
}

impl Default for BulkOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 48 << 20,
            fill_percent: 95,
            duplicates: Duplicates::LastWins,
        }
    }
}

impl BulkOptions {
    fn check(&self) -> Result<()> {
        if !(50..=100).contains(&self.fill_percent) {
            return Err(Error::invalid(format!(
                "fill_percent is {}; give a number from 50 to 100",
                self.fill_percent
            )));
        }
        if self.memory_bytes < 64 << 10 {
            return Err(Error::invalid(format!(
                "memory_bytes is {}; a bulk load needs at least 65536",
                self.memory_bytes
            )));
        }
        Ok(())
    }
}

/// A bulk load being filled. Dropping it takes everything back.
pub struct BulkLoader {
    pub(super) engine: Arc<Engine>,
    pub(super) info: StoreInfo,
    /// The load makes the store.
    pub(super) creates: bool,
    pub(super) pages: BulkPages<Owned>,
    options: BulkOptions,
    order: Order,
    rows: u64,
    payload: Vec<u8>,
    failed: Option<Error>,
}

/// How entries have come so far.
enum Order {
    Ascending(TreeBuilder),
    Mixed(Mixed),
    Spent,
}

/// Entries that came in no order.
#[derive(Default)]
struct Mixed {
    /// The ascending ones before the first that was not, in pages, and the pages of that tree.
    before: Option<(ChildRef, Runs)>,
    /// Oldest first, heights never rising.
    files: Vec<Spilled>,
    made: u64,
    buffer: SortBuffer,
}

impl BulkLoader {
    pub(in crate::engine) fn new(
        engine: Arc<Engine>,
        target: BulkTarget<'_>,
        options: BulkOptions,
    ) -> Result<Self> {
        if engine.options.read_only {
            return Err(Error::ReadOnly {
                what: "the database",
            });
        }
        engine.ensure_sound()?;
        options.check()?;
        let (info, creates) = find_target(&engine, target)?;
        let stamp = {
            let mut sequencer = engine.sequencer.lock();
            let idle = sequencer.open.is_empty() && sequencer.tip.fresh.is_unchanged();
            sequencer.tip.draw_stamp(idle)
        };
        let pages = BulkPages::new(Owned(Arc::clone(&engine)), stamp);
        let builder = TreeBuilder::new(info.id, pages.page_bytes(), options.fill_percent);
        Ok(Self {
            engine,
            info,
            creates,
            pages,
            options,
            order: Order::Ascending(builder),
            rows: 0,
            payload: Vec::new(),
            failed: None,
        })
    }

    /// The store being loaded.
    pub fn store(&self) -> &StoreInfo {
        &self.info
    }

    /// Entries added so far, replaced ones counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds an entry. Blocks for file work when a stretch of pages or the memory for sorting is
    /// full. An argument that is refused changes nothing; after any other error the load is over.
    pub fn add(&mut self, key: &[u8], meta: &[u8], value: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        Transaction::check_key(key)?;
        Transaction::check_meta(meta)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLarge {
                length: value.len(),
                limit: VALUE_BYTES_MAX,
            });
        }
        self.try_add(key, meta, value)
            .inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn try_add(&mut self, key: &[u8], meta: &[u8], value: &[u8]) -> Result<()> {
        let mut payload = std::mem::take(&mut self.payload);
        if value.len() <= self.engine.pager.inline_bytes_max() {
            encode_inline(&mut payload, meta, value);
        } else {
            encode_large(&mut payload, meta, self.pages.add_value(value)?);
        }
        let added = self.place(key, &payload);
        self.payload = payload;
        self.rows += 1;
        added
    }

    #[inline]
    fn place(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        if let Order::Ascending(builder) = &mut self.order {
            match builder
                .last_key()
                .map_or(std::cmp::Ordering::Greater, |last| key.cmp(last))
            {
                std::cmp::Ordering::Greater => return builder.push(&mut self.pages, key, payload),
                std::cmp::Ordering::Equal => return self.replace_last(payload),
                std::cmp::Ordering::Less => self.order = Order::Mixed(self.begin_sorting()?),
            }
        }
        let Order::Mixed(mixed) = &mut self.order else {
            unreachable!("a load that is over takes nothing")
        };
        mixed.buffer.push(key, payload);
        if mixed.buffer.size() >= self.options.memory_bytes {
            self.spill()?;
        }
        Ok(())
    }

    fn replace_last(&mut self, payload: &[u8]) -> Result<()> {
        let Order::Ascending(builder) = &mut self.order else {
            unreachable!("only ascending input has a last entry at hand")
        };
        let last = builder.last_key().unwrap_or_default();
        replaced(
            &mut self.pages,
            self.options.duplicates,
            &self.info.name,
            last,
            builder.last_payload().unwrap_or_default(),
        )?;
        builder.replace_last(payload);
        Ok(())
    }

    /// What came so far, when the next entry is not above it.
    fn begin_sorting(&mut self) -> Result<Mixed> {
        let Order::Ascending(builder) = std::mem::replace(&mut self.order, Order::Spent) else {
            unreachable!("it was ascending so far")
        };
        let mut mixed = Mixed::default();
        if let Some(rows) = builder.gathered() {
            rows.for_each(|(key, payload)| mixed.buffer.push(key, payload));
            return Ok(mixed);
        }
        let root = builder.finish(&mut self.pages)?;
        self.pages.flush()?;
        let nodes = self.pages.take_nodes();
        mixed.before = root.map(|root| (root, nodes));
        Ok(mixed)
    }

    /// Writes what is in memory to a file, and merges files while there are too many.
    fn spill(&mut self) -> Result<()> {
        let Order::Mixed(mut mixed) = std::mem::replace(&mut self.order, Order::Spent) else {
            return Ok(());
        };
        let mut buffer = std::mem::take(&mut mixed.buffer);
        buffer.sort();
        let mut memory = Source::memory(buffer);
        self.write_file(&mut mixed, std::slice::from_mut(&mut memory), 0)?;
        if let Source::Memory(mut buffer, _) = memory {
            // The next entries reuse its memory.
            buffer.clear();
            mixed.buffer = buffer;
        }
        while let Some(height) = full_height(&mixed.files) {
            let first = mixed.files.len() - FILES_PER_HEIGHT;
            let block = self.block_bytes(FILES_PER_HEIGHT, mixed.buffer.size());
            let mut sources: Vec<Source> = mixed
                .files
                .drain(first..)
                .map(|file| Source::Spilled(SpillReader::open(file, block)))
                .collect();
            self.write_file(&mut mixed, &mut sources, height + 1)?;
        }
        self.order = Order::Mixed(mixed);
        Ok(())
    }

    fn block_bytes(&self, files: usize, in_use: usize) -> usize {
        let (least, most) = BLOCK_BYTES;
        let left = self.options.memory_bytes.saturating_sub(in_use);
        (left / files.max(1)).clamp(least, most)
    }

    fn write_file(&mut self, mixed: &mut Mixed, sources: &mut [Source], height: u32) -> Result<()> {
        let owned = self.pages.file().clone();
        let mut file = SpillWriter::make(&owned, self.pages.stamp(), mixed.made, height)?;
        mixed.made += 1;
        let (pages, duplicates, name) = (&mut self.pages, self.options.duplicates, &self.info.name);
        merge(sources, &mut |merged| match merged {
            Merged::Entry(key, payload) => file.push(key, payload),
            Merged::Replaced(key, payload) => replaced(pages, duplicates, name, key, payload),
        })?;
        mixed.files.push(file.finish()?);
        Ok(())
    }

    /// Builds what is left to build and commits it; returns when that is durable. Blocks for file
    /// work. Fails with a conflict when somebody else wrote to the store, or made it, meanwhile.
    pub fn finish(mut self) -> Result<CommitInfo> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.engine.ensure_open()?;
        let root = match std::mem::replace(&mut self.order, Order::Spent) {
            Order::Ascending(builder) => builder.finish(&mut self.pages)?,
            Order::Mixed(mixed) => self.build_sorted(mixed)?,
            Order::Spent => unreachable!("a load that failed says so"),
        };
        self.commit_tree(root)
    }

    fn build_sorted(&mut self, mixed: Mixed) -> Result<Option<ChildRef>> {
        let Mixed {
            before,
            files,
            mut buffer,
            ..
        } = mixed;
        buffer.sort();
        let page_bytes = self.pages.page_bytes();
        let block = self.block_bytes(files.len(), 0);
        let mut sources = Vec::with_capacity(files.len() + 2);
        if let Some((root, _)) = &before {
            let file = Arc::clone(self.engine.pager.file());
            sources.push(Source::Tree(TreeReader::open(file, page_bytes, *root)?));
        }
        let spilled = files.into_iter().map(|file| SpillReader::open(file, block));
        sources.extend(spilled.map(Source::Spilled));
        sources.push(Source::memory(buffer));
        let mut builder = TreeBuilder::new(self.info.id, page_bytes, self.options.fill_percent);
        let (pages, duplicates, name) = (&mut self.pages, self.options.duplicates, &self.info.name);
        merge(&mut sources, &mut |merged| match merged {
            Merged::Entry(key, payload) => builder.push(pages, key, payload),
            Merged::Replaced(key, payload) => replaced(pages, duplicates, name, key, payload),
        })?;
        let root = builder.finish(&mut self.pages)?;
        if let Some((_, nodes)) = &before {
            self.pages.drop_nodes(nodes);
        }
        Ok(root)
    }
}

/// The height of the newest files, when there are enough of them to merge.
fn full_height(files: &[Spilled]) -> Option<u32> {
    let first = files.len().checked_sub(FILES_PER_HEIGHT)?;
    let height = files.last()?.height;
    (files[first].height == height).then_some(height)
}

/// Gives up an entry whose key was given a newer one.
fn replaced(
    pages: &mut BulkPages<Owned>,
    duplicates: Duplicates,
    store: &str,
    key: &[u8],
    payload: &[u8],
) -> Result<()> {
    if duplicates == Duplicates::Refuse {
        let shown = &key[..key.len().min(64)];
        return Err(Error::invalid(format!(
            "two entries of the bulk load into '{store}' have the same key ({} bytes when encoded: {}). \
             Add each key once, or load with duplicates allowed",
            key.len(),
            shown.escape_ascii()
        )));
    }
    if let Some(large) = Cell::decode(payload).large() {
        pages.drop_value(large);
    }
    Ok(())
}

fn find_target(engine: &Engine, target: BulkTarget<'_>) -> Result<(StoreInfo, bool)> {
    let snapshot = engine.published.load();
    match target {
        BulkTarget::Store(id) => {
            let store = snapshot
                .stores
                .get(id)
                .ok_or_else(|| Error::StoreNotFound {
                    store: format!("number {id}"),
                })?;
            if store.root.is_some() {
                return Err(Error::invalid(format!(
                    "store '{}' is not empty; a bulk load fills a new or empty store. \
                     Remove it first, or add the entries in transactions",
                    store.info.name
                )));
            }
            Ok(((*store.info).clone(), false))
        }
        BulkTarget::New {
            name,
            kind,
            options,
        } => {
            if name.is_empty() || name.len() > STORE_NAME_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "a store's name has 1 to {STORE_NAME_BYTES_MAX} bytes; this one has {}",
                    name.len()
                )));
            }
            if snapshot.stores.by_name(name).is_some() {
                return Err(Error::StoreExists {
                    store: name.to_owned(),
                });
            }
            let id = engine.next_store_id.fetch_add(1, Ordering::AcqRel);
            let (name, options) = (name.to_owned(), options.to_vec());
            Ok((
                StoreInfo {
                    id,
                    name,
                    kind,
                    options,
                },
                true,
            ))
        }
    }
}
