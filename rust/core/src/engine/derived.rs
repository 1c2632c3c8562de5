//! Files that can be built again from the stores' rows: sealed segments of indexes.
//!
//! A derived file is called `derived-<store>-<number>`, both in 16 hexadecimal digits. It never changes after it has
//! this name. Its *manifest row* is the entry with the key 50 (hexadecimal) and the number, big-endian, in its store: committed
//! after the file is durable, so that a row without its file is damage, and a file without its row is left over.
//!
//! Invariants
//! D1  A file gets its name after all of it was synced.
//! D2  A file whose row a snapshot shows is not removed while the row is in the newest one.
//! D3  Files without a row in the newest commit are removed when the database is opened for writing. So a number may be
//!     used again after a crash.

use std::io;
use std::sync::Arc;

use super::core::Engine;
use super::database::Database;
use super::options::TransactionOptions;
use super::transaction::{Access, Transaction};
use crate::disk::{Disk, File, Mapping, Scratch};
use crate::error::{Error, Result};
use crate::mutants::mutant;

/// First byte of the key of a manifest row.
pub const MANIFEST_FAMILY: u8 = 0x50;
const PREFIX: &str = "derived-";
const UNFINISHED: &str = "-new";
/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;
/// Bytes between two syncs: a commit's sync never waits behind more than this.
const SYNC_BYTES: u64 = 4 << 20;

/// The key of a derived file's manifest row.
pub fn manifest_key(number: u64) -> [u8; 9] {
    let mut key = [MANIFEST_FAMILY; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn file_name(store: u64, number: u64) -> String {
    format!("{PREFIX}{store:016x}-{number:016x}")
}

/// Store and number; none for a file that was not finished, or that nobody here wrote.
fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (store, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let parse = |text: &str| {
        let number = u64::from_str_radix(text, 16).ok()?;
        (format!("{number:016x}") == text).then_some(number)
    };
    Some((parse(store)?, parse(number)?))
}

/// Writes a derived file. Dropped before `finish`, it leaves an unfinished one, which the next opening removes.
pub struct DerivedWriter {
    disk: Arc<dyn Disk>,
    file: Arc<dyn File>,
    name: String,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
}

impl DerivedWriter {
    fn new(disk: Arc<dyn Disk>, store: u64, number: u64) -> Result<Self> {
        let name = file_name(store, number);
        let unfinished = format!("{name}{UNFINISHED}");
        let file = disk
            .open(&unfinished, true)
            .and_then(|file| file.set_len(0).map(|()| file))
            .map_err(|error| Error::io(unfinished, "make", &error))?;
        Ok(Self {
            disk,
            file,
            name,
            buffer: Vec::with_capacity(WRITE_BYTES),
            written: 0,
            synced: 0,
        })
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = WRITE_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == WRITE_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .write_at(&self.buffer, self.written)
            .map_err(|error| Error::io(&self.name, "write", &error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.synced = self.written;
        if mutant("derived-skip-sync") {
            return Ok(());
        }
        self.file
            .sync()
            .map_err(|error| Error::io(&self.name, "sync", &error))
    }

    /// Makes the file durable under its name (D1); its length.
    pub fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.sync()?;
        self.disk
            .rename(&format!("{}{UNFINISHED}", self.name), &self.name)
            .map_err(|error| Error::io(&self.name, "rename", &error))?;
        self.disk
            .sync_folder()
            .map_err(|error| Error::io(self.disk.describe(), "sync", &error))?;
        Ok(self.written)
    }
}

impl Database {
    /// Begins a derived file. Its manifest row is the caller's business, after `finish`.
    pub fn write_derived(&self, store: u64, number: u64) -> Result<DerivedWriter> {
        let engine = self.engine();
        engine.ensure_open()?;
        DerivedWriter::new(Arc::clone(&engine.disk), store, number)
    }

    /// So many zeros to derive something in: see [`Disk::scratch`].
    pub fn scratch(&self, bytes: usize) -> io::Result<Box<dyn Scratch>> {
        self.engine().disk.scratch(bytes)
    }

    /// The bytes of a derived file; `None` when there is none. Blocks for file work.
    pub fn open_derived(&self, store: u64, number: u64) -> Result<Option<Arc<dyn Mapping>>> {
        self.engine().open_derived(store, number)
    }

    /// Removes a derived file whose manifest row is gone (D2). Mappings of it stay readable.
    pub fn remove_derived(&self, store: u64, number: u64) -> Result<()> {
        remove(&*self.engine().disk, &file_name(store, number))
    }
}

impl Transaction {
    /// The bytes of a derived file; `None` when there is none. Blocks for file work.
    pub fn open_derived(&self, store: u64, number: u64) -> Result<Option<Arc<dyn Mapping>>> {
        self.engine.open_derived(store, number)
    }
}

impl Engine {
    fn open_derived(&self, store: u64, number: u64) -> Result<Option<Arc<dyn Mapping>>> {
        let name = file_name(store, number);
        match self.disk.open_read_only(&name).and_then(|file| file.map()) {
            Ok(mapping) => Ok(Some(mapping)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(name, "read", &error)),
        }
    }

    /// Removes derived files that no manifest row names (D3).
    pub(super) fn remove_stray_derived(self: &Arc<Self>) -> Result<()> {
        let names = self
            .disk
            .list()
            .map_err(|error| Error::io(self.disk.describe(), "list", &error))?;
        let mut transaction = Transaction::new(
            Arc::clone(self),
            TransactionOptions {
                read_only: true,
                ..TransactionOptions::default()
            },
        );
        for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
            let named = parse_name(name).is_some_and(|(store, number)| {
                match transaction.contains(store, &manifest_key(number), Access::default()) {
                    Ok(named) => named,
                    Err(Error::StoreNotFound { .. }) => false,
                    // A page that cannot be read: whoever needs it will say so.
                    Err(_) => true,
                }
            });
            if !named {
                remove(&*self.disk, name)?;
            }
        }
        Ok(())
    }

    /// Removes the derived files of stores that are gone.
    pub(super) fn remove_derived_of_removed(&self) -> Result<()> {
        let names = self
            .disk
            .list()
            .map_err(|error| Error::io(self.disk.describe(), "list", &error))?;
        let published = self.published.load_full();
        for name in &names {
            let gone =
                parse_name(name).is_some_and(|(store, _)| published.stores.get(store).is_none());
            if gone {
                remove(&*self.disk, name)?;
            }
        }
        Ok(())
    }
}

fn remove(disk: &dyn Disk, name: &str) -> Result<()> {
    match disk.remove(name) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io(name, "remove", &error)),
    }
}
