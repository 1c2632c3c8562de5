//! The trees of one snapshot, page by page from the file (C4, C5).

use super::faults::{Faults, KeyRange};
use super::{Audit, Bitmap, Engine, Work};
use crate::error::{Error, Result};
use crate::limits::NODE_BYTES_MAX;
use crate::page::{Cell, ChildRef, LargeRef, Node};
use crate::txn::Stores;

/// Walks trees and notes what is wrong with them.
pub(super) struct TreeCheck<'a, 'w, 'p> {
    engine: &'a Engine,
    work: &'a mut Work<'w, 'p>,
    faults: &'a mut Faults,
    /// The first page past everything ever given out.
    end: u64,
    /// What the space map says; a checkpoint's pages are compared with nothing.
    reach: Option<&'a Bitmap>,
    /// Pages of another snapshot that were verified before.
    verified: Option<&'a Bitmap>,
    seen: Bitmap,
    /// No part of a tree was out of reach.
    complete: bool,
}

/// The tree being walked.
struct Tree<'t> {
    name: &'t str,
    /// Number every page of it carries; a removed tree's is its root's.
    store: Option<u64>,
}

/// A node as its parent describes it.
struct Expected {
    child: ChildRef,
    keys: KeyRange,
    level: Option<u8>,
}

impl<'a, 'w, 'p> TreeCheck<'a, 'w, 'p> {
    /// Of the published snapshot.
    pub(super) fn of_snapshot(
        engine: &'a Engine,
        audit: &'a Audit,
        work: &'a mut Work<'w, 'p>,
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            engine,
            work,
            faults,
            end: audit.end,
            reach: Some(&audit.reach),
            verified: None,
            seen: Bitmap::default(),
            complete: true,
        }
    }

    /// Of the last checkpoint, passing over the subtrees it shares with the snapshot.
    pub(super) fn of_checkpoint(
        engine: &'a Engine,
        verified: &'a Bitmap,
        end: u64,
        work: &'a mut Work<'w, 'p>,
        faults: &'a mut Faults,
    ) -> Self {
        Self {
            engine,
            work,
            faults,
            end,
            reach: None,
            verified: Some(verified),
            seen: Bitmap::default(),
            complete: true,
        }
    }

    /// The pages reached, and whether these are all there are.
    pub(super) fn finish(self) -> (Bitmap, bool) {
        (self.seen, self.complete)
    }

    /// Every tree.
    pub(super) fn stores(&mut self, stores: &Stores) -> Result<()> {
        for store in stores.iter() {
            let tree = Tree {
                name: &store.info.name,
                store: Some(store.info.id),
            };
            self.tree(tree, store.root)?;
        }
        for root in stores.removed() {
            let tree = Tree {
                name: "(removed)",
                store: None,
            };
            self.tree(tree, Some(*root))?;
        }
        if self.verified.is_none() {
            let report = &mut self.faults.report;
            report.stores = stores.iter().count() as u64;
            report.removed_stores = stores.removed().len() as u64;
        }
        Ok(())
    }

    fn tree(&mut self, mut tree: Tree<'_>, root: Option<ChildRef>) -> Result<()> {
        let mut open: Vec<Expected> = Vec::new();
        open.extend(root.map(|child| Expected {
            child,
            keys: KeyRange {
                lower: Vec::new(),
                upper: None,
            },
            level: None,
        }));
        while let Some(expected) = open.pop() {
            self.node(&mut tree, &expected, &mut open)?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        tree: &mut Tree<'_>,
        expected: &Expected,
        open: &mut Vec<Expected>,
    ) -> Result<()> {
        let page = expected.child.page;
        let span = u64::from(page.span);
        if self.is_verified(page.id) {
            return Ok(());
        }
        let fits = span as usize * self.engine.pager.page_bytes() <= NODE_BYTES_MAX;
        if !fits || !self.take_run(tree, expected, page.id, span) {
            return Ok(());
        }
        self.count_pages(span)?;
        let bytes = match self.engine.pager.stored_node(page) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.cut_off(tree, expected, &reason_of(&error));
                return Ok(());
            }
        };
        let node = Node::new(&bytes);
        let mut faults = node.faults();
        payload_faults(node, &mut faults);
        if !faults.is_empty() {
            faults.truncate(3);
            let reason = format!("page {}: {}", page.id, faults.join("; "));
            self.cut_off(tree, expected, &reason);
            return Ok(());
        }
        self.compare(tree, expected, node);
        if node.is_leaf() {
            self.leaf(tree, expected, node)
        } else {
            open.extend(children(node).rev());
            Ok(())
        }
    }

    /// The pages of a checkpoint that the snapshot shares were read with that.
    fn is_verified(&self, id: u64) -> bool {
        self.verified.is_some_and(|verified| verified.contains(id))
    }

    /// Notes that a run is reached; false when it cannot be one, or was reached before.
    fn take_run(&mut self, tree: &Tree<'_>, expected: &Expected, id: u64, span: u64) -> bool {
        let first = self.engine.pager.first_page();
        if span == 0 || id < first || id.saturating_add(span) > self.end {
            let reason = format!(
                "a reference names page {id} and {span} pages of a file of {} pages",
                self.end
            );
            self.cut_off(tree, expected, &reason);
            return false;
        }
        let mut free = false;
        for page in id..id + span {
            if !self.seen.insert_new(page) {
                let reason = format!("page {page} is referred to twice");
                self.cut_off(tree, expected, &reason);
                return false;
            }
            free |= self.reach.is_some_and(|reach| !reach.contains(page));
        }
        if free {
            let reason = format!("page {id} is in use, and the space map says that it is not");
            self.affected(tree, expected, &reason, "may be overwritten");
        }
        true
    }

    fn count_pages(&mut self, span: u64) -> Result<()> {
        let report = &mut self.faults.report;
        if self.verified.is_none() {
            report.pages += span;
            report.bytes += span * self.engine.pager.page_bytes() as u64;
        } else {
            report.checkpoint_pages += span;
        }
        self.work.add(span)
    }

    /// A node against what its parent says of it.
    fn compare(&mut self, tree: &mut Tree<'_>, expected: &Expected, node: Node<'_>) {
        let id = expected.child.page.id;
        let mut wrong = Vec::new();
        if node.lower() != expected.keys.lower || node.upper() != expected.keys.upper.as_deref() {
            wrong.push("its fences are not the separators of its parent".to_owned());
        }
        let level = expected.level.unwrap_or_else(|| node.level());
        if node.level() != level || (level == 0) != node.is_leaf() {
            wrong.push(format!(
                "it is at level {} and should be at {level}",
                node.level()
            ));
        }
        let below = match node.is_leaf() {
            true => node.count() as u64,
            false => children(node).fold(0, |sum: u64, c| sum.saturating_add(c.child.count)),
        };
        if below != expected.child.count {
            let count = expected.child.count;
            wrong.push(format!(
                "its parent counts {count} entries in it, and it has {below}"
            ));
        }
        let store = *tree.store.get_or_insert_with(|| node.store());
        if node.store() != store {
            wrong.push(format!(
                "it belongs to store number {}, not {store}",
                node.store()
            ));
        }
        for reason in wrong {
            self.affected(
                tree,
                expected,
                &format!("page {id}: {reason}"),
                "may be wrong",
            );
        }
    }

    fn leaf(&mut self, tree: &Tree<'_>, expected: &Expected, node: Node<'_>) -> Result<()> {
        if self.verified.is_none() && tree.name != "(removed)" {
            self.faults.report.entries += node.count() as u64;
        }
        for index in 0..node.count() {
            if let Some(large) = Cell::decode(node.payload(index)).large() {
                self.large(tree, expected, &node.key(index), large)?;
            }
        }
        Ok(())
    }

    fn large(
        &mut self,
        tree: &Tree<'_>,
        expected: &Expected,
        key: &[u8],
        large: LargeRef,
    ) -> Result<()> {
        if self.is_verified(large.id) {
            return Ok(());
        }
        let alone = Expected {
            child: ChildRef {
                count: 1,
                ..expected.child
            },
            keys: KeyRange {
                lower: key.to_vec(),
                upper: Some([key, &[0]].concat()),
            },
            level: None,
        };
        let span = large.span(self.engine.pager.page_bytes());
        if !self.take_run(tree, &alone, large.id, span) {
            return Ok(());
        }
        if self.verified.is_none() {
            self.faults.report.large_values += 1;
        }
        let read = self.engine.pager.stored_large(large, &mut |_| Ok(()));
        self.count_pages(span)?;
        if let Err(error) = read {
            let sentence = format!(
                "{}; the value of key \"{}\" of store '{}' cannot be read",
                reason_of(&error),
                key.escape_ascii(),
                tree.name
            );
            self.faults
                .entries(large.id, tree.name, alone.keys, sentence);
        }
        Ok(())
    }

    /// What lies below a reference is out of reach.
    fn cut_off(&mut self, tree: &Tree<'_>, expected: &Expected, reason: &str) {
        self.complete = false;
        self.affected(tree, expected, reason, "cannot be read");
    }

    fn affected(&mut self, tree: &Tree<'_>, expected: &Expected, reason: &str, how: &str) {
        let keys = expected.keys.clone();
        let id = expected.child.page.id;
        let count = expected.child.count;
        let age = if self.verified.is_some() {
            " at the last checkpoint, where opening after a crash begins,"
        } else {
            ""
        };
        let sentence = format!(
            "{reason}; {count} entries of store '{}'{age} {how}: {keys}",
            tree.name
        );
        self.faults.entries(id, tree.name, keys, sentence);
    }
}

