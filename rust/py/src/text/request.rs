//! What a search asks for.

use std::sync::Arc;

use sopasync_payload::Filter;
use sopasync_text::highlight::FragmentOptions;
use sopasync_text::{Query, Schema};

use crate::participant::Batch;

/// A search, ready to run on any thread.
pub struct Request {
    pub query: Query,
    pub limit: usize,
    pub offset: usize,
    pub filter: Option<Filter>,
    /// Keys that hits are among.
    pub among: Option<Batch>,
    /// Pieces of texts to show with each hit.
    pub highlight: Option<FragmentOptions>,
    pub schema: Arc<Schema>,
}
