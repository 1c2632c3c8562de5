//! Random edits against a plain map: contents, counts, ranks, cursors, comparisons, and trees of
//! earlier moments that must not change.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::*;
use crate::disk::File;
use crate::page::{Cell, ChildRef, encode_inline};
use crate::pager::Pager;

/// A page file nobody may read: in these tests every page stays in memory.
struct NoFile;

impl File for NoFile {
    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::Error::other("nothing was written"))
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695);
        (self.0 >> 33) % limit
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn agree<P: Pages>(pages: &P, root: Option<ChildRef>, model: &Model, seed: u64) {
    assert_eq!(
        root.map_or(0, |root| root.count),
        model.len() as u64,
        "seed {seed}: count"
    );
    let mut cursor = Cursor::seek(pages, root, Bound::Unbounded).unwrap();
    let mut found = Vec::new();
    while let Some((leaf, index)) = cursor.next().unwrap() {
        found.push((leaf.key(index), leaf.payload(index).to_vec()));
        if let Some(root) = root {
            check_path(pages, root, &leaf.key(index));
        }
    }
    let expected: Vec<_> = model.iter().map(|(k, v)| (k.clone(), payload(v))).collect();
    assert_eq!(found, expected, "seed {seed}: forward");
    let mut back = Vec::new();
    let mut cursor = Cursor::end(pages, root).unwrap();
    while let Some((leaf, index)) = cursor.previous().unwrap() {
        back.push((leaf.key(index), leaf.payload(index).to_vec()));
    }
    back.reverse();
    assert_eq!(back, expected, "seed {seed}: backward");
}

/// Layout, fences against separators, levels and counts on the way to one key.
fn check_path<P: Pages>(pages: &P, root: ChildRef, key: &[u8]) {
    let mut at = root;
    let mut fences: Option<(Vec<u8>, Option<Vec<u8>>)> = None;
    loop {
        let node = pages.node(at.page).unwrap();
        assert_eq!(node.faults(), Vec::<String>::new());
        if let Some((lower, upper)) = &fences {
            assert_eq!(
                (node.lower(), node.upper()),
                (lower.as_slice(), upper.as_deref())
            );
        }
        if node.is_leaf() {
            assert_eq!(node.count() as u64, at.count);
            return;
        }
        let total: u64 = (0..node.count()).map(|i| node.child(i).count).sum();
        assert_eq!(total, at.count);
        let index = node.child_index(key);
        let upper = if index + 1 < node.count() {
            Some(node.key(index + 1))
        } else {
            node.upper().map(<[u8]>::to_vec)
        };
        fences = Some((node.key(index), upper));
        assert_eq!(
            pages.node(node.child(index).page).unwrap().level() + 1,
            node.level()
        );
        at = node.child(index);
    }
}

fn payload(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_inline(&mut out, &[], value);
    out
}

fn random_key(random: &mut Random, style: u64) -> Vec<u8> {
    match style {
        0 => random.below(300).to_be_bytes().to_vec(),
        1 => format!("prefix/of/some/length/{}", random.below(500)).into_bytes(),
        2 => vec![b'k'; 1 + random.below(40) as usize],
        3 => {
            let mut key = vec![b'x'; random.below(4) as usize * 700];
            key.extend(random.below(100).to_be_bytes());
            key
        }
        _ => (0..random.below(5))
            .map(|_| random.below(4) as u8)
            .collect(),
    }
}

struct Tip {
    pager: Pager,
    fresh: Fresh,
    stamp: u64,
}

impl Tip {
    fn reader<'a>(&'a self, guard: &'a epoch::Guard) -> TipReader<'a> {
        TipReader {
            pager: &self.pager,
            guard,
            fresh: &self.fresh,
            stamp: self.stamp,
        }
    }

    /// Puts one entry; the new root, counted.
    fn put(&mut self, root: Option<ChildRef>, key: &[u8], value: &[u8]) -> Option<ChildRef> {
        let guard = epoch::pin();
        let mut finger = Finger::default();
        let mut editor = Editor {
            pager: &self.pager,
            guard: &guard,
            fresh: &mut self.fresh,
            finger: &mut finger,
            stamp: self.stamp,
            store: 3,
        };
        let put = editor.put(root, key, &payload(value)).unwrap();
        put.map(|root| editor.settle(root))
    }

