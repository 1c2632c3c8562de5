//! Sealing: columns of either kind, merged into one, slots renumbered, some left out.

use super::open::{Field, SealedColumns, numbers};
use super::{HEADER_BYTES, MAGIC, ROW_BYTES};
use crate::columns::{Column, Columns};
use crate::error::{Error, Result};

/// In a mapping: this slot is left out.
pub const DROPPED: u32 = u32::MAX;

/// Columns that are sealed, and the new number of each of their slots.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    columns: &'a dyn Mergeable,
    slots: Numbers<'a>,
}

#[derive(Clone, Copy)]
enum Numbers<'a> {
    AsTheyAre,
    Listed(&'a [u32]),
    Computed(&'a dyn Renumber),
}

/// New numbers of slots that need no list.
pub trait Renumber {
    /// How many slots there are.
    fn slots(&self) -> u32;
    /// The number of a slot among these; none when it is left out.
    fn renumber(&self, slot: u32) -> Option<u32>;
    /// One more than the highest number.
    fn end(&self) -> u32;
}

impl<'a> Part<'a> {
    /// All slots, with the numbers they have.
    pub fn whole(columns: &'a impl Sealable) -> Self {
        Self {
            columns: columns.mergeable(),
            slots: Numbers::AsTheyAre,
        }
    }

    /// The slots with a new number that is not `DROPPED`; no two slots of all parts share one.
    ///
    /// # Panics
    /// When there is not one number for every slot.
    pub fn mapped(columns: &'a impl Sealable, slots: &'a [u32]) -> Self {
        let columns = columns.mergeable();
        assert_eq!(slots.len(), columns.slots() as usize, "a number per slot");
        Self {
            columns,
            slots: Numbers::Listed(slots),
        }
    }

    /// The slots that have a number; no two of all parts share one.
    ///
    /// # Panics
    /// When the columns have another number of slots.
    pub fn renumbered(columns: &'a impl Sealable, slots: &'a dyn Renumber) -> Self {
        let columns = columns.mergeable();
        assert_eq!(slots.slots(), columns.slots(), "a number per slot");
        Self {
            columns,
            slots: Numbers::Computed(slots),
        }
    }

    fn renumber(&self, slot: u32) -> Result<Option<u32>> {
        if slot >= self.columns.slots() {
            return Err(Error::damaged("a slot is outside"));
        }
        Ok(match self.slots {
            Numbers::AsTheyAre => Some(slot),
            Numbers::Listed(slots) => Some(slots[slot as usize]).filter(|&slot| slot != DROPPED),
            Numbers::Computed(slots) => slots.renumber(slot),
        })
    }

    /// One more than the highest number.
    fn end(&self) -> u32 {
        match self.slots {
            Numbers::AsTheyAre => self.columns.slots(),
            Numbers::Computed(slots) => slots.end(),
            Numbers::Listed(slots) => slots
                .iter()
                .filter(|&&slot| slot != DROPPED)
                .max()
                .map_or(0, |highest| highest + 1),
        }
    }
}

/// Columns that can be sealed: `Columns` and `SealedColumns`.
pub trait Sealable: private::Sealed {
    #[doc(hidden)]
    fn mergeable(&self) -> &dyn Mergeable;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Columns {}
    impl<B: AsRef<[u8]>> Sealed for super::SealedColumns<B> {}
}

/// What merging needs of columns of either kind.
#[doc(hidden)]
pub trait Mergeable {
    fn slots(&self) -> u32;
    fn names(&self) -> Result<Vec<Vec<u8>>>;
    /// The slots that have the field.
    fn present<'c>(&'c self, name: &[u8]) -> Result<SlotList<'c>>;
    /// The keys of a field in order, each with its slots; none when there is no such field.
    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>>;
}

/// Keys in order, each with its slots.
#[doc(hidden)]
pub type Entries<'c> = Box<dyn Iterator<Item = Result<(&'c [u8], SlotList<'c>)>> + 'c>;

