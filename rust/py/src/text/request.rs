//! What a search asks for.

use std::collections::HashSet;
use std::sync::Arc;

use sopasync_payload::Filter;
use sopasync_text::highlight::FragmentOptions;
use sopasync_text::{Query, Schema};

/// A search, ready to run on any thread.
pub struct Request {
    pub query: Query,
    pub limit: usize,
    pub offset: usize,
    pub filter: Option<Filter>,
    /// Packed keys that hits are among.
    pub among: Option<HashSet<Vec<u8>>>,
    /// Pieces of texts to show with each hit.
    pub highlight: Option<FragmentOptions>,
    pub schema: Arc<Schema>,
}
