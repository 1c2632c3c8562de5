//! Sealing: columns of either kind, merged into one, slots renumbered, some left out.

use super::open::{Field, SealedColumns};
use super::{HEADER_BYTES, MAGIC, ROW_BYTES};
use crate::columns::{Column, Columns};
use crate::error::{Error, Result};

/// In a mapping: this slot is left out.
pub const DROPPED: u32 = u32::MAX;

/// Columns that are sealed, and the new number of each of their slots.
pub struct Part<'a> {
    columns: &'a dyn Mergeable,
    /// None: as they are.
    slots: Option<&'a [u32]>,
}

impl<'a> Part<'a> {
    /// All slots, with the numbers they have.
    pub fn whole(columns: &'a impl Sealable) -> Self {
        Self {
            columns: columns.mergeable(),
            slots: None,
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
            slots: Some(slots),
        }
    }

    fn renumber(&self, slot: u32) -> Result<Option<u32>> {
        match self.slots {
            None if slot < self.columns.slots() => Ok(Some(slot)),
            None => Err(Error::damaged("a slot is outside")),
            Some(slots) => match slots.get(slot as usize) {
                Some(&DROPPED) => Ok(None),
                Some(&slot) => Ok(Some(slot)),
                None => Err(Error::damaged("a slot is outside")),
            },
        }
    }

    /// One more than the highest number.
    fn end(&self) -> u32 {
        match self.slots {
            None => self.columns.slots(),
            Some(slots) => slots
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
    /// Appends the slots that have the field.
    fn present(&self, name: &[u8], out: &mut Vec<u32>) -> Result<()>;
    /// The keys of a field in order, each with its slots; none when there is no such field.
    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>>;
}

/// Keys in order, each with its slots.
#[doc(hidden)]
pub type Entries<'c> = Box<dyn Iterator<Item = Result<(&'c [u8], Vec<u32>)>> + 'c>;

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

