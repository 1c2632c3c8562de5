//! The nearest of chosen rows exactly, without measuring most of them: a row that is certainly further away than what was found,
//! by its code and by how far it may lie from its code, is left out. Reads a quarter of the bytes of f32 rows.
//!
//! With q' and r' for the codes of query and row, `reach` for how far each lies from its code, everything in steps:
//!
//! ```text
//! Euclid  |q - r|  >=  |q' - r'| - reach(q) - reach(r)
//! angle   the same, since prepared rows have length 1: |q - r|^2 = 2 (1 - <q, r>)
//! product <q, r>   <=  <q', r'> + reach(q) |r'| + |q| reach(r)
//! ```
//!
//! S4. What is taken is what measuring all chosen rows would take, ties and the rounding of distances included: a row is left out
//!     only where the distance that the kernel would give is above the bound of what was found, whatever its rounding.

use super::codec::reach;
use super::view::{StepCodes, Words};
use crate::kernel::Kernel;
use crate::scan::{Among, Places, Sink, measure_ids, measure_part};
use crate::space::Metric;
use crate::top::TopK;

/// So many rows are measured together: fetching one from memory takes longer than measuring it.
const TOGETHER: usize = 32;

/// Distances looked at together.
const EACH: usize = 16;

/// Covers the rounding of a few operations of f32.
const ROUNDING: f64 = 1e-6;

impl StepCodes<'_> {
    /// Take of chosen rows what measuring each of them would take into `top`: the nearest within its bound, exactly. Most are left
    /// out by their codes. False, and nothing taken, when it is not known how far rows may lie from their codes, or the query's own
    /// stands too badly for it.
    ///
    /// # Panics
    /// When `query` is no prepared row, `rows` are not those of the codes, or a chosen one is not there.
    pub fn nearest(
        &self,
        kernel: &Kernel,
        (rows, query): (&[u8], &[u8]),
        among: &Among<'_>,
        top: &mut TopK,
    ) -> bool {
        let Some(bounds) = self.bounds else {
            return false;
        };
        let (mut elements, mut code) = (Vec::new(), Vec::new());
        let error = self.encode(kernel.space(), query, &mut elements, &mut code);
        if !self.stands_for(error) {
            return false; // S2: too little would be left out
        }
        let reach = reach(error, elements.len());
        let metric = kernel.space().metric();
        let limit = Limit::new(metric, self.step, reach, bounds.longest, &elements);
        let mut sink = Bounded {
            reaches: bounds.reaches,
            bound: top.bound(),
            threshold: limit.threshold(top.bound()),
            slope: limit.slope(),
            limit,
            slots: Vec::new(),
            kernel,
            rows,
            query,
            distances: elements,
            top,
        };
        let of_codes = Kernel::of(&self.space);
        match among {
            Among::Slots(slots) => measure_ids(&of_codes, &code, self.rows, slots, &mut sink),
            Among::Kept(keep) => {
                let part = 0..bounds.reaches.len();
                measure_part(&of_codes, &code, self.rows, part, keep, &mut sink);
            }
        }
        sink.measure();
        true
    }
}

/// From the bound of what was found to that of distances of codes.
struct Limit {
    metric: Metric,
    step: f64,
    dimension: f64,
    /// How far the query may lie from its code, in steps.
    reach: f64,
    /// Lengths in steps: of the query, and what no code is longer than.
    length: f64,
    longest: f64,
}

impl Limit {
    /// `reach` and `elements`: those of the query.
    fn new(metric: Metric, step: f32, reach: f32, longest: f32, elements: &[f32]) -> Self {
        let step = f64::from(step);
        let squares = elements.iter().map(|&element| f64::from(element).powi(2));
        Self {
            metric,
            step,
            dimension: elements.len() as f64,
            reach: f64::from(reach),
            length: squares.sum::<f64>().sqrt() / step,
            longest: f64::from(longest),
        }
    }

    /// What a kernel's sum of so many numbers may be off by, relative to that of their magnitudes; each number that is too small
    /// for f32 may be lost.
    fn off(&self) -> (f64, f64) {
        let relative = 2.0 * (self.dimension + 8.0) * f64::from(f32::EPSILON / 2.0);
        (relative, self.dimension * 1e-44)
    }

