//! A page in the cache.
//!
//! Invariant
//! F1  Bytes never change once the frame stands in the table: every reader may hold them.

use crate::page::{Node, PageBuf, PageRef};
use crate::sync::atomic::{AtomicBool, Ordering};

/// A page's bytes with what the cache must know of them: one cache line.
#[repr(align(64))]
pub(crate) struct Frame {
    pub(crate) bytes: PageBuf,
    pub(crate) page: PageRef,
    /// Value bytes without a page header.
    pub(crate) raw: bool,
    dirty: AtomicBool,
    touched: AtomicBool,
}

impl Frame {
    /// A page that is not on disk yet.
    pub(crate) fn fresh(bytes: PageBuf, page: PageRef, raw: bool) -> Self {
        Self {
            bytes,
            page,
            raw,
            dirty: AtomicBool::new(true),
            touched: AtomicBool::new(true),
        }
    }

    /// A page as it was read.
    pub(super) fn clean(bytes: PageBuf, page: PageRef, raw: bool) -> Self {
        Self {
            bytes,
            page,
            raw,
            dirty: AtomicBool::new(false),
            touched: AtomicBool::new(true),
        }
    }

    #[inline]
    pub(crate) fn node(&self) -> Node<'_> {
        debug_assert!(!self.raw);
        Node::new(&self.bytes)
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    pub(super) fn set_clean(&self) {
        self.dirty.store(false, Ordering::Release);
    }

    /// Notes a use. Written only when needed, so that readers do not fight for the cache line.
    #[inline]
    pub(super) fn touch(&self) {
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the note of use away; true when there was one.
    pub(super) fn untouch(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }
}
