//! The ways through a part, each of which takes its nearest into those found so far.

use sopasync_payload::Selection;
use sopasync_vector::graph::{Graph, Pass, Request};
use sopasync_vector::scan::Among;
use sopasync_vector::{Hit, Kernel, TopK};

use super::hits::{Holder, Place};
use super::index::Index;
use super::part::{Part, Visible};
use super::planner::{Shape, Way};
use super::query::{Search, VectorQuery};
use super::rows::Number;
use super::segment::Sealed;

/// So many hits a search within a distance is planned for.
const WITHIN_GUESS: usize = 100;

impl Sealed {
    /// What the planner needs to know.
    pub(super) fn shape(
        &self,
        index: &Index,
        query: &VectorQuery<'_>,
        selection: Option<&Selection>,
    ) -> Shape {
        let count = self.count();
        // How many lie within a distance shows when they have been measured; most often it is few.
        let k = query.within.map_or(query.k, |_| query.k.min(WITHIN_GUESS));
        Shape {
            count,
            matches: selection.map_or(count, |selection| selection.count() as usize),
            filtered: selection.is_some(),
            row_bytes: index.kernel.row_bytes(),
            scan_code: self.scan_code(),
            graph_code: self.graph_code,
            bounded_code: self.bounded_code,
            queries: query.vectors.len() / index.space().row_bytes(),
            ef: query.ef.unwrap_or(index.options.ef).max(query.k),
            k,
            // A distance limits how many hits there are, not how far a graph would have to walk for all of them.
            exact: query.exact || query.within.is_some(),
        }
    }
}

impl Search<'_> {
    /// Takes the nearest of a segment in. `gone`: numbers the transaction deleted.
    pub(super) fn segment(
        &mut self,
        index: &Index,
        segment: &Sealed,
        way: Way,
        (gone, selection): (&[Number], Option<&Selection>),
        holder: Holder,
    ) {
        if selection.is_some_and(|selection| selection.count() == 0) {
            return;
        }
        let visible = Visible::new(segment.part(), self.seq, gone, selection);
        let through = match way {
            Way::Scan => false,
            Way::Codes => self.scan_codes(&index.kernel, segment, &visible, holder),
            Way::Among | Way::Walk { .. } => self.graph(index, segment, way, &visible, holder),
            Way::Bounded => self.bounded(index, segment, &visible, holder),
        };
        if !through {
            self.scan_visible(&index.kernel, &visible, holder);
        }
    }

    /// By codes, missing nothing; false when there are none. Queries that codes do not serve are measured.
    fn bounded(
        &mut self,
        index: &Index,
        segment: &Sealed,
        visible: &Visible<'_>,
        holder: Holder,
    ) -> bool {
        let (steps, graph) = (segment.steps(), segment.file.graph().ok().flatten());
        if steps.is_none() && graph.is_none() {
            return false;
        }
        let (k, rows, kernel) = (self.query.k, visible.part().rows, &index.kernel);
        let bytes = kernel.row_bytes();
        for at in 0..self.tops.len() {
            let query = &self.prepared[at * bytes..(at + 1) * bytes];
            let mut top = TopK::within(k, self.tops[at].bound());
            let served = visible.among(|among| match (&steps, &graph) {
                (Some(steps), _) => steps.nearest(kernel, (rows, query), among, &mut top),
                (None, Some(graph)) => graph.nearest(query, among, &mut top),
                (None, None) => false,
            });
            if served {
                self.take(at, visible.part(), top.into_sorted(), holder);
            } else {
                self.scan_one(at, kernel, visible, holder);
            }
        }
        true
    }

    /// By a graph; false when it cannot be used.
    fn graph(
        &mut self,
        index: &Index,
        segment: &Sealed,
        way: Way,
        visible: &Visible<'_>,
        holder: Holder,
    ) -> bool {
        // A graph of a library that was left out of this build is none: measuring is as right.
        let Some(graph) = segment.file.graph().ok().flatten() else {
            return false;
        };
        let bytes = index.kernel.row_bytes();
        for at in 0..self.tops.len() {
            let query = &self.prepared[at * bytes..(at + 1) * bytes];
            let found = match way {
                Way::Walk { budget } => self.walk(&*graph, query, budget, visible, index),
                _ => None,
            };
            let found = match found {
                None => visible.among(|among: &Among<'_>| graph.among(query, among, self.query.k)),
                found => found,
            };
            match found {
                Some(found) => self.take(at, visible.part(), found, holder),
                None => self.scan_one(at, &index.kernel, visible, holder),
            }
        }
        true
    }

    /// Along a graph; nothing when it gives up.
    fn walk(
        &self,
        graph: &dyn Graph,
        query: &[u8],
        budget: usize,
        visible: &Visible<'_>,
        index: &Index,
    ) -> Option<Vec<Hit>> {
        let test = |slot: u32| visible.passes(slot);
        let pass = if visible.is_all() {
            Pass::all()
        } else {
            Pass::when(&test, visible.rate())
        };
        let found = graph.search(&Request {
            query,
            k: self.query.k,
            ef: self.query.ef.unwrap_or(index.options.ef).max(self.query.k),
            pass,
            budget,
        });
        (!found.exhausted).then_some(found.hits)
    }

    /// Takes hits of one query in.
    pub(super) fn take(&mut self, at: usize, part: &Part<'_>, found: Vec<Hit>, holder: Holder) {
        let top = &mut self.tops[at];
        for hit in found {
            // Beyond the bound, the number need not be read.
            if hit.distance > top.bound() {
                break;
            }
            let number = part.numbers.get(hit.slot);
            let slot = hit.slot;
            top.push(
                hit.distance,
                Place {
                    number,
                    holder,
                    slot,
                },
            );
        }
    }

    /// By measuring every row of a part that may be a hit.
    pub(super) fn scan(
        &mut self,
        kernel: &Kernel,
        part: Part<'_>,
        (seq, gone): (u64, &[Number]),
        selection: Option<&Selection>,
        holder: Holder,
    ) {
        if part.count() == 0 || selection.is_some_and(|selection| selection.count() == 0) {
            return;
        }
        self.scan_visible(kernel, &Visible::new(part, seq, gone, selection), holder);
    }

    fn scan_visible(&mut self, kernel: &Kernel, visible: &Visible<'_>, holder: Holder) {
        let k = self.query.k;
        let mut tops: Vec<TopK> = self
            .tops
            .iter()
            .map(|top| TopK::within(k, top.bound()))
            .collect();
        visible.scan(kernel, &self.prepared, &mut tops);
        for (at, found) in tops.into_iter().enumerate() {
            self.take(at, visible.part(), found.into_sorted(), holder);
        }
    }

    /// The same for one query alone.
    fn scan_one(&mut self, at: usize, kernel: &Kernel, visible: &Visible<'_>, holder: Holder) {
        let bytes = kernel.row_bytes();
        let mut top = [TopK::within(self.query.k, self.tops[at].bound())];
        let query = &self.prepared[at * bytes..(at + 1) * bytes];
        visible.scan(kernel, query, &mut top);
        let [top] = top;
        self.take(at, visible.part(), top.into_sorted(), holder);
    }
}
