//! No kernel reads a byte outside of a row: rows end where memory ends, or begin where it begins.
#![cfg(target_os = "linux")]

use std::ptr::null_mut;
use std::slice;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use sopasync_vector::random::Random;
use sopasync_vector::{Element, Kernel, Level, Metric, Space};

const PAGES_BYTES: usize = 64 << 10; // a multiple of the page size of any machine

/// Memory that can be used, between memory that must not be touched.
struct Guarded {
    start: *mut u8,
}

impl Guarded {
    fn new() -> Self {
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: new memory, of which nobody knows.
        let start =
            unsafe { mmap_anonymous(null_mut(), PAGES_BYTES * 3, flags, MapFlags::PRIVATE) };
        let start = start.expect("memory").cast::<u8>();
        for guard in [0, 2] {
            // SAFETY: a third of the memory above.
            let guarded = unsafe {
                mprotect(
                    start.add(guard * PAGES_BYTES).cast(),
                    PAGES_BYTES,
                    MprotectFlags::empty(),
                )
            };
            guarded.expect("a guard");
        }
        Self { start }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the middle third, which can be read and written, and is borrowed with `self`.
        unsafe { slice::from_raw_parts_mut(self.start.add(PAGES_BYTES), PAGES_BYTES) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped.
        unsafe { munmap(self.start.cast(), PAGES_BYTES * 3) }.expect("the memory is mapped");
    }
}

#[test]
fn rows_at_the_edge_of_memory_are_measured() {
    let (mut memory, mut query_memory) = (Guarded::new(), Guarded::new());
    let mut random = Random::new(1);
    let spaces = [
        (Metric::L2, Element::F32),
        (Metric::L2, Element::F16),
        (Metric::Cosine, Element::F16),
        (Metric::L2, Element::I8),
        (Metric::Cosine, Element::I8),
        (Metric::Hamming, Element::Bits),
    ];
    for dimension in (1..=130).chain([384]) {
        for (metric, element) in spaces {
            let space = Space::new(metric, element, dimension).unwrap();
            // Rows one after the other, so many that every form has whole groups and a rest.
            let (bytes, count) = (space.prepared_bytes(), 7);
            let rows: Vec<u8> = (0..bytes * count)
                .map(|_| random.below(0x3c) as u8)
                .collect();
            for level in Level::here() {
                let kernel = Kernel::at(&space, level);
                let expected: Vec<u32> = rows
                    .chunks_exact(bytes)
                    .map(|row| kernel.distance(&rows[..bytes], row).to_bits())
                    .collect();
                for at_end in [true, false] {
                    let place = |size: usize| {
                        if at_end {
                            PAGES_BYTES - size..PAGES_BYTES
                        } else {
                            0..size
                        }
                    };
                    let query = &mut query_memory.bytes()[place(bytes)];
                    query.copy_from_slice(&rows[..bytes]);
                    let guarded = &mut memory.bytes()[place(rows.len())];
                    guarded.copy_from_slice(&rows);
                    let (mut many, mut gathered, mut batch) =
                        (vec![0.0; count], vec![0.0; count], vec![0.0; count * count]);
                    kernel.many(query, guarded, &mut many);
                    kernel.gather(
                        query,
                        guarded,
                        &(0..count as u32).collect::<Vec<_>>(),
                        &mut gathered,
                    );
                    kernel.batch(guarded, guarded, &mut batch);
                    let same = |found: &[f32]| {
                        found
                            .iter()
                            .map(|found| found.to_bits())
                            .eq(expected.iter().copied())
                    };
                    assert!(
                        same(&many) && same(&gathered) && same(&batch[..count]),
                        "K1: {level}, {space:?}"
                    );
                }
            }
        }
    }
}