    /// A row is left out when the distance of its code is above `threshold + slope * reach`: that sum squared for squares.
    fn threshold(&self, bound: f32) -> f32 {
        let (relative, lost) = self.off();
        let bound = f64::from(bound);
        let threshold = match self.metric {
            Metric::InnerProduct => {
                let off = self.length * self.longest * relative + lost / self.step / self.step;
                bound / self.step / self.step + self.reach * self.longest + off
            }
            metric => {
                let squared = if metric == Metric::Cosine {
                    2.0 * bound + 4.0 * relative
                } else {
                    bound * (1.0 + relative) + lost
                };
                squared.max(0.0).sqrt() / self.step + self.reach
            }
        };
        (threshold + threshold.abs() * ROUNDING) as f32
    }

    fn slope(&self) -> f32 {
        match self.metric {
            Metric::InnerProduct => (self.length * (1.0 + self.off().0 + ROUNDING)) as f32,
            _ => 1.0,
        }
    }
}

/// Measures what cannot be left out.
struct Bounded<'a> {
    limit: Limit,
    reaches: Words<'a>,
    /// What the threshold was made of.
    bound: f32,
    threshold: f32,
    slope: f32,
    /// Still to be measured.
    slots: Vec<u32>,
    kernel: &'a Kernel,
    rows: &'a [u8],
    query: &'a [u8],
    distances: Vec<f32>,
    top: &'a mut TopK,
}

impl Bounded<'_> {
    fn measure(&mut self) {
        self.distances.resize(self.slots.len(), 0.0);
        self.kernel
            .gather(self.query, self.rows, &self.slots, &mut self.distances);
        for (&slot, &distance) in self.slots.iter().zip(&self.distances) {
            self.top.push(distance, slot);
        }
        self.slots.clear();
        let bound = self.top.bound();
        if bound != self.bound {
            self.bound = bound;
            self.threshold = self.limit.threshold(bound);
        }
    }

    /// Notes the rows that may be near.
    fn note<const PRODUCTS: bool>(&mut self, distances: &[f32], places: Places<'_>) {
        let (threshold, slope) = (self.threshold, self.slope);
        match places {
            // Most often none may, which is seen sixteen distances at a time.
            Places::Run { first, .. } => {
                let reaches = &self.reaches[first..first + distances.len()];
                let sixteens = distances.chunks(EACH).zip(reaches.chunks(EACH));
                for (index, (distances, reaches)) in sixteens.enumerate() {
                    let far = |(distance, reach): (&f32, &[u8; 4])| {
                        is_far::<PRODUCTS>(*distance, threshold, slope, *reach)
                    };
                    if distances
                        .iter()
                        .zip(reaches)
                        .fold(true, |all, one| all & far(one))
                    {
                        continue;
                    }
                    for (at, one) in distances.iter().zip(reaches).enumerate() {
                        if !far(one) {
                            self.slots.extend(places.get(index * EACH + at));
                        }
                    }
                }
            }
            Places::Ids(slots) => {
                for (&slot, distance) in slots.iter().zip(distances) {
                    let reach = self.reaches[slot as usize];
                    if !is_far::<PRODUCTS>(*distance, threshold, slope, reach) {
                        self.slots.push(slot);
                    }
                }
            }
        }
    }
}

impl Sink for Bounded<'_> {
    fn take(&mut self, distances: &[f32], places: Places<'_>) {
        if self.limit.metric == Metric::InnerProduct {
            self.note::<true>(distances, places);
        } else {
            self.note::<false>(distances, places);
        }
        if self.slots.len() >= TOGETHER {
            self.measure();
        }
    }
}

