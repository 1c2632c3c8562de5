//! Disks as a crash may have left them, at every point of a trace.

use std::sync::Arc;

use super::choice::{Chance, Combination, Count};
use super::random::SplitMix64;
use super::sim_disk::SimDisk;
use super::volume::{Event, Volume};

/// Which crash images to build.
#[derive(Debug, Clone, Copy)]
pub struct CrashOptions {
    /// Decides what landed where not all combinations are built.
    pub seed: u64,
    /// First point of the trace: so many changes were made before the crash.
    pub from: usize,
    /// Last point; the end of the trace if that comes first.
    pub to: usize,
    /// Only every so many-th point.
    pub stride: usize,
    /// All combinations are built for a point with at most so many; 1024 is every subset of ten sectors.
    pub combinations_max: usize,
    /// Images of a point with more combinations: nothing landed, everything landed, and the rest by chance.
    pub images_per_point: usize,
}

impl Default for CrashOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            from: 0,
            to: usize::MAX,
            stride: 1,
            combinations_max: 64,
            images_per_point: 16,
        }
    }
}

/// A disk as a crash may have left it.
pub struct CrashImage {
    /// What is left. Everything on it is durable, and it records a trace of its own.
    pub disk: SimDisk,
    /// So many changes of the original's trace were made before the crash.
    pub point: usize,
    /// Number of the image among those of its point.
    pub index: usize,
}

/// Builds the images one after the other; see `SimDisk::crash_images`.
pub struct CrashImages {
    options: CrashOptions,
    trace: Vec<Event>,
    volume: Volume,
    /// Changes carried out on `volume`.
    point: usize,
    index: usize,
    plan: Plan,
}

/// How many images the present point has, and how they are chosen.
#[derive(Clone, Copy)]
struct Plan {
    images: usize,
    all: bool,
    questions: usize,
}

impl CrashImages {
    pub(super) fn new(options: CrashOptions, start: Volume, trace: Vec<Event>) -> Self {
        assert!(options.stride > 0, "a stride of 0 goes nowhere");
        let mut images = Self {
            options,
            trace,
            volume: start,
            point: 0,
            index: 0,
            plan: Plan {
                images: 0,
                all: true,
                questions: 0,
            },
        };
        if images.advance(options.from) {
            images.plan = images.plan_point();
        }
        images
    }

    /// Goes on to `point`, or returns false when there is no such point to look at.
    fn advance(&mut self, point: usize) -> bool {
        if point > self.trace.len() || point > self.options.to {
            return false;
        }
        for event in &self.trace[self.point..point] {
            self.volume.apply(event);
        }
        self.point = point;
        self.index = 0;
        true
    }

    fn plan_point(&self) -> Plan {
        let mut count = Count {
            questions: 0,
            combinations: 1,
        };
        self.volume.after_crash(&mut count);
        let all = count.combinations <= self.options.combinations_max;
        Plan {
            images: if all {
                count.combinations
            } else {
                self.options.images_per_point
            },
            all,
            questions: count.questions,
        }
    }

    fn image(&self) -> Volume {
        if self.plan.all {
            let rest = self.index;
            return self.volume.after_crash(&mut Combination { rest });
        }
        let mut mix = SplitMix64::new(self.options.seed ^ (self.point as u64) << 20);
        let random = SplitMix64::new(mix.next_u64() ^ self.index as u64);
        let mut chance = Chance::new(self.index, self.plan.questions, random);
        self.volume.after_crash(&mut chance)
    }
}

impl Iterator for CrashImages {
    type Item = CrashImage;

    fn next(&mut self) -> Option<CrashImage> {
        while self.index == self.plan.images {
            if !self.advance(self.point.checked_add(self.options.stride)?) {
                return None;
            }
            self.plan = self.plan_point();
        }
        let seed = self.options.seed ^ (self.point as u64) << 32 ^ self.index as u64;
        let image = CrashImage {
            disk: SimDisk::from_volume(self.image(), seed),
            point: self.point,
            index: self.index,
        };
        self.index += 1;
        Some(image)
    }
}

impl std::fmt::Display for CrashImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "crash after change {}, image {}", self.point, self.index)
    }
}

/// Data of events is shared, so keeping a copy of a trace is cheap.
pub(super) fn shared(bytes: &[u8]) -> Arc<[u8]> {
    Arc::from(bytes)
}