/// Slots, where they lie.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum SlotList<'c> {
    Listed(&'c [u32]),
    Packed(&'c [u8]),
    UpTo(u32),
}

impl SlotList<'_> {
    fn each(self, mut each: impl FnMut(u32) -> Result<()>) -> Result<()> {
        match self {
            Self::Listed(slots) => slots.iter().try_for_each(|slot| each(*slot)),
            Self::Packed(bytes) => numbers(bytes).try_for_each(each),
            Self::UpTo(end) => (0..end).try_for_each(each),
        }
    }
}

impl Sealable for Columns {
    fn mergeable(&self) -> &dyn Mergeable {
        self
    }
}

impl<B: AsRef<[u8]>> Sealable for SealedColumns<B> {
    fn mergeable(&self) -> &dyn Mergeable {
        self
    }
}

impl Mergeable for Columns {
    fn slots(&self) -> u32 {
        Columns::slots(self)
    }

    fn names(&self) -> Result<Vec<Vec<u8>>> {
        Ok(Columns::names(self).map(<[u8]>::to_vec).collect())
    }

    fn present<'c>(&'c self, name: &[u8]) -> Result<SlotList<'c>> {
        let column = self.column(name);
        Ok(SlotList::Listed(
            column.map_or(&[], |column| &column.present),
        ))
    }

    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>> {
        let pairs = |column: &'c Column| column.values.iter();
        Ok(Box::new(self.column(name).into_iter().flat_map(pairs).map(
            |(key, slots)| Ok((&**key, SlotList::Listed(slots.as_slice()))),
        )))
    }
}

impl<B: AsRef<[u8]>> SealedColumns<B> {
    fn named(&self, name: &[u8]) -> Result<Option<Field<'_>>> {
        match std::str::from_utf8(name) {
            Ok(name) => self.field(name),
            // Names that are no text are not to be searched for; the few there may be are looked for one by one.
            Err(_) => (0..self.fields())
                .map(|index| self.field_at(index))
                .find(|field| field.as_ref().map_or(true, |field| field.name == name))
                .transpose(),
        }
    }
}

impl<B: AsRef<[u8]>> Mergeable for SealedColumns<B> {
    fn slots(&self) -> u32 {
        SealedColumns::slots(self)
    }

    fn names(&self) -> Result<Vec<Vec<u8>>> {
        (0..self.fields())
            .map(|index| Ok(self.field_at(index)?.name.to_vec()))
            .collect()
    }

    fn present<'c>(&'c self, name: &[u8]) -> Result<SlotList<'c>> {
        Ok(match self.named(name)? {
            Some(field) => field
                .present()
                .map_or(SlotList::UpTo(self.slots()), SlotList::Packed),
            None => SlotList::Listed(&[]),
        })
    }

    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>> {
        let entry = |field: Field<'c>, code| {
            let slots = field.packed_slots(code, code + 1)?;
            Ok((field.key(code)?, SlotList::Packed(slots)))
        };
        Ok(match self.named(name)? {
            Some(field) => Box::new((0..field.keys()).map(move |code| entry(field, code))),
            None => Box::new(std::iter::empty()),
        })
    }
}

/// Writes the columns of all parts as one; their slots are numbered up to the highest number of any.
pub fn seal(parts: &[Part<'_>]) -> Result<Vec<u8>> {
    let plan = Plan::of(parts)?;
    let mut out = vec![0; plan.bytes()];
    plan.write(&mut out)?;
    Ok(out)
}

/// What the columns of all parts become as one, and how many bytes that takes: known before a place for them is.
pub struct Plan<'p, 'a> {
    parts: &'p [Part<'a>],
    slots: u32,
    fields: Vec<Planned>,
    bytes: usize,
}

/// A field of at least one slot.
#[derive(Default)]
struct Planned {
    name: Vec<u8>,
    present: usize,
    keys: usize,
    key_bytes: usize,
    postings: usize,
    /// Every slot has exactly one value.
    single: bool,
}

/// Where the arrays of a field begin.
struct Places {
    name: usize,
    present: usize,
    key_ends: usize,
    posting_ends: usize,
    postings: usize,
    keys: usize,
    end: usize,
}

