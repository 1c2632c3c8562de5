//! Parts against plain lists of documents.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::rows::MemoryRows;
use super::*;

/// Of some fields: a document none of whose words is known any more, or words that stand in it once or more often.
fn any_document(fields: usize) -> impl Strategy<Value = Option<Words>> {
    let word = (0..fields as u8, "[a-c]{0,3}|[a-z]{14,40}");
    let words = prop::collection::btree_map(word, 1u32..40, 0..12);
    prop::option::weighted(0.9, words).prop_map(move |words| {
        let words = words?;
        let mut known = Words {
            lengths: vec![0; fields],
            words: Vec::new(),
        };
        for ((field, term), times) in words {
            known.lengths[usize::from(field)] += times;
            known.words.push([&[field], term.as_bytes()].concat());
        }
        Some(known)
    })
}

/// Documents and all words in them.
struct Given {
    documents: Vec<Option<Words>>,
    vocabulary: Vec<Vec<u8>>,
}

impl Given {
    fn new(documents: Vec<Option<Words>>) -> Self {
        let words = documents
            .iter()
            .flatten()
            .flat_map(|document| &document.words);
        let vocabulary: BTreeSet<Vec<u8>> = words.cloned().collect();
        Self {
            documents,
            vocabulary: vocabulary.into_iter().collect(),
        }
    }

    /// As if documents came from two deltas, of which each has numbers of its own.
    fn known(&self, slot: u32) -> Known<'_> {
        let Some(document) = &self.documents[slot as usize] else {
            return Known::default();
        };
        let number = |word: &Vec<u8>| {
            let at = self.vocabulary.binary_search(word).expect("a word");
            u64::from(slot % 2) << 32 | at as u64
        };
        Known {
            lengths: &document.lengths,
            words: document
                .words
                .iter()
                .map(|word| (number(word), word.as_slice()))
                .collect(),
        }
    }

    fn append(&self, rows: &MemoryRows, mut from: u32, last: u32, fields: usize) {
        while from < last {
            let known = |slot| Ok(self.known(slot));
            (from, _) = append(rows, (from, last), fields, known).unwrap();
        }
    }
}

fn check(
    rows: &MemoryRows,
    documents: &[Option<Words>],
    fields: usize,
) -> std::result::Result<(), TestCaseError> {
    for (slot, document) in documents.iter().enumerate() {
        let found = words_at(rows, slot as u32, fields);
        prop_assert_eq!(&found.ok(), document);
    }
    prop_assert!(words_at(rows, documents.len() as u32, fields).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn words_come_back_after_every_append_and_go_with_the_dead(
        documents in prop::collection::vec(any_document(2), 1..150),
        step in 1usize..100,
        dead in 2u32..9,
    ) {
        let (given, rows) = (Given::new(documents), MemoryRows::default());
        let documents = &given.documents;
        let mut from = 0;
        while from < documents.len() {
            let last = documents.len().min(from + step);
            given.append(&rows, from as u32, last as u32, 2);
            from = last;
            check(&rows, &documents[..last], 2)?;
        }
        let (end, _) = strip(&rows, 0, 2, |slot| slot % dead == 0).unwrap();
        prop_assert_eq!(end as usize, documents.len());
        let left = (0..).zip(documents);
        let left = left.map(|(slot, document)| document.clone().filter(|_| slot % dead != 0));
        check(&rows, &left.collect::<Vec<_>>(), 2)?;
        let part = read(&rows, 0).unwrap();
        for cut in 0..part.len() {
            prop_assert!(Part::decode(&part[..cut], 2).is_err());
        }
    }
}

#[test]
fn many_words_make_several_parts_and_what_was_not_counted_is_written_again() {
    let words: Vec<Vec<u8>> = (0..31_000)
        .map(|number| format!("\0{number:05}").into_bytes())
        .collect();
    let document = |slot: usize| {
        Some(Words {
            lengths: vec![30_000],
            words: words[slot * 100..][..30_000].to_vec(),
        })
    };
    let given = Given::new((0..9).map(document).collect());
    let rows = MemoryRows::default();
    given.append(&rows, 0, 9, 1);
    given.append(&rows, 4, 9, 1);
    check(&rows, &given.documents, 1).unwrap();
    let keys = || rows.to_vec().into_iter().map(|row| row.0);
    let parts: BTreeSet<Vec<u8>> = keys().map(|key| key[1..5].to_vec()).collect();
    assert_eq!(parts.len(), 9 / PART_WORDS.div_ceil(30_000));
    let pieces: Vec<Vec<u8>> = keys().collect();
    for piece in &pieces {
        let less = rows.clone();
        less.delete(piece).unwrap();
        assert!((0..9).any(|slot| words_at(&less, slot, 1).is_err()));
    }
}