    fn seal(&mut self) {
        let guard = epoch::pin();
        let pages = self.fresh.seal(self.pager.page_bytes());
        self.pager.install(pages.frames, &guard);
        self.pager.publish(&pages.born, pages.dead, &guard);
        self.stamp += 1;
    }
}

#[test]
fn random_edits_agree_with_a_map_at_every_moment() {
    let (seeds, steps) = if cfg!(miri) { (3, 12) } else { (60, 150) };
    for seed in 0..seeds {
        let mut random = Random(seed);
        let style = seed % 5;
        let page_bytes = [512, 1024, 8192][(seed / 5 % 3) as usize];
        let pager = Pager::new(Arc::new(NoFile), page_bytes, usize::MAX, &[]);
        let mut tip = Tip {
            pager,
            fresh: Fresh::default(),
            stamp: 1,
        };
        let mut root = None;
        let mut model = Model::new();
        let mut group_before = (None, Model::new());
        let mut history = Vec::new();
        for step in 0..steps {
            let mut finger = Finger::default();
            // Some transactions put in order, as those that commit do.
            let mut ordered = Vec::new();
            if random.below(2) == 0 {
                ordered = (0..20).map(|_| random_key(&mut random, style)).collect();
                ordered.sort();
                ordered.reverse();
            }
            let shrinking = step % 60 > 35;
            for _ in 0..1 + random.below(20) {
                let guard = epoch::pin();
                let key = ordered.pop();
                let key = key.unwrap_or_else(|| random_key(&mut random, style));
                let mut editor = Editor {
                    pager: &tip.pager,
                    guard: &guard,
                    fresh: &mut tip.fresh,
                    finger: &mut finger,
                    stamp: tip.stamp,
                    store: 3,
                };
                if random.below(10) < if shrinking { 9 } else { 3 } {
                    root = editor.delete(root, &key).unwrap();
                    model.remove(&key);
                } else {
                    let value = vec![random.below(256) as u8; random.below(120) as usize];
                    root = editor.put(root, &key, &payload(&value)).unwrap();
                    model.insert(key, value);
                }
            }
            let guard = epoch::pin();
            root = root.map(|root| {
                let mut editor = Editor {
                    pager: &tip.pager,
                    guard: &guard,
                    fresh: &mut tip.fresh,
                    finger: &mut finger,
                    stamp: tip.stamp,
                    store: 3,
                };
                editor.settle(root)
            });
            if random.below(6) == 0 {
                tip.fresh.reset(&tip.pager);
                (root, model) = group_before.clone();
            }
            let guard = epoch::pin();
            agree(&tip.reader(&guard), root, &model, seed);
            if random.below(3) == 0 {
                tip.seal();
                group_before = (root, model.clone());
                let pin = tip.pager.live.pin(tip.stamp - 1);
                history.push((root, model.clone(), pin));
                if history.len() > 4 {
                    history.remove(random.below(4) as usize);
                }
            }
        }
        let guard = epoch::pin();
        let reader = tip.reader(&guard);
        for (old_root, old_model, _) in &history {
            agree(&reader, *old_root, old_model, seed);
            compare(
                &reader,
                (*old_root, old_model),
                (root, &model),
                &mut random,
                style,
            );
        }
    }
}

fn compare(
    pages: &TipReader<'_>,
    old: (Option<ChildRef>, &Model),
    new: (Option<ChildRef>, &Model),
    random: &mut Random,
    style: u64,
) {
    for _ in 0..100 {
        let key = random_key(random, style);
        let same = same_at((pages, old.0), (pages, new.0), &key).unwrap();
        assert_eq!(same, old.1.get(&key) == new.1.get(&key));
        let found = get(pages, new.0, &key).unwrap();
        let expected = new.1.get(&key).map(|v| payload(v));
        assert_eq!(found, expected.as_deref().map(Cell::decode));
        let high = random_key(random, style);
        if key < high {
            let range = |model: &Model| -> Vec<(Vec<u8>, Vec<u8>)> {
                model
                    .range(key.clone()..high.clone())
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect()
            };
            let same = same_between((pages, old.0), (pages, new.0), &key, Some(&high)).unwrap();
            assert_eq!(same, range(old.1) == range(new.1));
        }
        let before = new.1.range(..key.clone()).count() as u64;
        assert_eq!(rank(pages, new.0, Bound::Included(&key)).unwrap(), before);
        let mut nth = Cursor::nth(pages, new.0, before).unwrap();
        let expected = new.1.range(key..).next().map(|(k, _)| k.clone());
        assert_eq!(nth.next().unwrap().map(|(leaf, i)| leaf.key(i)), expected);
    }
}

