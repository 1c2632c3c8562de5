//! Choosing the steps, and making codes.

use super::super::coder::elements;
use crate::space::{Element, Metric, Space};

/// Rows looked at to choose origin and step.
const SAMPLE_MAX: usize = 2048;

/// And at most so many numbers, give or take two rows: 4 MiB, twice.
const SAMPLE_NUMBERS_MAX: usize = 1 << 20;

/// Of these, rows whose nearest in the sample is looked for.
const QUERIES_MAX: usize = 32;

/// S1: how much larger than the error the distance to the nearest has to be, both squared.
const MARGIN: f64 = 100.0;

/// S2: how much larger than that of rows the error of a query may be, squared.
const QUERY_MARGIN: f32 = 16.0;

/// The part of all elements that is allowed to lie outside the range of a code.
const CLIPPED: f64 = 0.0005;

/// How codes are made.
#[derive(Clone, Debug, PartialEq)]
pub struct Codec {
    pub(crate) origin: Vec<f32>,
    pub(crate) step: f32,
    /// The largest squared error of a query that goes by codes.
    pub(crate) tolerance: f32,
}

/// The space of codes for rows of `space`; none when codes would not be smaller.
pub(crate) fn space_of_codes(space: &Space) -> Option<Space> {
    let metric = match space.metric() {
        Metric::InnerProduct => Metric::InnerProduct,
        Metric::Cosine | Metric::L2 => Metric::L2,
        Metric::Hamming => return None,
    };
    match space.element() {
        Element::F32 | Element::F16 => Space::new(metric, Element::I8, space.dimension()).ok(),
        Element::I8 | Element::Bits => None,
    }
}

impl Codec {
    /// Choose origin and step for prepared rows; none when codes would tell too little: S1.
    #[must_use]
    pub fn fit(space: &Space, rows: &[u8]) -> Option<Self> {
        let codes = space_of_codes(space)?;
        let (dimension, row) = (space.dimension(), space.prepared_bytes());
        let count = rows.len() / row;
        let taken = count
            .min(SAMPLE_MAX)
            .min(SAMPLE_NUMBERS_MAX / dimension + 2);
        if taken < 2 {
            return None; // nothing to compare
        }
        let mut sample = Vec::with_capacity(taken * dimension);
        let mut buffer = Vec::new();
        for at in 0..taken {
            let at = at * count / taken * row;
            elements(space, &rows[at..at + row], &mut buffer);
            sample.extend_from_slice(&buffer);
        }
        let origin = if codes.metric() == Metric::L2 {
            mean(&sample, dimension)
        } else {
            vec![0.0; dimension]
        };
        let mut sizes: Vec<f32> = (sample.iter().zip(origin.iter().cycle()))
            .map(|(element, origin)| (element - origin).abs())
            .collect();
        let at = sizes.len() - 1 - (sizes.len() as f64 * CLIPPED) as usize;
        let (_, &mut size, _) = sizes.select_nth_unstable_by(at, f32::total_cmp);
        let mut codec = Self {
            origin,
            step: size / 127.0,
            tolerance: 0.0,
        };
        // A step may be no number one can divide by: rows that are all alike.
        if !(codec.step > f32::MIN_POSITIVE && codec.step.recip().is_finite()) {
            return None;
        }
        let error = codec.error_of(&sample);
        codec.tolerance = error as f32 * QUERY_MARGIN;
        (usual_nearest(&sample, dimension)? >= MARGIN * 2.0 * error).then_some(codec)
    }

    /// The mean squared error of the sample.
    fn error_of(&self, sample: &[f32]) -> f64 {
        let mut codes = Vec::new();
        let rows = sample.chunks_exact(self.origin.len());
        let count = rows.len();
        let errors = rows.map(|row| {
            codes.clear();
            let error = quantise(row, &self.origin, |element| element, self.step, &mut codes);
            f64::from(error * self.step * self.step)
        });
        errors.sum::<f64>() / count as f64
    }

