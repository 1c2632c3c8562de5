//! The nearest candidates of a walk, in order, and which of them were followed.
//!
//! ```text
//! a key   63          32 31            1        0
//!        +--------------+--------------+----------+
//!        | distance, as | place        | followed |
//!        | ordered bits |              |          |
//!        +--------------+--------------+----------+
//! ```
//!
//! Keys compare as (distance, place): the order of hits. A sorted array beats two heaps for the few hundred candidates
//! a walk keeps: one search and one move of memory per candidate, and none to take the next.

/// Distance and place in one number that compares like both.
#[inline(always)]
pub(super) fn key(distance: f32, place: u32) -> u64 {
    // + 0.0 makes one of the two zeros.
    let bits = (distance + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    };
    u64::from(ordered) << 32 | u64::from(place) << 1
}

/// The place in a key.
#[inline(always)]
pub(super) fn place(key: u64) -> u32 {
    key as u32 >> 1
}

/// The distance in a key.
#[inline(always)]
pub(super) fn distance(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    })
}

/// Among so many keys the place of one is found by moving those beyond it: two calls and a search take longer.
const FEW: usize = 32;

/// At most `room` keys, the nearest first.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    keys: Vec<u64>,
    room: usize,
    /// Every key before it was followed.
    next: usize,
}

impl Nearest {
    /// Empty it, and keep at most `room` from now on.
    pub(super) fn begin(&mut self, room: usize) {
        self.keys.clear();
        self.room = room;
        self.next = 0;
    }

    /// A key not below this one is not taken.
    #[inline(always)]
    pub(super) fn bound(&self) -> u64 {
        if self.keys.len() < self.room {
            u64::MAX
        } else {
            self.keys.last().copied().unwrap_or(0)
        }
    }

    /// Take a key that is not here yet, if it is among the nearest. True when it is the one to follow next.
    #[inline(always)]
    pub(super) fn push(&mut self, key: u64) -> bool {
        key < self.bound() && self.insert(key)
    }

    #[inline(always)]
    fn insert(&mut self, key: u64) -> bool {
        if self.keys.len() < self.room {
            self.keys.push(key);
        }
        let last = self.keys.len() - 1;
        let at = if last < FEW {
            self.shift(last, key)
        } else {
            let at = self.keys[..last].partition_point(|&other| other < key);
            self.keys.copy_within(at..last, at + 1);
            at
        };
        self.keys[at] = key;
        let is_next = at <= self.next;
        self.next = self.next.min(at);
        is_next
    }

    /// Move what is beyond a key by one place, from the last on. Gives where the key belongs.
    #[inline(always)]
    fn shift(&mut self, last: usize, key: u64) -> usize {
        let keys = &mut self.keys[..=last];
        let mut at = last;
        while at > 0 && keys[at - 1] > key {
            keys[at] = keys[at - 1];
            at -= 1;
        }
        at
    }

    /// The place that [`Self::follow`] gives next.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<u32> {
        self.keys.get(self.next).map(|&key| place(key))
    }

    /// The nearest that was not followed yet.
    #[inline(always)]
    pub(super) fn follow(&mut self) -> Option<u32> {
        let found = self.keys.get_mut(self.next)?;
        *found |= 1;
        let place = place(*found);
        self.next += 1;
        while self.keys.get(self.next).is_some_and(|key| key & 1 == 1) {
            self.next += 1;
        }
        Some(place)
    }

    /// All keys, the nearest first.
    pub(super) fn keys(&self) -> &[u64] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_as_distances_then_places() {
        let distances = [f32::NEG_INFINITY, -2.5, -1e-30, 0.0, 1e-30, 1.0, 3.0e38];
        for pair in distances.windows(2) {
            assert!(key(pair[0], u32::MAX >> 1) < key(pair[1], 0), "{pair:?}");
        }
        assert_eq!(key(-0.0, 7), key(0.0, 7));
        assert!(key(1.0, 3) < key(1.0, 4));
        for wanted in distances {
            assert_eq!(distance(key(wanted, 9)), wanted);
            assert_eq!(place(key(wanted, 9) | 1), 9);
        }
    }

    #[test]
    fn the_nearest_are_kept_and_followed_in_order() {
        // Against a sorted list, with keys that arrive while others are followed.
        let mut state = 11_u64;
        let mut random = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            state >> 33
        };
        for room in [1, 2, 7, 64] {
            let mut nearest = Nearest::default();
            nearest.begin(room);
            let (mut seen, mut followed) = (Vec::new(), Vec::new());
            for at in 0..500_u32 {
                let new = key((random() % 100) as f32, at);
                let is_next = nearest.push(new);
                assert_eq!(is_next, nearest.peek() == Some(at), "place {at}");
                seen.push(new);
                seen.sort_unstable();
                seen.truncate(room);
                if random() % 3 == 0 {
                    let expected = seen.iter().map(|&key| place(key));
                    let expected = expected.into_iter().find(|place| !followed.contains(place));
                    assert_eq!(nearest.peek(), expected);
                    assert_eq!(nearest.follow(), expected);
                    followed.extend(expected);
                }
            }
            let kept: Vec<u64> = nearest.keys().iter().map(|key| key & !1).collect();
            assert_eq!(kept, seen);
        }
    }
}
