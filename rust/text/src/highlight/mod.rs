//! Highlights: the pieces of a text that a query is about, with the places to mark.