/// Whether a row at that distance by codes is further than all that count. Numbers that are none are not far: S4.
#[inline(always)]
fn is_far<const PRODUCTS: bool>(distance: f32, threshold: f32, slope: f32, reach: [u8; 4]) -> bool {
    let limit = threshold + slope * f32::from_le_bytes(reach);
    if PRODUCTS {
        distance > limit
    } else {
        distance > limit * limit * (1.0 + 4.0 * ROUNDING as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::space::{Element, Space};

    fn length(vector: &[f64]) -> f64 {
        vector
            .iter()
            .map(|element| element * element)
            .sum::<f64>()
            .sqrt()
    }

    /// `from`, moved by `by` along `direction`.
    fn moved(from: &[f64], direction: &[f64], by: f64) -> Vec<f64> {
        let by = by / length(direction);
        from.iter()
            .zip(direction)
            .map(|(element, along)| element + by * along)
            .collect()
    }

    fn bytes(vector: &[f64], step: f64) -> Vec<u8> {
        let elements = vector.iter().map(|element| (element * step) as f32);
        elements.flat_map(f32::to_le_bytes).collect()
    }

    /// Two codes and two vectors that lie as far from them as is told, where that makes them as near as they can be: they are
    /// not further than they are.
    fn check(
        metric: Metric,
        codes: [Vec<f64>; 2],
        vectors: [Vec<f64>; 2],
        reaches: [f64; 2],
        step: f64,
    ) {
        let dimension = codes[0].len();
        let space = Space::new(metric, Element::F32, dimension).unwrap();
        let [query, row] = vectors.each_ref().map(|vector| bytes(vector, step));
        let bound = Kernel::of(&space).distance(&query, &row);
        let of_codes = super::super::codec::space_of_codes(&space).unwrap();
        let [query_code, row_code] = codes
            .each_ref()
            .map(|code| -> Vec<u8> { code.iter().map(|&element| element as i8 as u8).collect() });
        let by_codes = Kernel::of(&of_codes).distance(&query_code, &row_code);
        let [query_reach, row_reach] = reaches.map(|by| reach((by * by) as f32, dimension));
        let elements: Vec<f32> = crate::space::singles(&query).collect();
        let longest = (length(&codes[1]) * (1.0 + 1e-6)) as f32;
        let limit = Limit::new(metric, step as f32, query_reach, longest, &elements);
        let (threshold, slope, reach) = (
            limit.threshold(bound),
            limit.slope(),
            row_reach.to_le_bytes(),
        );
        let far = match metric {
            Metric::InnerProduct => is_far::<true>(by_codes, threshold, slope, reach),
            _ => is_far::<false>(by_codes, threshold, slope, reach),
        };
        assert!(
            !far,
            "{metric}, {dimension} elements, reaches {reaches:?}, a step of {step}: {by_codes} at {bound}"
        );
    }

    #[test]
    fn what_is_as_near_as_it_can_be_is_not_left_out() {
        let mut random = Random::new(5);
        for dimension in [2, 24, 300] {
            for _ in 0..200 {
                let mut code = || -> Vec<f64> {
                    (0..dimension)
                        .map(|_| random.below(255) as f64 - 127.0)
                        .collect()
                };
                let (query, row) = (code(), code());
                let apart: Vec<f64> = query
                    .iter()
                    .zip(&row)
                    .map(|(one, other)| one - other)
                    .collect();
                let far = length(&apart);
                for (to_query, to_row) in
                    [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (0.2, 0.5), (0.5, 0.499)]
                {
                    let reaches = [to_query * far, to_row * far];
                    let vectors = [
                        moved(&query, &apart, -reaches[0]),
                        moved(&row, &apart, reaches[1]),
                    ];
                    for step in [1e-24, 1e-3, 1e13] {
                        check(
                            Metric::L2,
                            [query.clone(), row.clone()],
                            vectors.clone(),
                            reaches,
                            step,
                        );
                    }
                    let query_moved = moved(&query, &row, reaches[0]);
                    let vectors = [query_moved.clone(), moved(&row, &query_moved, reaches[1])];
                    for step in [1e-3, 1e10] {
                        check(
                            Metric::InnerProduct,
                            [query.clone(), row.clone()],
                            vectors.clone(),
                            reaches,
                            step,
                        );
                    }
                    // The same numbers in another order, and moved as far: of one length.
                    let turned: Vec<f64> = query.iter().rev().copied().collect();
                    let apart: Vec<f64> = query
                        .iter()
                        .zip(&turned)
                        .map(|(one, other)| one - other)
                        .collect();
                    let by = to_query * length(&apart);
                    if by > 0.0 {
                        let vectors = [moved(&query, &apart, -by), moved(&turned, &apart, by)];
                        let step = 1.0 / length(&vectors[0]);
                        check(
                            Metric::Cosine,
                            [query.clone(), turned],
                            vectors,
                            [by, by],
                            step,
                        );
                    }
                }
            }
        }
    }
}
