//! Which databases this process has open: one engine per canonical path, shared by every handle.
//!
//! R1 a path has at most one open engine; it is opened, joined and given up under the lock of its slot.
//! R2 the engine is closed when its last handle is given up.
//! R3 slots of the parent are not used in a forked child: their locks may be held for ever there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sopasync_core::disk::RealDisk;
use sopasync_core::{Database, Durability, Error, Options, Result};

use crate::fork::Stamp;

/// An engine and how many handles it has.
struct Open {
    database: Database,
    options: Options,
    handles: usize,
}

/// The place of one path.
pub struct Slot {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Registry {
    stamp: Stamp,
    slots: HashMap<PathBuf, Arc<Slot>>,
}

static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);

/// The slot of a canonical path.
fn slot(path: PathBuf) -> Arc<Slot> {
    let mut registry = REGISTRY.lock();
    if registry
        .as_ref()
        .is_none_or(|registry| !registry.stamp.is_here())
    {
        let fresh = Registry {
            stamp: Stamp::now(),
            slots: HashMap::new(),
        };
        std::mem::forget(registry.replace(fresh)); // R3
    }
    let registry = registry.as_mut().expect("made above");
    let make = || {
        Arc::new(Slot {
            path: path.clone(),
            open: Mutex::new(None),
        })
    };
    Arc::clone(registry.slots.entry(path.clone()).or_insert_with(make))
}

/// Opens the database at `path` or joins the engine that has it open. Waits for another opening or closing of it.
pub fn open(path: &Path, options: Options) -> Result<(Arc<Slot>, Database)> {
    if path.exists() && !path.is_dir() {
        let reason = format!(
            "{} is a file, and a database is a folder. Give another path",
            path.display()
        );
        return Err(Error::invalid(reason));
    }
    let failed = |error: std::io::Error| Error::io(path.display().to_string(), "open", &error);
    let disk = RealDisk::open(path, options.create && !options.read_only).map_err(failed)?;
    let canonical = path.canonicalize().map_err(failed)?;
    drop(disk);
    let slot = slot(canonical);
    let mut open = slot.open.lock(); // R1
    if let Some(open) = &mut *open {
        check_joins(&slot.path, &open.options, &options)?;
        open.handles += 1;
        let database = open.database.clone();
        return Ok((Arc::clone(&slot), database));
    }
    let disk = Arc::new(RealDisk::open(&slot.path, false).map_err(failed)?);
    let database = Database::open(disk, options.clone())?;
    *open = Some(Open {
        database: database.clone(),
        options,
        handles: 1,
    });
    drop(open);
    Ok((slot, database))
}

impl Slot {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives one handle up; the last one closes the engine (R2).
    pub fn release(&self) -> Result<()> {
        let mut open = self.open.lock(); // R1
        let Some(shared) = &mut *open else {
            return Ok(());
        };
        shared.handles -= 1;
        if shared.handles > 0 {
            return Ok(());
        }
        let result = shared.database.close();
        *open = None;
        result
    }

    /// Closes the engine whatever handles there are.
    fn shut(&self) -> Result<()> {
        let Some(shared) = self.open.lock().take() else {
            return Ok(());
        };
        shared.database.close()
    }
}

/// The slots of this process.
fn slots() -> Vec<Arc<Slot>> {
    match &*REGISTRY.lock() {
        Some(registry) if registry.stamp.is_here() => {
            registry.slots.values().map(Arc::clone).collect()
        }
        _ => Vec::new(),
    }
}

/// Closes every engine of this process; the first error, after all were tried.
pub fn shut_all() -> Result<()> {
    slots()
        .iter()
        .map(|slot| slot.shut())
        .fold(Ok(()), Result::and)
}

/// Copies the mapped values of every engine aside, in place.
pub fn detach_mapped() -> Result<()> {
    let detach = |slot: &Arc<Slot>| match &*slot.open.lock() {
        Some(open) => open.database.detach_mapped(),
        None => Ok(()),
    };
    slots().iter().map(detach).fold(Ok(()), Result::and)
}

/// In a forked child: lets go of the locks of the parent's databases, so that they end with the parent.
pub fn leave_to_parent() {
    // Threads that held one of these locks when the process forked are not here to give it back; such a database stays
    // locked until the child ends.
    let Some(registry) = REGISTRY.try_lock() else {
        return;
    };
    for slot in registry.iter().flat_map(|registry| registry.slots.values()) {
        if let Some(open) = slot.open.try_lock()
            && let Some(open) = &*open
        {
            open.database.leave_to_parent();
        }
    }
}

/// Refuses to share an engine that was opened otherwise.
fn check_joins(path: &Path, open: &Options, wanted: &Options) -> Result<()> {
    let refuse = |option: &str, is: String, asked: String| {
        let path = path.display();
        Err(Error::invalid(format!(
            "{path} is open in this process with {option}={is}, and is asked for with {option}={asked}. Open it \
             with the same options, or close the other handles first"
        )))
    };
    macro_rules! same {
        ($($option:ident),*) => {
            $(if open.$option != wanted.$option {
                return refuse(stringify!($option), format!("{:?}", open.$option), format!("{:?}", wanted.$option));
            })*
        };
    }
    if open.read_only && !wanted.read_only {
        return refuse("read_only", "true".to_owned(), "false".to_owned());
    }
    if wanted.read_only {
        // A reader takes the engine as it is.
        return Ok(());
    }
    same!(
        cache_bytes,
        page_bytes,
        checkpoint_log_bytes,
        checkpoint_interval,
        changes_kept_bytes,
        durability
    );
    Ok(())
}

/// Durability by the name Python uses.
pub fn durability(name: &str) -> Result<Durability> {
    match name {
        "full" => Ok(Durability::Full),
        "relaxed" => Ok(Durability::Relaxed),
        _ => Err(Error::invalid(format!(
            "durability is '{name}'; it is 'full' or 'relaxed'"
        ))),
    }
}
