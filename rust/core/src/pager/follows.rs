//! Reading pages that another process owns: telling one it has put to another use from one that is damaged.

use std::sync::OnceLock;

use super::Pager;
use super::root::Root;

/// What a follower knows of the owner's doings.
pub(crate) struct Follows {
    /// Of the checkpoint it began with.
    pub(crate) root: Root,
    /// Whether the log has gone on from the last group the follower has published.
    pub(crate) has_log_gone_on: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Set once a follower has read the log to its end; before that, whoever opens it judges what cannot be read.
pub(super) type Following = OnceLock<Follows>;

impl Pager {
    /// From now on, pages may be the owner's to use again.
    pub(crate) fn follow(&self, follows: Follows) {
        assert!(self.follows.set(follows).is_ok(), "a pager follows once");
    }

    /// Of a follower: may the owner have put something else where this page was?
    ///
    /// A page the checkpoint reaches is not overwritten before the root of a newer one is there (P1). One that only
    /// the log names is not before a later group has let it go. As long as neither is there, it is damaged.
    #[cold]
    pub(super) fn is_overtaken(&self, id: u64, stamp: u64) -> bool {
        let Some(follows) = self.follows.get() else {
            return false;
        };
        let Ok(newest) = Root::read_newest(&*self.file) else {
            return false;
        };
        if newest.stamp != follows.root.stamp {
            return true;
        }
        // Another owner may have cut off a group that the one before had not synced.
        stamp > follows.root.stamp
            && (newest.generation != follows.root.generation
                || !self.space.lock().reach().contains(id)
                || (follows.has_log_gone_on)())
    }
}
