//! All links of a graph by slots, for other formats.
//!
//! Rows that are equal to another are not linked in the graph. Here they are, as a tree: the head leads to its first member,
//! and every member to the one above it and to those below.

use super::format::View;
use super::layer::Layer;

/// The links of a graph, by slot and level.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    view: &'a View<'a>,
    /// The rank of each slot that is above the lowest level.
    ranks: Vec<(u32, u32)>,
    /// Of each member: itself, its group's first place in the members, its own.
    members: Vec<(u32, usize, usize)>,
}

impl<'a> Lists<'a> {
    pub(super) fn of_view(view: &'a View<'a>) -> Self {
        let order = view.order.iter().map(|slot| u32::from_le_bytes(*slot));
        let mut ranks: Vec<(u32, u32)> = order.zip(0..).collect();
        ranks.sort_unstable();
        let mut members = Vec::with_capacity(view.members.len());
        for (_, group) in view.groups() {
            for at in group.clone() {
                members.push((u32::from_le_bytes(view.members[at]), group.start, at));
            }
        }
        members.sort_unstable();
        Self {
            view,
            ranks,
            members,
        }
    }

    /// How many slots there are.
    pub(crate) fn count(&self) -> usize {
        self.view.rows
    }

    /// The most links of a slot above the lowest level, and on it.
    pub(crate) fn widths(&self) -> (usize, usize) {
        (self.view.base.width / 2, self.view.base.width)
    }

    /// The highest level.
    pub(crate) fn levels(&self) -> usize {
        self.view.upper.len()
    }

    /// The slot a walk begins at.
    pub(crate) fn entry(&self) -> u32 {
        self.view.entry
    }

    fn rank_of(&self, slot: u32) -> Option<u32> {
        let at = self.ranks.binary_search_by_key(&slot, |rank| rank.0).ok()?;
        Some(self.ranks[at].1)
    }

    /// The highest level a slot is on.
    pub(crate) fn level_of(&self, slot: u32) -> usize {
        let Some(rank) = self.rank_of(slot) else {
            return 0;
        };
        (self.view.upper.iter())
            .take_while(|layer| (rank as usize) < layer.count())
            .count()
    }

    /// The links of a slot on a level it is on, in place of what was in `list`.
    pub(crate) fn of(&self, slot: u32, level: usize, list: &mut Vec<u32>) {
        list.clear();
        if level > 0 {
            let layer = &self.view.upper[level - 1];
            let Some(rank) = self.rank_of(slot) else {
                return;
            };
            layer.links(rank, |link| {
                list.push(u32::from_le_bytes(self.view.order[link as usize]))
            });
            return;
        }
        self.view.base.links(slot, |link| list.push(link));
        let width = self.view.base.width;
        if let Some(first) = self.view.members_of(slot).next() {
            list.truncate(width - 1);
            list.push(first);
        }
        if let Ok(found) = self.members.binary_search_by_key(&slot, |member| member.0) {
            let (_, first, at) = self.members[found];
            self.of_member(first, at - first, width - 1, list);
        }
    }

    /// The links of the member at a place in its group, from which `below` lead down.
    fn of_member(&self, first: usize, place: usize, below: usize, list: &mut Vec<u32>) {
        let group = self.view.group_at(first);
        let member = |at: usize| u32::from_le_bytes(self.view.members[first + at]);
        list.push(match place {
            0 => group.0,
            _ => member((place - 1) / below),
        });
        let from = place * below + 1;
        let to = (from + below).min(group.1.len());
        list.extend((from..to).map(member));
    }
}