    /// Append the code of a prepared row. Gives how far from it the row may lie: S3.
    pub(crate) fn encode(
        &self,
        space: &Space,
        row: &[u8],
        buffer: &mut Vec<f32>,
        out: &mut Vec<u8>,
    ) -> f32 {
        elements(space, row, buffer);
        let error = quantise(buffer, &self.origin, |element| element, self.step, out);
        reach(error, space.dimension())
    }
}

/// The distance from a row to its code of that squared error, both in steps, rounded up: S3.
pub(super) fn reach(error: f32, dimension: usize) -> f32 {
    // Off by 3 roundings of a number of at most 128 steps for each element, and by one for each addition.
    error.sqrt() * (1.0 + 1e-3) + 1e-4 * (dimension as f32).sqrt()
}

/// What a code, as a vector of whole numbers, is not longer than.
pub(crate) fn length(code: &[u8]) -> f32 {
    let squares: i32 = code.iter().map(|&byte| i32::from(byte as i8).pow(2)).sum();
    (squares as f32).sqrt() * (1.0 + 1e-6)
}

/// Append the code of a row. Gives the squared error, in steps. `number` makes numbers of the elements of the origin, wherever
/// it lies.
pub(super) fn quantise<O: Copy>(
    elements: &[f32],
    origin: &[O],
    number: impl Fn(O) -> f32,
    step: f32,
    out: &mut Vec<u8>,
) -> f32 {
    // Adding this leaves a small number rounded to a whole one, in the last bits: quicker than a call where the machine may lack
    // an instruction.
    const ROUND: f32 = 12_582_912.0;
    let inverse = step.recip();
    let code = |element: f32, origin: O| {
        let exact = (element - number(origin)) * inverse;
        let rounded = exact.clamp(-127.0, 127.0) + ROUND;
        let off = exact - (rounded - ROUND);
        (rounded.to_bits() as u8, off * off)
    };
    let start = out.len();
    out.resize(start + elements.len(), 0);
    let (codes, last_codes) = out[start..].as_chunks_mut::<8>();
    let (eights, last) = elements.as_chunks::<8>();
    let (origins, last_origin) = origin.as_chunks::<8>();
    // In eight sums: each addition of one alone would wait for the one before.
    let mut errors = [0.0; 8];
    for ((codes, elements), origin) in codes.iter_mut().zip(eights).zip(origins) {
        for at in 0..8 {
            let (found, error) = code(elements[at], origin[at]);
            codes[at] = found;
            errors[at] += error;
        }
    }
    for ((into, &element), &origin) in last_codes.iter_mut().zip(last).zip(last_origin) {
        let (found, error) = code(element, origin);
        *into = found;
        errors[0] += error;
    }
    errors.iter().sum()
}

fn mean(sample: &[f32], dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dimension];
    for row in sample.chunks_exact(dimension) {
        for (sum, element) in sums.iter_mut().zip(row) {
            *sum += f64::from(*element);
        }
    }
    let count = (sample.len() / dimension).max(1) as f64;
    sums.iter().map(|sum| (sum / count) as f32).collect()
}

/// The median of the squared distances of some rows to their nearest, equal ones left out.
fn usual_nearest(sample: &[f32], dimension: usize) -> Option<f64> {
    let count = sample.len() / dimension;
    let queries = count.min(QUERIES_MAX);
    let mut nearest: Vec<f32> = (0..queries)
        .filter_map(|query| {
            let at = query * count / queries * dimension;
            let query = &sample[at..at + dimension];
            (sample.chunks_exact(dimension))
                .map(|row| squared_distance(query, row))
                .filter(|&distance| distance > 0.0)
                .min_by(f32::total_cmp)
        })
        .collect();
    nearest.sort_unstable_by(f32::total_cmp);
    nearest.get(nearest.len() / 2).copied().map(f64::from)
}

