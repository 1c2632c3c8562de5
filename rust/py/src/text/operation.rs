//! What a search store can be asked, as plain data: run inline, or later on an engine thread.
//!
//! O1 an operation that ends in `WouldBlock` has changed nothing, so it can be run again from its beginning.

use std::collections::HashSet;

use sopasync_core::text::{TextSearch, TextStore};
use sopasync_core::{Access, Result, Transaction};
use sopasync_text::highlight::{Fragment, FragmentOptions, Highlighter};

use super::answer::{Figures, Found, Hit, Hits};
use super::request::Request;
use super::texts::Texts;
use crate::participant::{Answer, Batch};

/// Texts whose analysis takes longer than an event loop may be kept.
const INLINE_BYTES_MAX: usize = 16 << 10;
/// Hits whose texts are cut into highlights inline.
const INLINE_HIGHLIGHTS_MAX: usize = 20;
/// Keys that hits are among, inline.
const INLINE_KEYS_MAX: usize = 4096;

/// Documents to be added, in their order.
pub struct Documents {
    pub keys: Batch,
    pub texts: Texts,
    pub payloads: Vec<Vec<u8>>,
}

impl Documents {
    fn add(
        &self,
        index: usize,
        tx: &mut Transaction,
        store: &TextStore,
        may_wait: bool,
    ) -> Result<bool> {
        let (key, _) = self.keys.get(index);
        let texts: Vec<&str> = self.texts.get(index).collect();
        store.add(tx, key, &texts, &self.payloads[index], may_wait)
    }
}

pub enum Operation {
    Put(Documents),
    Update(Documents),
    Delete { keys: Batch },
    Get { key: Vec<u8> },
    Contains { key: Vec<u8> },
    Count,
    Statistics,
    Search(Box<Request>),
}

impl Operation {
    /// Whether it is known to take long before it is begun.
    pub fn is_long(&self) -> bool {
        match self {
            Self::Put(documents) | Self::Update(documents) => {
                documents.texts.bytes() > INLINE_BYTES_MAX
            }
            Self::Search(request) => {
                let many = |keys: &Batch| keys.len() > INLINE_KEYS_MAX;
                request.among.as_ref().is_some_and(many)
                    || request.highlight.is_some() && request.limit > INLINE_HIGHLIGHTS_MAX
            }
            _ => false,
        }
    }

    pub fn run(&self, tx: &mut Transaction, store: &TextStore, access: Access) -> Result<Answer> {
        let may_wait = access.may_wait;
        Ok(match self {
            Self::Put(documents) => {
                let mut replaced = 0;
                atomically(tx, may_wait, |tx| {
                    for index in 0..documents.keys.len() {
                        replaced += u64::from(documents.add(index, tx, store, may_wait)?);
                    }
                    Ok(())
                })?;
                Answer::Count(replaced)
            }
            Self::Update(documents) => {
                let mut refused = None;
                atomically(tx, may_wait, |tx| {
                    for (index, (key, _)) in documents.keys.iter().enumerate() {
                        if !store.contains(tx, key, access)? {
                            refused = Some(index);
                            return Ok(());
                        }
                        documents.add(index, tx, store, may_wait)?;
                    }
                    Ok(())
                })?;
                Answer::Refused(refused)
            }
            Self::Delete { keys } => {
                let mut deleted = 0;
                atomically(tx, may_wait, |tx| {
                    for (key, _) in keys.iter() {
                        deleted += u64::from(store.delete(tx, key, may_wait)?);
                    }
                    Ok(())
                })?;
                Answer::Count(deleted)
            }
            Self::Get { key } => {
                let found = store.get(tx, key, access)?.map(|document| Found {
                    texts: document.texts,
                    payload: document.payload,
                });
                Answer::Other(Box::new(found))
            }
            Self::Contains { key } => Answer::Truth(store.contains(tx, key, access)?),
            Self::Count => Answer::Count(store.count(tx, access)?),
            Self::Statistics => {
                let found = store.statistics(tx, may_wait)?;
                Answer::Other(Box::new(Figures(vec![
                    ("documents", found.documents),
                    ("unmerged", found.unmerged),
                    ("deltas", found.deltas as u64),
                ])))
            }
            Self::Search(request) => Answer::Other(Box::new(search(tx, store, request, access)?)),
        })
    }
}

/// O1: takes back what was done before an error, where the caller will not.
fn atomically(
    tx: &mut Transaction,
    may_wait: bool,
    run: impl FnOnce(&mut Transaction) -> Result<()>,
) -> Result<()> {
    let savepoint = tx.savepoint();
    let result = run(tx);
    if result.is_err() && !may_wait {
        tx.rollback_to(savepoint)?;
    }
    result
}

fn search(
    tx: &mut Transaction,
    store: &TextStore,
    request: &Request,
    access: Access,
) -> Result<Hits> {
    let among: Option<HashSet<&[u8]>> =
        (request.among.as_ref()).map(|keys| keys.iter().map(|(key, _)| key).collect());
    let asked = TextSearch {
        query: &request.query,
        limit: request.limit,
        offset: request.offset,
        filter: request.filter.as_ref(),
        among: among.as_ref(),
        texts: request.highlight.is_some(),
    };
    let found = store.search(tx, &asked, access)?;
    let highlighter = Highlighter::new(&request.query, &request.schema);
    let hits = found.into_iter().map(|found| Hit {
        highlights: match &request.highlight {
            None => Vec::new(),
            Some(options) => highlights(&highlighter, &found.texts.unwrap_or_default(), options),
        },
        key: found.key,
        score: found.score,
        payload: found.payload,
    });
    Ok(Hits(hits.collect()))
}

/// The best pieces of a document's texts, by field.
fn highlights(
    highlighter: &Highlighter<'_>,
    texts: &[String],
    options: &FragmentOptions,
) -> Vec<(u16, Vec<Fragment>)> {
    let fields = texts.iter().enumerate().map(|(field, text)| {
        let field = field as u16;
        (field, highlighter.fragments(field, text, options))
    });
    fields.filter(|(_, pieces)| !pieces.is_empty()).collect()
}