    fn present(&self, name: &[u8], out: &mut Vec<u32>) -> Result<()> {
        out.extend(
            self.column(name)
                .into_iter()
                .flat_map(|column| &column.present),
        );
        Ok(())
    }

    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>> {
        let pairs = |column: &'c Column| column.values.iter();
        Ok(Box::new(self.column(name).into_iter().flat_map(pairs).map(
            |(key, slots)| Ok((&**key, slots.as_slice().to_vec())),
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

    fn present(&self, name: &[u8], out: &mut Vec<u32>) -> Result<()> {
        if let Some(field) = self.named(name)? {
            match field.present() {
                Some(slots) => out.extend(slots),
                None => out.extend(0..self.slots()),
            }
        }
        Ok(())
    }

    fn entries<'c>(&'c self, name: &[u8]) -> Result<Entries<'c>> {
        let entry =
            |field: Field<'c>, code| Ok((field.key(code)?, field.slots_of(code)?.collect()));
        Ok(match self.named(name)? {
            Some(field) => Box::new((0..field.keys()).map(move |code| entry(field, code))),
            None => Box::new(std::iter::empty()),
        })
    }
}

/// Writes the columns of all parts as one; their slots are numbered up to the highest number of any.
pub fn seal(parts: &[Part<'_>]) -> Result<Vec<u8>> {
    let slots = parts.iter().map(Part::end).max().unwrap_or(0);
    let mut names = Vec::new();
    for part in parts {
        names.extend(part.columns.names()?);
    }
    names.sort_unstable();
    names.dedup();
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let present = present(parts, &name)?;
        if !present.is_empty() {
            fields.push((name, present));
        }
    }
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(slots.to_le_bytes());
    out.extend(count(fields.len(), "fields")?.to_le_bytes());
    out.resize(HEADER_BYTES + fields.len() * ROW_BYTES, 0);
    for (index, (name, present)) in fields.iter().enumerate() {
        let row = write_field(&mut out, parts, name, present, slots)?;
        let at = HEADER_BYTES + index * ROW_BYTES;
        out[at..at + ROW_BYTES].copy_from_slice(&row);
    }
    Ok(out)
}

fn present(parts: &[Part<'_>], name: &[u8]) -> Result<Vec<u32>> {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for part in parts {
        old.clear();
        part.columns.present(name, &mut old)?;
        for &slot in &old {
            new.extend(part.renumber(slot)?);
        }
    }
    new.sort_unstable();
    Ok(new)
}

fn write_field(
    out: &mut Vec<u8>,
    parts: &[Part<'_>],
    name: &[u8],
    present: &[u32],
    slots: u32,
) -> Result<[u8; ROW_BYTES]> {
    let merged = merge(parts, name)?;
    let present_count = count(present.len(), "slots")?;
    let everywhere = present_count == slots;
    // As many values as slots, and every slot there: one each, unless a slot has none and another has two.
    let single = everywhere && merged.postings.len() == present.len() && one_each(&merged, slots);
    let name_at = append(out, name);
    align(out);
    let present_at = out.len() as u64;
    if !everywhere {
        present
            .iter()
            .for_each(|slot| out.extend(slot.to_le_bytes()));
    }
    let key_ends_at = append_numbers(out, &merged.key_ends);
    let posting_ends_at = append_numbers(out, &merged.posting_ends);
    let postings_at = append_numbers(out, &merged.postings);
    let keys_at = append(out, &merged.keys);
    align(out);

    let mut row = [0; ROW_BYTES];
    let mut put = |at: usize, bytes: &[u8]| row[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name_at.to_le_bytes());
    put(8, &count(name.len(), "bytes of a name")?.to_le_bytes());
    put(12, &u32::from(single).to_le_bytes());
    put(16, &present_at.to_le_bytes());
    put(24, &present_count.to_le_bytes());
    put(28, &count(merged.key_ends.len(), "values")?.to_le_bytes());
    put(32, &key_ends_at.to_le_bytes());
    put(40, &keys_at.to_le_bytes());
    put(48, &posting_ends_at.to_le_bytes());
    put(56, &postings_at.to_le_bytes());
    put(64, &(merged.postings.len() as u64).to_le_bytes());
    Ok(row)
}

#[derive(Default)]
struct Merged {
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    postings: Vec<u32>,
    posting_ends: Vec<u32>,
}

fn merge(parts: &[Part<'_>], name: &[u8]) -> Result<Merged> {
    let mut cursors = Vec::with_capacity(parts.len());
    for part in parts {
        let mut entries = part.columns.entries(name)?;
        let head = entries.next().transpose()?;
        cursors.push((part, head, entries));
    }
    let mut merged = Merged::default();
    // Parts are few, so the least key is looked for among all.
    while let Some(key) = cursors
        .iter()
        .filter_map(|(_, head, _)| head.as_ref().map(|(key, _)| *key))
        .min()
    {
        let start = merged.postings.len();
        for (part, head, entries) in &mut cursors {
            if let Some((_, slots)) = head.take_if(|(found, _)| *found == key) {
                for slot in slots {
                    merged.postings.extend(part.renumber(slot)?);
                }
                *head = entries.next().transpose()?;
            }
        }
        if merged.postings.len() > start {
            merged.postings[start..].sort_unstable();
            merged.keys.extend_from_slice(key);
            merged
                .key_ends
                .push(count(merged.keys.len(), "bytes of values")?);
            merged
                .posting_ends
                .push(count(merged.postings.len(), "values")?);
        }
    }
    Ok(merged)
}

fn one_each(merged: &Merged, slots: u32) -> bool {
    let mut seen = vec![false; slots as usize];
    merged
        .postings
        .iter()
        .all(|&slot| !std::mem::replace(&mut seen[slot as usize], true))
}

fn count(number: usize, what: &'static str) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::TooLarge { what })
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    let at = out.len() as u64;
    out.extend_from_slice(bytes);
    at
}

fn append_numbers(out: &mut Vec<u8>, numbers: &[u32]) -> u64 {
    let at = out.len() as u64;
    numbers
        .iter()
        .for_each(|number| out.extend(number.to_le_bytes()));
    at
}

/// Numbers begin at a multiple of four.
fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}
