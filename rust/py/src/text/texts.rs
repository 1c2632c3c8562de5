//! `Texts`: the texts of many documents in one allocation.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::error::exception;

/// Texts of documents, one after the other; each document has one for every field, an empty one where it has none.
#[derive(Default)]
pub struct Texts {
    bytes: String,
    /// Where each text ends.
    ends: Vec<usize>,
    /// How many of these belong to the documents up to each.
    documents: Vec<usize>,
}

impl Texts {
    /// Appends a document: a text, or a tuple with one text or `None` for each field.
    pub fn push(&mut self, given: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = given.cast::<PyString>() {
            self.text(text)?;
        } else {
            for text in given.cast::<PyTuple>()?.iter() {
                if text.is_none() {
                    self.ends.push(self.bytes.len());
                } else {
                    self.text(text.cast::<PyString>()?)?;
                }
            }
        }
        self.documents.push(self.ends.len());
        Ok(())
    }

    fn text(&mut self, text: &Bound<'_, PyString>) -> PyResult<()> {
        let text = text.to_cow().map_err(|error| {
            let message =
                format!("a text is no Unicode: {error}. Remove the lone surrogates from it");
            exception(text.py(), "CodecError", &message, &[])
        })?;
        self.bytes.push_str(&text);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Bytes of all texts.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The texts of document `index`, by field.
    pub fn get(&self, index: usize) -> impl Iterator<Item = &str> {
        let first = index
            .checked_sub(1)
            .map_or(0, |before| self.documents[before]);
        (first..self.documents[index]).map(|at| {
            let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.bytes[from..self.ends[at]]
        })
    }
}
