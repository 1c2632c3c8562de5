//! Answering a filter from columns of either kind.

use crate::error::{Error, Result};
use crate::filter::{Filter, Node, Test};
use crate::selection::Selection;
use std::ops::Bound;

/// Names that an error lists.
const KNOWN_SHOWN: usize = 20;

/// The fields that some payloads have.
pub trait Fields {
    /// Whether any payload has the field.
    fn has_field(&self, field: &str) -> bool;
    /// The names of all fields, in any order.
    fn field_names(&self) -> Vec<String>;
    /// Whether there are payloads at all.
    fn is_empty(&self) -> bool;
}

/// Refuses a filter that asks for the values of a field that none of several columns has: most likely a misspelling.
/// Without any payload, every field may be meant.
pub fn check_fields(filter: &Filter, parts: &[&dyn Fields]) -> Result<()> {
    if parts.iter().all(|part| part.is_empty()) {
        return Ok(());
    }
    for field in filter.fields() {
        if !parts.iter().any(|part| part.has_field(field)) {
            let mut known: Vec<String> = parts.iter().flat_map(|part| part.field_names()).collect();
            known.sort_unstable();
            known.dedup();
            if known.len() > KNOWN_SHOWN {
                known.truncate(KNOWN_SHOWN);
                known.push("...".to_owned());
            }
            return Err(Error::UnknownField {
                field: field.to_owned(),
                known,
            });
        }
    }
    Ok(())
}

/// What columns of either kind can tell about one field; a field they do not know has no slots.
pub(crate) trait Source {
    fn slots(&self) -> u32;
    fn present(&self, field: &str) -> Result<Selection>;
    fn any_of(&self, field: &str, keys: &[Box<[u8]>]) -> Result<Selection>;
    fn range(
        &self,
        field: &str,
        low: &Bound<Box<[u8]>>,
        high: &Bound<Box<[u8]>>,
    ) -> Result<Selection>;
}

pub(crate) fn select(source: &impl Source, filter: &Filter) -> Result<Selection> {
    evaluate(source, &filter.root)
}

fn evaluate(source: &impl Source, node: &Node) -> Result<Selection> {
    match node {
        Node::Field(field, Test::Exists) => source.present(field),
        Node::Field(field, Test::In(keys)) => source.any_of(field, keys),
        Node::Field(field, Test::Range(low, high)) => source.range(field, low, high),
        Node::Not(node) => Ok(evaluate(source, node)?.complement()),
        Node::And(nodes) => {
            // Equality first: when it leaves nothing, the wide conditions need not be looked at.
            let mut ordered: Vec<&Node> = nodes.iter().collect();
            ordered.sort_by_key(|node| breadth(node));
            let mut kept: Option<Selection> = None;
            for node in ordered {
                if kept.as_ref().is_some_and(|kept| kept.count() == 0) {
                    break;
                }
                let next = evaluate(source, node)?;
                kept = Some(match kept {
                    None => next,
                    Some(kept) => kept.intersect(&next),
                });
            }
            Ok(kept.unwrap_or_else(|| Selection::all(source.slots())))
        }
        Node::Or(nodes) => {
            let mut found = Selection::none(source.slots());
            for node in nodes {
                found = found.unite(evaluate(source, node)?);
            }
            Ok(found)
        }
    }
}

fn breadth(node: &Node) -> u8 {
    match node {
        Node::Field(_, Test::In(_)) => 0,
        Node::And(_) => 1,
        Node::Field(_, Test::Range(..)) => 2,
        Node::Or(_) | Node::Field(_, Test::Exists) => 3,
        Node::Not(_) => 4,
    }
}
