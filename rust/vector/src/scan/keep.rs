//! Which rows take part in a scan, 64 at a time.

/// Rows that take part.
pub trait Keep {
    /// Bit `i` says whether row `64 * index + i` takes part. Asked for are `count` rows, 1 to 64; the bits above
    /// may be anything.
    fn word(&self, index: usize, count: usize) -> u64;
}

/// Every row.
#[derive(Clone, Copy, Debug)]
pub struct All;

impl Keep for All {
    #[inline]
    fn word(&self, _: usize, _: usize) -> u64 {
        u64::MAX
    }
}

/// Those whose bit is set; none after the last word.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(pub &'a [u64]);

impl Keep for Words<'_> {
    #[inline]
    fn word(&self, index: usize, _: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// Those for which a function says so; it is asked about rows that exist, alone.
#[derive(Clone, Copy, Debug)]
pub struct Each<F>(pub F);

impl<F: Fn(u32) -> bool> Keep for Each<F> {
    #[inline]
    fn word(&self, index: usize, count: usize) -> u64 {
        let first = index as u32 * 64;
        (0..count as u32).fold(0, |word, bit| {
            word | (u64::from((self.0)(first + bit)) << bit)
        })
    }
}

/// Those that both keep; the second is asked where the first keeps any.
impl<A: Keep, B: Keep> Keep for (A, B) {
    #[inline]
    fn word(&self, index: usize, count: usize) -> u64 {
        let word = self.0.word(index, count);
        if word == 0 {
            0
        } else {
            word & self.1.word(index, count)
        }
    }
}

impl<K: Keep + ?Sized> Keep for &K {
    #[inline]
    fn word(&self, index: usize, count: usize) -> u64 {
        (**self).word(index, count)
    }
}

/// Rows to choose from.
pub enum Among<'a> {
    /// Their slots, ascending.
    Slots(&'a [u32]),
    /// Those that are kept.
    Kept(&'a dyn Keep),
}

impl std::fmt::Debug for Among<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Slots(slots) => write!(formatter, "Among {} slots", slots.len()),
            Self::Kept(_) => formatter.write_str("Among kept rows"),
        }
    }
}

/// The word without the bits of rows that do not exist.
#[inline]
pub(crate) fn kept(keep: &impl Keep, index: usize, rows: usize) -> u64 {
    let count = (rows - index * 64).min(64);
    keep.word(index, count) & (u64::MAX >> (64 - count))
}

/// Call a function with the place of every bit that is set.
#[inline]
pub(super) fn each_bit(mut word: u64, mut found: impl FnMut(usize)) {
    while word != 0 {
        found(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}
