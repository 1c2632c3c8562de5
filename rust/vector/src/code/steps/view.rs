//! Codes that are read in place: from a graph, or from a section of a segment.

use super::super::coder::elements;
use super::codec::quantise;
use crate::space::Space;

/// Numbers of 32 bits as they lie in a file.
pub(crate) type Words<'a> = &'a [[u8; 4]];

/// The codes of some rows.
#[derive(Clone, Copy, Debug)]
pub struct StepCodes<'a> {
    /// Of the codes themselves.
    pub(crate) space: Space,
    pub(crate) origin: Words<'a>,
    pub(crate) step: f32,
    pub(crate) tolerance: f32,
    pub(crate) rows: &'a [u8],
    pub(crate) bounds: Option<Bounds<'a>>,
}

/// How far rows may lie from their codes, in steps: S3.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Of each row.
    pub(crate) reaches: Words<'a>,
    /// No code is longer.
    pub(crate) longest: f32,
}

impl StepCodes<'_> {
    /// The code of a prepared query, in place of what was in `code`. Gives its squared error, in steps.
    pub(crate) fn encode(
        &self,
        space: &Space,
        query: &[u8],
        buffer: &mut Vec<f32>,
        code: &mut Vec<u8>,
    ) -> f32 {
        elements(space, query, buffer);
        code.clear();
        quantise(buffer, self.origin, f32::from_le_bytes, self.step, code)
    }

    /// Whether a code of that squared error stands well enough for a query: S2.
    pub(crate) fn stands_for(&self, error: f32) -> bool {
        error * self.step * self.step <= self.tolerance
    }

    /// Bytes of a row's code.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.space.prepared_bytes()
    }
}

/// Whether codes can be made with such a step.
pub(crate) fn is_step(step: f32) -> bool {
    step > 0.0 && step.recip().is_finite()
}