/// Leaves of a tree and the bytes of each.
fn leaves<P: Pages>(pages: &P, at: ChildRef) -> Vec<usize> {
    let node = pages.node(at.page).unwrap();
    if node.is_leaf() {
        return vec![node.size()];
    }
    let below = (0..node.count()).map(|index| leaves(pages, node.child(index)));
    below.flatten().collect()
}

#[test]
fn an_ascending_run_before_other_entries_fills_its_leaves() {
    for seed in 0..if cfg!(miri) { 1 } else { 20 } {
        let mut random = Random(seed);
        let page_bytes = [1024, 8192][(seed % 2) as usize];
        let quarters = seed % 3 == 0;
        let pager = Pager::new(Arc::new(NoFile), page_bytes, usize::MAX, &[]);
        let mut tip = Tip {
            pager,
            fresh: Fresh::default(),
            stamp: 1,
        };
        let (mut root, mut model) = (None, Model::new());
        let mut put = |key: &[u8], value: Vec<u8>| {
            root = tip.put(root, key, &value);
            model.insert(key.to_vec(), value);
        };
        // Given entries of which some share a leaf with what comes before them,
        for number in 0..8u64 {
            put(
                &[b"tail", &number.to_be_bytes()[..]].concat(),
                vec![1; page_bytes / 20],
            );
        }
        // when long entries with keys of any length come in order, of which a leaf holds four or more,
        let mut bytes = 0;
        for number in 0..400u64 {
            let mut key = [b"run", &number.to_be_bytes()[..]].concat();
            key.resize(11 + random.below(12) as usize, b'x');
            let length = random.below(page_bytes as u64 / 5) as usize;
            let value = vec![2; if quarters { page_bytes / 6 } else { length }];
            bytes += key.len() + value.len() + 11; // with its slot and flags
            put(&key, value);
        }
        // then few leaves have room left, and none became longer than a page.
        let guard = epoch::pin();
        let reader = tip.reader(&guard);
        agree(&reader, root, &model, seed);
        let leaves = leaves(&reader, root.unwrap());
        assert!(leaves.iter().all(|size| *size == page_bytes), "{leaves:?}");
        let room = page_bytes - 64 - 2 * 22;
        let most = if quarters {
            400 / 4
        } else {
            bytes * 100 / 88 / room
        } + 5;
        assert!(leaves.len() <= most, "{} leaves of {most}", leaves.len());
    }
}

#[test]
fn long_values_lie_two_in_a_page_or_alone_and_never_in_a_longer_one() {
    for seed in 0..if cfg!(miri) { 1 } else { 24 } {
        let mut random = Random(seed);
        let page_bytes = [512, 1024, 8192, 16_384][(seed % 4) as usize];
        let ascending = seed % 3 == 0;
        let mut tip = Tip {
            pager: Pager::new(Arc::new(NoFile), page_bytes, usize::MAX, &[]),
            fresh: Fresh::default(),
            stamp: 1,
        };
        let longest = tip.pager.inline_bytes_max();
        let (mut root, mut model) = (None, Model::new());
        for number in 0..200u64 {
            let place = if ascending { number } else { random.below(300) };
            let key = place.to_be_bytes()[6..].to_vec();
            // The longest there are, or of any length above a quarter page.
            let shorter = random.below((longest - page_bytes / 4) as u64) as usize;
            let value = vec![1; longest - if seed % 2 == 0 { 0 } else { shorter }];
            root = tip.put(root, &key, &value);
            model.insert(key, value);
        }
        let guard = epoch::pin();
        let reader = tip.reader(&guard);
        agree(&reader, root, &model, seed);
        let leaves = leaves(&reader, root.unwrap());
        assert!(leaves.iter().all(|size| *size == page_bytes), "{leaves:?}");
        // Small pages have no room for two of the longest beside the header.
        let two = ascending && page_bytes >= 8192;
        let most = if two {
            model.len() / 2 + 1
        } else {
            model.len()
        };
        assert!(leaves.len() <= most, "{} leaves of {most}", leaves.len());
    }
}
