//! A random rotation in d log d steps: signs flipped at random, then a Walsh-Hadamard transform, several times
//! (Ailon and Chazelle, "The fast Johnson-Lindenstrauss transform", 2009).
//!
//! The transform takes a power of two of elements. Where the dimension is none, it takes as many of the first and of
//! the last elements in turn, and every round ends by rotating the halves against each other, so that all elements
//! mix.
//!
//! R1. Lengths and inner products do not change, but for rounding.
//! R2. The rotation depends on dimension and seed alone.

use crate::random::Random;

const ROUNDS: usize = 4;

#[derive(Debug)]
pub struct Rotation {
    dimension: usize,
    /// Factors of 1 and -1, `ROUNDS` times `dimension`.
    signs: Vec<f32>,
}

impl Rotation {
    pub fn new(dimension: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let signs = (0..ROUNDS * dimension)
            .map(|_| if random.bits() >> 63 == 0 { 1.0 } else { -1.0 })
            .collect();
        Self { dimension, signs }
    }

    /// Rotate a vector in place.
    pub fn apply(&self, vector: &mut [f32]) {
        assert_eq!(
            vector.len(),
            self.dimension,
            "a vector of another dimension"
        );
        let power = 1 << self.dimension.ilog2();
        let scale = (power as f32).sqrt().recip();
        for (round, signs) in self.signs.chunks_exact(self.dimension).enumerate() {
            let first = if round % 2 == 0 {
                0
            } else {
                self.dimension - power
            };
            for (element, sign) in vector.iter_mut().zip(signs) {
                *element *= sign;
            }
            let part = &mut vector[first..first + power];
            transform(part);
            for element in part {
                *element *= scale;
            }
            if power < self.dimension {
                turn_halves(vector);
            }
        }
    }
}

/// The Walsh-Hadamard transform, which makes lengths `sqrt(n)` times as long.
fn transform(vector: &mut [f32]) {
    let mut half = 1;
    while half < vector.len() {
        for pair in vector.chunks_exact_mut(half * 2) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
}

/// Rotate every element of the first half against one of the second by 45 degrees.
fn turn_halves(vector: &mut [f32]) {
    let (left, right) = vector.split_at_mut(vector.len() / 2);
    for (left, right) in left.iter_mut().zip(right) {
        let (sum, difference) = (*left + *right, *left - *right);
        (*left, *right) = (
            sum * std::f32::consts::FRAC_1_SQRT_2,
            difference * std::f32::consts::FRAC_1_SQRT_2,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_products_stay() {
        let mut random = Random::new(3);
        for dimension in [1, 2, 3, 8, 24, 100, 128, 384, 1000] {
            let rotation = Rotation::new(dimension, 5);
            let mut draw = || {
                (0..dimension)
                    .map(|_| random.normal() as f32)
                    .collect::<Vec<_>>()
            };
            let (mut one, mut other) = (draw(), draw());
            let product = |one: &[f32], other: &[f32]| -> f64 {
                one.iter()
                    .zip(other)
                    .map(|(one, other)| f64::from(*one) * f64::from(*other))
                    .sum()
            };
            let before = [
                product(&one, &other),
                product(&one, &one),
                product(&other, &other),
            ];
            rotation.apply(&mut one);
            rotation.apply(&mut other);
            let after = [
                product(&one, &other),
                product(&one, &one),
                product(&other, &other),
            ];
            for (before, after) in before.iter().zip(after) {
                assert!(
                    (before - after).abs() < 1e-4 * dimension as f64,
                    "R1: {dimension}: {before} became {after}"
                );
            }
        }
    }

    #[test]
    fn one_element_spreads_over_all() {
        for dimension in [64, 96, 100, 384, 768] {
            for at in [0, dimension / 2, dimension - 1] {
                let mut vector = vec![0.0; dimension];
                vector[at] = 1.0;
                Rotation::new(dimension, 11).apply(&mut vector);
                let largest = vector
                    .iter()
                    .fold(0.0_f32, |largest, element| largest.max(element.abs()));
                assert!(
                    largest < 6.0 / (dimension as f32).sqrt(),
                    "{dimension}, {at}: {largest}"
                );
            }
        }
    }
}
