//! `Participant`: one store inside one transaction.
//!
//! A call becomes an `Operation` on encoded keys. It runs inline when everything it reads is in memory; else the call
//! returns `MISS` and keeps the operation, which `retry` gives to an engine thread. There it ends as an `Answer`, plain
//! data that is made into a Python object on the loop's thread. Inline reads make Python objects straight from the pages.

mod answer;
mod batch;
mod call;
mod class;
mod inline;
mod key_batch;
mod operation;
mod present;
mod scope;
mod write_many;

// For the participants of other kinds of stores.
pub use answer::{Answer, Item, Present, Reading};
pub use batch::Batch;
pub use call::{Piece, Values, batch, rows};
pub use class::{INLINE, Participant, WAITING};
pub use key_batch::KeyBatch;
pub use present::{Entries, Page, Parts, none};
