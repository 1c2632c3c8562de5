//! Making the Nth call fail.

use std::io;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The call fails and does nothing.
    Io,
    /// There is no space; calls that need none fail as with `Io`.
    NoSpace,
    /// A write gets half way; other calls fail as with `Io`.
    ShortWrite,
    /// A sync fails and what it should have synced is dropped: still readable, never durable.
    /// Other calls fail as with `Io`.
    SyncDrops,
}

impl FaultKind {
    /// All of them, for loops.
    pub const ALL: [Self; 4] = [Self::Io, Self::NoSpace, Self::ShortWrite, Self::SyncDrops];
}

/// A failure to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which call fails, counted from 1 over all calls since the disk was made.
    pub call: u64,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Whether every later call fails too.
    pub forever: bool,
}

/// The calls a fault tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    Sync,
    /// Takes space without writing.
    Grow,
    Other,
}

/// How a failing call behaves.
pub(super) enum Failure {
    Plain(io::Error),
    HalfWritten(io::Error),
    Dropped(io::Error),
}

impl Fault {
    pub(super) fn hits(&self, call: u64) -> bool {
        call == self.call || (self.forever && call > self.call)
    }

    pub(super) fn failure(&self, call: Call) -> Failure {
        match (self.kind, call) {
            (FaultKind::NoSpace, Call::Write | Call::Grow) => Failure::Plain(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space left (simulated)",
            )),
            (FaultKind::ShortWrite, Call::Write) => Failure::HalfWritten(input_output_error()),
            (FaultKind::SyncDrops, Call::Sync) => Failure::Dropped(input_output_error()),
            _ => Failure::Plain(input_output_error()),
        }
    }
}

fn input_output_error() -> io::Error {
    io::Error::other("input/output error (simulated)")
}

pub(super) fn killed() -> io::Error {
    io::Error::other("the process was killed (simulated)")
}
