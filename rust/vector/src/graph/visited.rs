//! Which rows a search has seen: one byte each, and an epoch instead of clearing.

/// A set of places that is emptied in no time.
#[derive(Debug, Default)]
pub(super) struct Visited {
    /// A place is in the set when its mark is the epoch.
    marks: Vec<u8>,
    epoch: u8,
}

impl Visited {
    /// Empty the set, and make room for places below `count`.
    pub(super) fn begin(&mut self, count: usize) {
        if self.marks.len() < count {
            self.marks.resize(count, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.marks.fill(0);
            self.epoch = 1;
        }
    }

    /// Add a place; false when it was in the set.
    #[inline(always)]
    pub(super) fn insert(&mut self, place: u32) -> bool {
        let mark = &mut self.marks[place as usize];
        let added = *mark != self.epoch;
        *mark = self.epoch;
        added
    }

    /// Add places; those that were not in the set take the place of what was in `fresh`, at most `room` of them.
    ///
    /// Whether a place is new is a coin toss to the processor, so nothing branches on it.
    #[inline(always)]
    pub(super) fn sift(
        &mut self,
        places: impl Iterator<Item = u32>,
        room: usize,
        fresh: &mut Vec<u32>,
    ) {
        fresh.resize(room, 0);
        let mut count = 0;
        for place in places {
            fresh[count] = place;
            count += usize::from(self.insert(place));
        }
        fresh.truncate(count);
    }

    /// Whether a place is in the set.
    #[inline(always)]
    pub(super) fn contains(&self, place: u32) -> bool {
        self.marks[place as usize] == self.epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_is_an_empty_set_also_after_many() {
        let mut visited = Visited::default();
        for round in 0..700_u32 {
            visited.begin(40 + round as usize / 10);
            let place = round % 40;
            assert!(!visited.contains(place), "round {round}");
            assert!(visited.insert(place));
            assert!(!visited.insert(place) && visited.contains(place));
            assert!(!visited.contains((place + 1) % 40), "round {round}");
        }
    }

    #[test]
    fn sifting_leaves_the_new_ones_in_their_order() {
        let (mut visited, mut fresh) = (Visited::default(), vec![9, 9, 9, 9]);
        visited.begin(10);
        visited.insert(3);
        visited.sift([1, 3, 5, 1].into_iter(), 4, &mut fresh);
        assert_eq!(fresh, [1, 5]);
        visited.sift([5, 3, 1].into_iter(), 3, &mut fresh);
        assert_eq!(fresh, []);
        visited.sift([0, 2, 4].into_iter(), 3, &mut fresh);
        assert_eq!(fresh, [0, 2, 4]);
    }
}
