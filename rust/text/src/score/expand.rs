//! The terms that a prefix or a fuzzy word stands for at a snapshot.

use super::fuzzy::{Next, Walk};
use super::near::Near;
use crate::index::cursor::Cursor;
use crate::index::{Delta, Failure, Result, Rows, TERM, TermRow, View, WordList, with, word};

/// Terms read at a time while looking for the next good one.
const PAGE: usize = 8;

/// Cursors of all terms of a field that begin so, in order.
pub(crate) fn prefix<'r>(
    view: &View,
    rows: &'r dyn Rows,
    field: u8,
    prefix: &str,
) -> Result<Vec<Cursor<'r>>> {
    let low = word(field, prefix.as_bytes());
    let high = successor(low.clone());
    let mut terms: Vec<(Vec<u8>, Option<Result<TermRow>>)> = Vec::new();
    let end = if high.is_empty() {
        vec![TERM + 1]
    } else {
        with(TERM, &high)
    };
    rows.scan(&with(TERM, &low), &end, usize::MAX, &mut |key, row| {
        terms.push((key[1..].to_vec(), Some(TermRow::decode(row))));
    })?;
    let merged = terms.len();
    for placed in &view.deltas {
        let delta = &*placed.delta;
        for at in delta.seek(&low)?..delta.terms() {
            let found = delta.word(at)?;
            if !found.starts_with(&low) {
                break;
            }
            let known = terms[..merged]
                .binary_search_by(|term| term.0.as_slice().cmp(found))
                .is_ok();
            if !known {
                terms.push((found.to_vec(), None));
            }
        }
    }
    if terms.len() > merged {
        terms.sort_by(|a, b| a.0.cmp(&b.0));
        terms.dedup_by(|a, b| a.0 == b.0);
    }
    let mut cursors = Vec::with_capacity(terms.len());
    for (found, row) in terms {
        let cursor = Cursor::with_row(view, rows, &found, row.transpose()?)?;
        if cursor.df > 0 {
            cursors.push(cursor);
        }
    }
    Ok(cursors)
}

/// The first string above all that begin with `bytes`; empty when there is none.
fn successor(mut bytes: Vec<u8>) -> Vec<u8> {
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            break;
        }
    }
    bytes
}

/// Cursors of all terms of a field at most `most` edits from `near`, in order, with their distances.
pub(crate) fn fuzzy<'r>(
    view: &View,
    rows: &'r dyn Rows,
    field: u8,
    near: &str,
    most: u8,
    may_take_long: bool,
) -> Result<Vec<(Cursor<'r>, u8)>> {
    let mut found = Vec::new();
    match view.dictionary.words(rows, may_take_long)? {
        Some(words) => walk_list(&words, field, near, most, &mut found)?,
        None => walk_rows(rows, field, Walk::new(near, most), &mut found)?,
    }
    for placed in &view.deltas {
        walk_delta(&placed.delta, field, Walk::new(near, most), &mut found)?;
    }
    found.sort_unstable();
    found.dedup();
    let mut cursors = Vec::with_capacity(found.len());
    for (term, distance) in found {
        let cursor = Cursor::open(view, rows, &term)?;
        if cursor.df > 0 {
            cursors.push((cursor, distance));
        }
    }
    Ok(cursors)
}

fn walk_rows(
    rows: &dyn Rows,
    field: u8,
    mut walk: Walk,
    found: &mut Vec<(Vec<u8>, u8)>,
) -> Result<()> {
    let mut from = word(field, b"");
    loop {
        let (low, mut seen, mut more) = (with(TERM, &from), 0, Ok(true));
        rows.scan_keys(&low, &[TERM, field + 1], PAGE, false, &mut |key| {
            seen += 1;
            let term = &key[1..];
            if more == Ok(true) && term >= from.as_slice() {
                more = step(&mut walk, term, &mut from, found);
            }
        })?;
        if !more? || seen < PAGE {
            return Ok(());
        }
    }
}

/// The words of a list that are near, with their distances.
pub(super) fn walk_list(
    words: &WordList,
    field: u8,
    near: &str,
    most: u8,
    found: &mut Vec<(Vec<u8>, u8)>,
) -> Result<()> {
    match Near::new(near, most) {
        Some(near) => near.find(words, field, found),
        None => walk_words(words, field, Walk::new(near, most), found),
    }
}

fn walk_words(
    words: &WordList,
    field: u8,
    mut walk: Walk,
    found: &mut Vec<(Vec<u8>, u8)>,
) -> Result<()> {
    let mut from = word(field, b"");
    let mut at = words.seek(0, &from);
    while let Some(term) = words.get(at) {
        if term.first() != Some(&field) || !step(&mut walk, term, &mut from, found)? {
            break;
        }
        at += 1;
        if words.get(at).is_some_and(|next| next < from.as_slice()) {
            at = words.seek(at, &from);
        }
    }
    Ok(())
}

fn walk_delta(
    delta: &Delta,
    field: u8,
    mut walk: Walk,
    found: &mut Vec<(Vec<u8>, u8)>,
) -> Result<()> {
    let mut from = word(field, b"");
    let mut at = delta.seek(&from)?;
    while at < delta.terms() {
        let term = delta.word(at)?;
        if term.first() != Some(&field) || !step(&mut walk, term, &mut from, found)? {
            break;
        }
        at += 1;
        if at < delta.terms() && delta.word(at)? < from.as_slice() {
            at = delta.seek(&from)?;
        }
    }
    Ok(())
}

/// Looks at a term; `from` becomes where to go on, and the answer whether to.
fn step(
    walk: &mut Walk,
    term: &[u8],
    from: &mut Vec<u8>,
    found: &mut Vec<(Vec<u8>, u8)>,
) -> Result<bool> {
    let text =
        std::str::from_utf8(&term[1..]).map_err(|_| Failure::Malformed("a term is no text"))?;
    match walk.look(text) {
        Next::End => return Ok(false),
        Next::Skip(next) => {
            from.truncate(1);
            from.extend_from_slice(&next);
            return Ok(true);
        }
        Next::Match(distance) => found.push((term.to_vec(), distance)),
        Next::Follow => {}
    }
    from.clear();
    from.extend_from_slice(term);
    from.push(0);
    Ok(true)
}
