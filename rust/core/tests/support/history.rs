//! The commits of a database by number, and which of them were acknowledged when.

use super::state::State;

/// What was committed so far.
#[derive(Clone)]
pub struct History {
    /// The state after each commit; index 0 is the empty database.
    pub versions: Vec<State>,
    /// Commits acknowledged as durable: (point of the disk's trace, commit number), ascending.
    acknowledged: Vec<(usize, usize)>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            versions: vec![State::default()],
            acknowledged: Vec::new(),
        }
    }
}

impl History {
    pub fn last_seq(&self) -> usize {
        self.versions.len() - 1
    }

    pub fn newest(&self) -> &State {
        self.versions
            .last()
            .expect("there is always the empty database")
    }

    /// A commit whose fate is not known yet.
    pub fn push(&mut self, state: State) {
        self.versions.push(state);
    }

    /// Everything up to commit `seq` is durable from `point` on.
    pub fn acknowledge(&mut self, point: usize, seq: usize) {
        assert!(seq <= self.last_seq(), "commit {seq} was never made");
        self.acknowledged.push((point, seq));
    }

    /// The last commit acknowledged by `point`.
    pub fn floor(&self, point: usize) -> usize {
        let past = self.acknowledged.iter().filter(|(at, _)| *at <= point);
        past.map(|(_, seq)| *seq).max().unwrap_or(0)
    }

    /// The history a crash left that lost everything after `seq`, on a disk with a new trace.
    pub fn cut(&self, seq: usize) -> Self {
        Self {
            versions: self.versions[..=seq].to_vec(),
            acknowledged: vec![(0, seq)],
        }
    }
}