fn squared_distance(one: &[f32], other: &[f32]) -> f32 {
    // Eight sums at once, so that the compiler may use wide instructions.
    let (ones, rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (one, other) in ones.iter().zip(others) {
        for at in 0..8 {
            sums[at] += (one[at] - other[at]) * (one[at] - other[at]);
        }
    }
    let tail: f32 = (rest.iter().zip(other_rest))
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::space::singles;

    fn rows(
        count: usize,
        dimension: usize,
        mut number: impl FnMut(usize, &mut Random) -> f64,
    ) -> (Space, Vec<u8>) {
        let mut random = Random::new(17);
        let space = Space::new(Metric::L2, Element::F32, dimension).unwrap();
        let numbers = (0..count * dimension).map(|at| number(at / dimension, &mut random) as f32);
        (space, numbers.flat_map(f32::to_le_bytes).collect())
    }

    #[test]
    fn codes_are_made_where_they_tell_near_from_far() {
        let (space, normal) = rows(3000, 32, |_, random| random.normal() + 1e3);
        assert!(Codec::fit(&space, &normal).is_some());
        // Few dimensions: near rows are nearer than a step.
        let (space, plane) = rows(3000, 2, |_, random| random.unit());
        assert_eq!(Codec::fit(&space, &plane), None);
        // One row in a hundred is a thousand times as long.
        let (space, tailed) = rows(3000, 32, |row, random| {
            random.normal() * if row % 100 == 0 { 1e3 } else { 1.0 }
        });
        assert_eq!(Codec::fit(&space, &tailed), None);
        for (count, value) in [
            (0, 0.0),
            (1, 1.0),
            (2, 1.0),
            (500, 0.0),
            (500, 1e-40),
            (500, 1e18),
        ] {
            let (space, equal) = rows(count, 8, |_, _| value);
            assert_eq!(Codec::fit(&space, &equal), None, "{count} rows of {value}");
        }
    }

    #[test]
    fn no_row_lies_further_from_its_code_than_is_told() {
        for (scale, shift) in [(1.0, 0.0), (1.0, 1e3), (1e-18, 0.0), (1e15, 3e15)] {
            // Some elements are out of the range of codes.
            let (space, rows) = rows(1500, 37, |row, random| {
                let times = if row % 300 == 7 { 2.0 } else { 1.0 };
                random.normal() * scale * times + shift
            });
            let codec = Codec::fit(&space, &rows).expect("codes suit them");
            let (mut buffer, mut code) = (Vec::new(), Vec::new());
            let mut clipped = 0;
            for row in rows.chunks_exact(space.prepared_bytes()) {
                code.clear();
                let reach = f64::from(codec.encode(&space, row, &mut buffer, &mut code));
                let squares = singles(row).zip(&codec.origin).zip(&code);
                let squares = squares.map(|((element, origin), code)| {
                    let steps = (f64::from(element) - f64::from(*origin)) / f64::from(codec.step);
                    (steps - f64::from(*code as i8)).powi(2)
                });
                let off = squares.sum::<f64>().sqrt();
                assert!(
                    (off..=off * 1.01 + 1e-3).contains(&reach),
                    "{reach} for {off}"
                );
                clipped += usize::from(code.iter().any(|&code| (code as i8).abs() == 127));
            }
            assert!(clipped > 0, "{scale} around {shift}");
        }
    }

    #[test]
    fn a_code_is_the_nearest_and_its_error_is_told() {
        // More than eight elements, and not a multiple of it.
        let times = 5;
        let coded = |elements: [f32; 4], origin: [f32; 4], step: f32| {
            let (elements, origin) = (elements.repeat(times), origin.repeat(times));
            let mut codes = Vec::new();
            let error = quantise(&elements, &origin, |element| element, step, &mut codes);
            let codes: Vec<i8> = codes.iter().map(|&code| code as i8).collect();
            (codes, error * step * step / times as f32)
        };
        let (codes, error) = coded([1.0, -0.62, 0.0, 1e6], [0.5, -0.5, 0.0, 10.0], 0.25);
        assert_eq!(codes, [2, 0, 0, 127].repeat(times));
        let clipped = 1e6 - 10.0 - 127.0 * 0.25;
        assert!(
            (error / (clipped * clipped + 0.12 * 0.12) - 1.0).abs() < 1e-3,
            "{error}"
        );
        let (codes, _) = coded([-1e6, -0.9, -1.1, -1e30], [0.0; 4], 1.0);
        assert_eq!(codes, [-127, -1, -1, -127].repeat(times));
    }
}