/// What an inner node says of its children, in key order.
fn children(node: Node<'_>) -> impl DoubleEndedIterator<Item = Expected> {
    let upper_of = move |index: usize| {
        if index + 1 < node.count() {
            Some(node.key(index + 1))
        } else {
            node.upper().map(<[u8]>::to_vec)
        }
    };
    (0..node.count()).map(move |index| Expected {
        child: node.child(index),
        keys: KeyRange {
            lower: node.key(index),
            upper: upper_of(index),
        },
        level: Some(node.level().wrapping_sub(1)),
    })
}

/// Payloads that cannot be decoded; the layout is known to be right where there are no faults yet.
pub(in crate::engine) fn payload_faults(node: Node<'_>, faults: &mut Vec<String>) {
    if !faults.is_empty() {
        return;
    }
    if !node.is_leaf() && node.count() == 0 {
        faults.push("it has no children".to_owned());
    }
    for index in 0..node.count() {
        let payload = node.payload(index);
        let fault = if node.is_leaf() {
            Cell::fault(payload)
        } else {
            (payload.len() != ChildRef::BYTES).then_some("it is no reference to a page")
        };
        if let Some(fault) = fault {
            faults.push(format!("the payload of entry {index} cannot be: {fault}"));
        }
    }
}

/// Why a page could not be read, without the advice that goes with an error.
fn reason_of(error: &Error) -> String {
    match error {
        Error::Corruption { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}
