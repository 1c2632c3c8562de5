//! Eight bits per element: the difference to the centre, divided by a scale so that its largest element is 127.
//!
//! The query is coded in the same way, so that the inner product is one of whole numbers, times both scales.

use super::coder::{Coder, elements};
use super::{BLOCK_ROWS, Estimator, parts};
use crate::Kernel;
use crate::space::{Element, Metric, Space};

/// Code a vector; returns its scale.
pub fn encode(values: &[f32], out: &mut [u8]) -> f32 {
    let largest = values
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    // A largest element so small that its inverse overflows is as good as zero.
    let inverse = if largest > f32::MIN_POSITIVE {
        127.0 / largest
    } else {
        0.0
    };
    for (out, value) in out.iter_mut().zip(values) {
        *out = (value * inverse).round_ties_even() as i8 as u8;
    }
    scale
}

pub struct Query {
    kernel: Kernel,
    code: Vec<u8>,
    /// What the sum of products is multiplied with, but for the row's factor.
    slope: f32,
    constant: f32,
    code_bytes: usize,
}

impl Query {
    pub fn new(coder: &Coder, query: &[u8]) -> Self {
        let space = coder.space;
        let mut values = Vec::new();
        elements(&space, query, &mut values);
        let (slope, constant) = measure(&space, &coder.centre, &mut values);
        let mut code = vec![0; values.len()];
        let scale = encode(&values, &mut code);
        let products = Space::new(Metric::InnerProduct, Element::I8, space.dimension())
            .expect("a space of bytes");
        // The kernel's distance is the negative sum of products.
        let slope = -slope * scale;
        Self {
            kernel: Kernel::of(&products),
            slope,
            constant,
            code_bytes: code.len() * BLOCK_ROWS,
            code,
        }
    }
}

impl Estimator for Query {
    #[inline]
    fn estimate(&self, block: &[u8], out: &mut [f32; BLOCK_ROWS]) {
        let (codes, factors, constants) = parts(block);
        debug_assert_eq!(codes.len(), self.code_bytes);
        self.kernel.many(&self.code, codes, out);
        for ((out, factor), constant) in out.iter_mut().zip(factors).zip(constants) {
            let (factor, constant) = (f32::from_le_bytes(*factor), f32::from_le_bytes(*constant));
            *out = self.constant + constant + self.slope * factor * *out;
        }
    }
}

/// Move a query to where rows are coded; returns slope and constant of `distance = constant + row's + slope * <q, r - c>`.
pub fn measure(space: &Space, centre: &[f32], query: &mut [f32]) -> (f32, f32) {
    match space.metric() {
        Metric::L2 => {
            for (element, centre) in query.iter_mut().zip(centre) {
                *element -= centre;
            }
            (-2.0, query.iter().map(|element| element * element).sum())
        }
        metric => {
            let product: f32 = query
                .iter()
                .zip(centre)
                .map(|(element, centre)| element * centre)
                .sum();
            (
                -1.0,
                if metric == Metric::Cosine {
                    1.0 - product
                } else {
                    -product
                },
            )
        }
    }
}