impl Planned {
    fn of(parts: &[Part<'_>], name: Vec<u8>, slots: u32) -> Result<Self> {
        let mut planned = Self {
            name,
            ..Self::default()
        };
        present(parts, &planned.name, |_| planned.present += 1)?;
        let (mut seen, mut once) = (Vec::new(), planned.present == slots as usize);
        if once {
            seen = vec![0_u64; planned.present.div_ceil(64)];
        }
        let (mut keys, mut key_bytes, mut postings) = (0, 0, 0);
        merge(parts, &planned.name, |key, lists| {
            let before = postings;
            each_of(lists, |slot| {
                postings += 1;
                if once {
                    let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
                    once = seen[word] & bit == 0;
                    seen[word] |= bit;
                }
            })?;
            if postings > before {
                keys += 1;
                key_bytes += key.len();
            }
            Ok(())
        })?;
        (planned.keys, planned.key_bytes, planned.postings) = (keys, key_bytes, postings);
        // As many values as slots, and every slot there: one each, unless a slot has none and another has two.
        planned.single = once && postings == planned.present;
        count(planned.key_bytes, "bytes of values")?;
        count(planned.postings, "values")?;
        Ok(planned)
    }

    /// The places, from `start` on.
    fn places(&self, start: usize, slots: u32) -> Places {
        let listed = if self.present == slots as usize {
            0
        } else {
            self.present
        };
        let present = (start + self.name.len()).next_multiple_of(4);
        let key_ends = present + listed * 4;
        let posting_ends = key_ends + self.keys * 4;
        let postings = posting_ends + self.keys * 4;
        let keys = postings + self.postings * 4;
        Places {
            name: start,
            present,
            key_ends,
            posting_ends,
            postings,
            keys,
            end: (keys + self.key_bytes).next_multiple_of(4),
        }
    }

    fn row(&self, at: &Places) -> Result<[u8; ROW_BYTES]> {
        let mut row = [0; ROW_BYTES];
        let mut put = |at: usize, bytes: &[u8]| row[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &(at.name as u64).to_le_bytes());
        put(8, &count(self.name.len(), "bytes of a name")?.to_le_bytes());
        put(12, &u32::from(self.single).to_le_bytes());
        put(16, &(at.present as u64).to_le_bytes());
        put(24, &count(self.present, "slots")?.to_le_bytes());
        put(28, &count(self.keys, "values")?.to_le_bytes());
        put(32, &(at.key_ends as u64).to_le_bytes());
        put(40, &(at.keys as u64).to_le_bytes());
        put(48, &(at.posting_ends as u64).to_le_bytes());
        put(56, &(at.postings as u64).to_le_bytes());
        put(64, &(self.postings as u64).to_le_bytes());
        Ok(row)
    }

    fn write(&self, parts: &[Part<'_>], at: &Places, out: &mut [u8]) -> Result<()> {
        out[at.name..at.name + self.name.len()].copy_from_slice(&self.name);
        let listed = &mut out[at.present..at.key_ends];
        if !listed.is_empty() {
            let mut list = List::new(listed);
            present(parts, &self.name, |slot| list.push(slot))?;
            list.sort_from(0);
        }
        let (ends, rest) = out[at.key_ends..at.end].split_at_mut(at.postings - at.key_ends);
        let (key_ends, posting_ends) = ends.split_at_mut(at.posting_ends - at.key_ends);
        let (postings, keys) = rest.split_at_mut(at.keys - at.postings);
        let (mut key_ends, mut posting_ends) = (List::new(key_ends), List::new(posting_ends));
        let (mut postings, mut key_end) = (List::new(postings), 0);
        merge(parts, &self.name, |key, lists| {
            let start = postings.used;
            each_of(lists, |slot| postings.push(slot))?;
            if postings.used > start {
                postings.sort_from(start);
                keys[key_end..key_end + key.len()].copy_from_slice(key);
                key_end += key.len();
                key_ends.push(key_end as u32);
                posting_ends.push(postings.used as u32);
            }
            Ok(())
        })
    }
}

/// Packed numbers that are filled in.
struct List<'o> {
    numbers: &'o mut [[u8; 4]],
    used: usize,
}

impl<'o> List<'o> {
    fn new(bytes: &'o mut [u8]) -> Self {
        Self {
            numbers: bytes.as_chunks_mut().0,
            used: 0,
        }
    }

