//! The rows of documents.
//!
//! ```text
//! 10 user key     -> document: seq u64, ordinal u32 (big-endian)
//! 20 document     -> the document: head and body. The head rides along with the key when it is short enough;
//!                    else nothing does, and it stands before the body
//!
//! head := user key:bytes  payload:bytes
//! body := 1 text:bytes*                                    the texts of all fields, in their order
//!       | 2 length:varint*  (shared:varint rest:bytes)*    lengths of all fields, then the words (field, term) in order, each
//!                                                          without what it shares with the one before: for stores that keep no texts
//! ```

use sopasync_text::index::DocumentId;

use super::index::malformed;
use crate::error::Result;
use crate::limits::META_BYTES_MAX;
use crate::wire::{Put, Take};

const KEY: u8 = 0x10;
const DOCUMENT: u8 = 0x20;
const TEXTS: u8 = 1;
const WORDS: u8 = 2;

/// What is kept of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Texts(Vec<String>),
    Words(Vec<u32>, Vec<Vec<u8>>),
}

pub(super) fn key_row(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(key.len() + 1);
    row.push(KEY);
    row.extend_from_slice(key);
    row
}

pub(super) fn document_row(document: DocumentId) -> [u8; 13] {
    let mut row = [DOCUMENT; 13];
    row[1..].copy_from_slice(&document.to_bytes());
    row
}

/// First and last key of the rows of documents.
pub(super) const DOCUMENTS: ([u8; 1], [u8; 1]) = ([DOCUMENT], [DOCUMENT + 1]);

/// The document of a row.
pub(super) fn document_of_row(key: &[u8]) -> Result<DocumentId> {
    DocumentId::from_bytes(key.get(1..).unwrap_or_default())
        .map_err(|error| malformed(&error.to_string()))
}

pub(super) fn document_of_value(value: &[u8]) -> Result<DocumentId> {
    DocumentId::from_bytes(value).map_err(|error| malformed(&error.to_string()))
}

pub(super) fn encode_head(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::with_capacity(key.len() + payload.len() + 8);
    head.put_bytes(key);
    head.put_bytes(payload);
    head
}

/// Ride-along part and value of a document's row.
pub(super) fn split(head: Vec<u8>, body: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if head.len() <= META_BYTES_MAX {
        return (head, body);
    }
    let mut value = head;
    value.extend_from_slice(&body);
    (Vec::new(), value)
}

/// User key and payload, and where the body begins in the value.
pub(super) fn head<'a>(meta: &'a [u8], value: &'a [u8]) -> Result<(&'a [u8], &'a [u8], usize)> {
    let aside = !meta.is_empty();
    let mut take = Take::new(if aside { meta } else { value });
    let read = |take: &mut Take<'a>| Some((take.bytes()?, take.bytes()?));
    let (key, payload) =
        read(&mut take).ok_or_else(|| malformed("the head of a document is cut"))?;
    Ok((
        key,
        payload,
        if aside {
            0
        } else {
            value.len() - take.rest().len()
        },
    ))
}

pub(super) fn encode_texts(texts: &[&str]) -> Vec<u8> {
    let mut body = Vec::with_capacity(texts.iter().map(|text| text.len() + 3).sum::<usize>() + 1);
    body.push(TEXTS);
    texts
        .iter()
        .for_each(|text| body.put_bytes(text.as_bytes()));
    body
}

pub(super) fn encode_words(lengths: &[u32], words: &[&[u8]]) -> Vec<u8> {
    let mut body = vec![WORDS];
    lengths
        .iter()
        .for_each(|length| body.put_varint(u64::from(*length)));
    let mut before: &[u8] = &[];
    for word in words {
        let shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
        body.put_varint(shared as u64);
        body.put_bytes(&word[shared..]);
        before = word;
    }
    body
}

/// Reads a body of a store with so many fields.
pub(super) fn decode_body(body: &[u8], fields: usize) -> Result<Body> {
    let mut take = Take::new(body);
    let wrong = || malformed("what is kept of a document is not well formed");
    let decoded = match take.byte().ok_or_else(wrong)? {
        TEXTS => {
            let text = |_| String::from_utf8(take.bytes()?.to_vec()).ok();
            Body::Texts(
                (0..fields)
                    .map(text)
                    .collect::<Option<_>>()
                    .ok_or_else(wrong)?,
            )
        }
        WORDS => {
            let length = |_| u32::try_from(take.varint()?).ok();
            let lengths = (0..fields)
                .map(length)
                .collect::<Option<_>>()
                .ok_or_else(wrong)?;
            let mut words: Vec<Vec<u8>> = Vec::new();
            while !take.is_empty() {
                let shared = take.varint().ok_or_else(wrong)? as usize;
                let mut word = words
                    .last()
                    .and_then(|last| last.get(..shared))
                    .unwrap_or_default()
                    .to_vec();
                word.extend_from_slice(take.bytes().ok_or_else(wrong)?);
                if word.len() < shared
                    || word
                        .first()
                        .is_none_or(|field| usize::from(*field) >= fields)
                {
                    return Err(wrong());
                }
                words.push(word);
            }
            Body::Words(lengths, words)
        }
        _ => return Err(wrong()),
    };
    if take.is_empty() {
        Ok(decoded)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_and_a_cut_is_noticed() {
        let texts = encode_texts(&["a text", "", "żółw"]);
        let words: Vec<&[u8]> = vec![b"\0car", b"\0cart", b"\x02x"];
        let kept = encode_words(&[3, 0, 1], &words);
        let owned = words.iter().map(|word| word.to_vec()).collect();
        let expected = Body::Texts(vec!["a text".into(), String::new(), "żółw".into()]);
        assert_eq!(decode_body(&texts, 3).unwrap(), expected);
        assert_eq!(
            decode_body(&kept, 3).unwrap(),
            Body::Words(vec![3, 0, 1], owned)
        );
        for cut in 0..texts.len() {
            assert!(decode_body(&texts[..cut], 3).is_err());
        }
        (0..kept.len()).for_each(|cut| drop(decode_body(&kept[..cut], 3)));
        for (key, payload, aside) in [(1, 0, true), (5, 1000, true), (900, 400, false)] {
            let (key, payload) = (vec![1; key], vec![2; payload]);
            let (meta, value) = split(encode_head(&key, &payload), texts.clone());
            assert_eq!(!meta.is_empty(), aside);
            let (found, packed, at) = head(&meta, &value).unwrap();
            assert_eq!(
                (found, packed, &value[at..]),
                (&key[..], &payload[..], &texts[..])
            );
        }
    }
}
