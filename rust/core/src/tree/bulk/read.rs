//! Reading the entries of a tree back in order, past the cache: its pages are about to be given
//! up, and a page in the cache must be one that the tip or a snapshot reaches.

use std::sync::Arc;

use crate::disk::File;
use crate::error::{Error, Result};
use crate::page::{ChildRef, Node, PageBuf};
use crate::pager::PAGES_FILE;

/// A position in a tree of pages that were all written.
pub(crate) struct TreeReader {
    file: Arc<dyn File>,
    page_bytes: usize,
    /// The nodes above the position with the child taken, and the leaf with the present entry.
    path: Vec<(PageBuf, usize)>,
    key: Vec<u8>,
}

impl TreeReader {
    /// A reader before the first entry.
    pub(crate) fn open(file: Arc<dyn File>, page_bytes: usize, root: ChildRef) -> Result<Self> {
        let mut reader = Self {
            file,
            page_bytes,
            path: Vec::new(),
            key: Vec::new(),
        };
        reader.descend(root)?;
        Ok(reader)
    }

    fn descend(&mut self, mut child: ChildRef) -> Result<()> {
        loop {
            let bytes = self.read(child)?;
            let node = Node::new(&bytes);
            if node.is_leaf() {
                self.path.push((bytes, usize::MAX));
                return Ok(());
            }
            child = node.child(0);
            self.path.push((bytes, 0));
        }
    }

    fn read(&self, child: ChildRef) -> Result<PageBuf> {
        let page = child.page;
        let offset = page.id * self.page_bytes as u64;
        let mut bytes = PageBuf::zeroed(usize::from(page.span) * self.page_bytes);
        self.file
            .read_at(&mut bytes, offset)
            .map_err(|error| Error::io(PAGES_FILE, "read", &error))?;
        let node = Node::new(&bytes);
        if node.checksum() != node.stored_checksum()
            || (node.page_id(), node.stamp()) != (page.id, page.stamp)
        {
            let reason = format!("page {}: it is not what was just written there", page.id);
            return Err(Error::corruption(PAGES_FILE, offset, reason));
        }
        Ok(bytes)
    }

    /// Steps to the next entry; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        loop {
            let Some((bytes, index)) = self.path.last_mut() else {
                return Ok(false);
            };
            *index = index.wrapping_add(1);
            let node = Node::new(bytes);
            if *index >= node.count() {
                self.path.pop();
            } else if node.is_leaf() {
                let (prefix, suffix) = (node.prefix(), node.suffix(*index));
                self.key.clear();
                self.key.extend_from_slice(prefix);
                self.key.extend_from_slice(suffix);
                return Ok(true);
            } else {
                let child = node.child(*index);
                self.descend(child)?;
            }
        }
    }

    /// Key of the present entry.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Payload of the present entry.
    pub(crate) fn payload(&self) -> &[u8] {
        let (bytes, index) = self.path.last().expect("there is a present entry");
        Node::new(bytes).payload(*index)
    }
}