    fn push(&mut self, number: u32) {
        self.numbers[self.used] = number.to_le_bytes();
        self.used += 1;
    }

    fn sort_from(&mut self, start: usize) {
        self.numbers[start..self.used].sort_unstable_by_key(|number| u32::from_le_bytes(*number));
    }
}

impl<'p, 'a> Plan<'p, 'a> {
    /// Goes through all parts once.
    pub fn of(parts: &'p [Part<'a>]) -> Result<Self> {
        let slots = parts.iter().map(Part::end).max().unwrap_or(0);
        let mut names = Vec::new();
        for part in parts {
            names.extend(part.columns.names()?);
        }
        names.sort_unstable();
        names.dedup();
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let planned = Planned::of(parts, name, slots)?;
            if planned.present > 0 {
                fields.push(planned);
            }
        }
        count(fields.len(), "fields")?;
        let first = HEADER_BYTES + fields.len() * ROW_BYTES;
        let end = |start, field: &Planned| field.places(start, slots).end;
        Ok(Self {
            parts,
            slots,
            bytes: fields.iter().fold(first, end),
            fields,
        })
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes it in the place of as many zeros; goes through all parts once more.
    pub fn write(&self, out: &mut [u8]) -> Result<()> {
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.slots.to_le_bytes());
        out[12..16].copy_from_slice(&count(self.fields.len(), "fields")?.to_le_bytes());
        let mut start = HEADER_BYTES + self.fields.len() * ROW_BYTES;
        for (index, field) in self.fields.iter().enumerate() {
            let places = field.places(start, self.slots);
            let row = HEADER_BYTES + index * ROW_BYTES;
            out[row..row + ROW_BYTES].copy_from_slice(&field.row(&places)?);
            field.write(self.parts, &places, out)?;
            start = places.end;
        }
        Ok(())
    }
}

/// The new numbers of the slots that have a field, part by part.
fn present(parts: &[Part<'_>], name: &[u8], mut each: impl FnMut(u32)) -> Result<()> {
    for part in parts {
        part.columns.present(name)?.each(|slot| {
            part.renumber(slot)?.into_iter().for_each(&mut each);
            Ok(())
        })?;
    }
    Ok(())
}

/// Slots of several parts.
type Lists<'l> = [(&'l Part<'l>, SlotList<'l>)];

/// The new numbers of slots.
fn each_of(lists: &Lists<'_>, mut each: impl FnMut(u32)) -> Result<()> {
    for (part, slots) in lists {
        slots.each(|slot| {
            part.renumber(slot)?.into_iter().for_each(&mut each);
            Ok(())
        })?;
    }
    Ok(())
}

/// Hands over each key of a field once, in order, with its slots in all parts.
fn merge<'a>(
    parts: &'a [Part<'a>],
    name: &[u8],
    mut each: impl FnMut(&[u8], &Lists<'_>) -> Result<()>,
) -> Result<()> {
    let mut cursors = Vec::with_capacity(parts.len());
    for part in parts {
        let mut entries = part.columns.entries(name)?;
        let head = entries.next().transpose()?;
        cursors.push((part, head, entries));
    }
    let mut lists = Vec::with_capacity(parts.len());
    // Parts are few, so the least key is looked for among all.
    while let Some(key) = cursors
        .iter()
        .filter_map(|(_, head, _)| head.as_ref().map(|(key, _)| *key))
        .min()
    {
        lists.clear();
        for (part, head, entries) in &mut cursors {
            if let Some((_, slots)) = head.take_if(|(found, _)| *found == key) {
                lists.push((*part, slots));
                *head = entries.next().transpose()?;
            }
        }
        each(key, &lists)?;
    }
    Ok(())
}

fn count(number: usize, what: &'static str) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::TooLarge { what })
}
