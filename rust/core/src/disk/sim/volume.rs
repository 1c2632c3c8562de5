//! What a device and the system's cache in front of it hold.
//!
//! A sector is atomic: after a crash it holds one of its versions since the last sync, or its durable content,
//! whatever the other sectors hold. So does the length of a file. Changes of the folder are lost one by one;
//! a later change of the same name is lost with an earlier one, as it would be in any journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bytes::SharedBytes;
use super::choice::Choose;

pub(super) const SECTOR_BYTES: usize = 512;
type Sector = Arc<[u8; SECTOR_BYTES]>;

/// One change, as the trace keeps it. Files are known by number, in the order of their creation.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Create {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    SyncFolder,
    Write {
        file: usize,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen {
        file: usize,
        len: u64,
    },
    Sync {
        file: usize,
    },
    /// A failed sync: what was not synced stays readable, and never becomes durable.
    DropUnsynced {
        file: usize,
    },
}

#[derive(Debug, Clone, Default)]
pub(super) struct Volume {
    files: Vec<StoredFile>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<FolderChange>,
}

#[derive(Debug, Clone, Default)]
struct StoredFile {
    /// What reads show.
    cached: SharedBytes,
    durable: SharedBytes,
    /// Versions of each sector written since the last sync, oldest first.
    unsynced: BTreeMap<u64, Vec<Sector>>,
    unsynced_lengths: Vec<u64>,
}

#[derive(Debug, Clone)]
enum FolderChange {
    Create {
        name: String,
        file: usize,
    },
    Rename {
        from: String,
        to: String,
        file: usize,
    },
    Remove {
        name: String,
    },
}

impl Volume {
    pub fn file_of(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    pub fn content(&self, file: usize) -> &SharedBytes {
        &self.files[file].cached
    }

    /// Replaces the content of `file` as if it had always been so.
    pub fn replace(&mut self, file: usize, bytes: &[u8]) {
        let mut content = SharedBytes::default();
        content.write(bytes, 0);
        self.files[file] = StoredFile {
            cached: content.clone(),
            durable: content,
            ..StoredFile::default()
        };
    }

    /// Carries out a change; names in it exist where they must.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { name } => {
                let file = self.files.len();
                self.files.push(StoredFile::default());
                self.change_folder(FolderChange::Create {
                    name: name.clone(),
                    file,
                });
            }
            Event::Rename { from, to } => {
                let change = FolderChange::Rename {
                    from: from.clone(),
                    to: to.clone(),
                    file: self.names[from],
                };
                self.change_folder(change);
            }
            Event::Remove { name } => {
                self.change_folder(FolderChange::Remove { name: name.clone() })
            }
            Event::SyncFolder => {
                self.durable_names = self.names.clone();
                self.unsynced_names.clear();
            }
            Event::Write {
                file,
                offset,
                bytes,
            } => self.files[*file].write(bytes, *offset),
            Event::SetLen { file, len } => self.files[*file].set_len(*len),
            Event::Sync { file } => self.files[*file].sync(),
            Event::DropUnsynced { file } => self.files[*file].drop_unsynced(),
        }
    }

    fn change_folder(&mut self, change: FolderChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// What a crash leaves, given for each unsynced thing how far it got.
    pub fn after_crash(&self, choose: &mut impl Choose) -> Self {
        let mut names = self.durable_names.clone();
        let mut lost: BTreeSet<&str> = BTreeSet::new();
        for change in &self.unsynced_names {
            let landed = choose.choose(1) == 1;
            if landed && change.touches().iter().all(|name| !lost.contains(name)) {
                change.apply(&mut names);
            } else {
                lost.extend(change.touches());
            }
        }
        let mut image = Self::default();
        for (name, file) in names {
            let content = self.files[file].after_crash(choose);
            image.names.insert(name, image.files.len());
            image.files.push(StoredFile {
                cached: content.clone(),
                durable: content,
                ..StoredFile::default()
            });
        }
        image.durable_names = image.names.clone();
        image
    }
}

impl FolderChange {
    fn touches(&self) -> Vec<&str> {
        match self {
            Self::Create { name, .. } | Self::Remove { name } => vec![name],
            Self::Rename { from, to, .. } => vec![from, to],
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, file } => {
                names.insert(name.clone(), *file);
            }
            Self::Rename { from, to, file } => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}

impl StoredFile {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        let before = self.cached.len();
        self.cached.write(bytes, offset);
        if self.cached.len() != before {
            self.unsynced_lengths.push(self.cached.len());
        }
        if !bytes.is_empty() {
            let last = offset + bytes.len() as u64 - 1;
            self.note_sectors(offset / SECTOR_BYTES as u64, last / SECTOR_BYTES as u64);
        }
    }

    fn set_len(&mut self, len: u64) {
        let before = self.cached.len();
        if len == before {
            return;
        }
        self.cached.set_len(len);
        self.unsynced_lengths.push(len);
        if len < before {
            // What was cut off reads as zeros if the file grows again.
            let sector = SECTOR_BYTES as u64;
            self.note_sectors(len / sector, (before - 1) / sector);
        }
    }

    /// Notes the present content of these sectors as a version.
    fn note_sectors(&mut self, first: u64, last: u64) {
        for sector in first..=last {
            let mut bytes = [0; SECTOR_BYTES];
            self.cached.read(&mut bytes, sector * SECTOR_BYTES as u64);
            self.unsynced
                .entry(sector)
                .or_default()
                .push(Arc::new(bytes));
        }
    }

    fn sync(&mut self) {
        for (sector, versions) in std::mem::take(&mut self.unsynced) {
            let bytes = versions.last().expect("a noted sector has a version");
            self.durable.write(&**bytes, sector * SECTOR_BYTES as u64);
        }
        self.durable.set_len(self.cached.len());
        self.unsynced_lengths.clear();
    }

    fn drop_unsynced(&mut self) {
        self.unsynced.clear();
        self.unsynced_lengths.clear();
    }

    fn after_crash(&self, choose: &mut impl Choose) -> SharedBytes {
        let mut content = self.durable.clone();
        let length = match choose.choose(self.unsynced_lengths.len()) {
            0 => self.durable.len(),
            landed => self.unsynced_lengths[landed - 1],
        };
        for (sector, versions) in &self.unsynced {
            let landed = choose.choose(versions.len());
            if landed > 0 {
                content.write(&*versions[landed - 1], sector * SECTOR_BYTES as u64);
            }
        }
        content.set_len(length);
        content
    }
}
