//! Data to build graphs of, and the truth about it.

use std::sync::atomic::AtomicBool;

use sopasync_vector::graph::{Heap, Options, Work, hnsw};
use sopasync_vector::random::Random;
use sopasync_vector::{Element, Hit, Kernel, Metric, Space, TopK, half};

/// How vectors lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Around centres, each with a subspace of its own.
    Clustered,
    /// Each element evenly between -1 and 1.
    Uniform,
    /// Many equal ones among others.
    Duplicated,
    /// All equal.
    Equal,
}

/// Prepared rows, and queries from the same distribution.
pub struct Data {
    pub space: Space,
    pub rows: Vec<u8>,
    pub queries: Vec<Vec<u8>>,
}

impl Data {
    pub fn new(space: Space, shape: Shape, count: usize, queries: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let dimension = space.dimension();
        let centres: Vec<Vec<f64>> = (0..count / 100 + 3)
            .map(|_| normals(&mut random, dimension))
            .collect();
        let some = normals(&mut random, dimension);
        let repeated: Vec<Vec<f64>> = (0..count / 50 + 1)
            .map(|_| normals(&mut random, dimension))
            .collect();
        let mut vector = || match shape {
            Shape::Clustered => {
                let centre = &centres[random.below(centres.len())];
                centre.iter().map(|at| at + random.normal() * 0.4).collect()
            }
            Shape::Uniform => (0..dimension).map(|_| random.unit()).collect(),
            Shape::Duplicated if random.below(10) < 7 => {
                repeated[random.below(repeated.len())].clone()
            }
            Shape::Duplicated => normals(&mut random, dimension),
            Shape::Equal => some.clone(),
        };
        let mut rows = Vec::new();
        for _ in 0..count {
            space.prepare(&row_of(&space, &vector()), &mut rows);
        }
        let queries = (0..queries)
            .map(|_| {
                let mut query = Vec::new();
                space.prepare(&row_of(&space, &vector()), &mut query);
                query
            })
            .collect();
        Self {
            space,
            rows,
            queries,
        }
    }

    pub fn f32(dimension: usize, shape: Shape, count: usize, queries: usize, seed: u64) -> Self {
        let space = Space::new(Metric::L2, Element::F32, dimension).unwrap();
        Self::new(space, shape, count, queries, seed)
    }

    pub fn count(&self) -> usize {
        self.rows.len() / self.space.prepared_bytes()
    }

    /// The graph with default options, on one thread.
    pub fn graph(&self) -> Vec<u8> {
        self.graph_with(&Options::default(), 1)
    }

    pub fn graph_with(&self, options: &Options, threads: usize) -> Vec<u8> {
        let stop = AtomicBool::new(false);
        let work = Work {
            threads,
            stop: &stop,
            progress: &|_, _| {},
            room: &Heap,
        };
        hnsw::build(&self.space, &self.rows, options, &work).unwrap()
    }

    /// The k nearest of the rows that pass, by looking at all.
    pub fn truth(&self, query: &[u8], k: usize, pass: impl Fn(u32) -> bool) -> Vec<Hit> {
        let kernel = Kernel::of(&self.space);
        let mut top = TopK::new(k);
        for (slot, row) in (0..).zip(self.rows.chunks_exact(self.space.prepared_bytes())) {
            if pass(slot) {
                top.push(kernel.distance(query, row), slot);
            }
        }
        top.into_sorted()
    }
}

/// The part of the true hits that was found. A hit as near as the last true one counts, whatever its slot.
pub fn recall(found: &[Hit], truth: &[Hit]) -> f64 {
    let Some(last) = truth.last() else { return 1.0 };
    let near = found
        .iter()
        .filter(|hit| hit.distance <= last.distance)
        .count();
    near as f64 / truth.len() as f64
}

fn normals(random: &mut Random, dimension: usize) -> Vec<f64> {
    (0..dimension).map(|_| random.normal()).collect()
}

fn row_of(space: &Space, vector: &[f64]) -> Vec<u8> {
    match space.element() {
        Element::F32 => vector
            .iter()
            .flat_map(|&x| (x as f32).to_le_bytes())
            .collect(),
        Element::F16 => vector
            .iter()
            .flat_map(|&x| half::from_f32(x as f32).to_le_bytes())
            .collect(),
        Element::I8 => vector
            .iter()
            .map(|&x| (x * 40.0).clamp(-128.0, 127.0) as i8 as u8)
            .collect(),
        Element::Bits => {
            let mut bits = vec![0; vector.len().div_ceil(8)];
            for (at, _) in vector.iter().enumerate().filter(|(_, x)| **x > 0.0) {
                bits[at / 8] |= 1 << (at % 8);
            }
            bits
        }
    }
}

/// Every space there is a kernel for.
pub fn spaces(dimension: usize) -> impl Iterator<Item = Space> {
    let metrics = [
        Metric::Cosine,
        Metric::InnerProduct,
        Metric::L2,
        Metric::Hamming,
    ];
    let elements = [Element::F32, Element::F16, Element::I8, Element::Bits];
    metrics
        .into_iter()
        .flat_map(move |metric| elements.map(|element| Space::new(metric, element, dimension)))
        .flatten()
}
