//! Given rows in which bytes were changed, cut off or put in: searching and maintaining the index gives answers or errors, and never
//! panics or runs on for ever.

mod index_support;

use std::sync::Arc;

use index_support::{Random, any_fields, any_query};
use sopasync_text::index::{
    Cache, Delta, DocumentId, MemoryRows, Pending, Policy, RowsMut, Shape, Step, View, delta_key,
    step,
};
use sopasync_text::score::{Parameters, Search, search};

fn index(random: &mut Random, fields: usize) -> MemoryRows {
    let (rows, cache) = (MemoryRows::default(), Cache::default());
    let policy = Policy {
        fold_documents: 200,
        deltas_max: 4,
        compact_postings: 1 << 40,
        step_bytes: 1 << 14,
    };
    let mut first = Vec::new();
    for seq in 1..=12u64 {
        let mut pending = Pending::new(fields, 7);
        if seq > 1 && seq % 3 == 0 {
            pending.remove(DocumentId {
                seq: seq - 1,
                ordinal: 0,
            });
            terms(&mut pending, &first);
        }
        for ordinal in 0..60 {
            let document = any_fields(random, fields, 20, 30);
            pending.add(ordinal, &ordinal.to_be_bytes());
            terms(&mut pending, &document);
            if ordinal == 0 {
                first = document;
            }
        }
        rows.put(&delta_key(seq), &pending.delta()).unwrap();
        for _ in 0..random.below(20) {
            step(&rows, &cache, shape(fields), &policy).unwrap();
        }
    }
    rows
}

fn terms(pending: &mut Pending, fields: &[Vec<(String, u32)>]) {
    for (field, terms) in fields.iter().enumerate() {
        terms
            .iter()
            .for_each(|(term, position)| pending.term(field as u8, term, *position));
    }
}

fn shape(fields: usize) -> Shape {
    Shape {
        fields,
        keeps_words: true,
    }
}

fn damage(rows: &MemoryRows, random: &mut Random) {
    let all = rows.to_vec();
    let (key, row) = &all[random.below(all.len())];
    let mut row = row.clone();
    let at = random.below(row.len().max(1));
    match random.below(6) {
        0 => row.truncate(at),
        1 => row.insert(at.min(row.len()), random.next() as u8),
        2 => {
            let other = &all[random.below(all.len())].1;
            row.clone_from(other);
        }
        3 => {
            rows.delete(key).unwrap();
            return;
        }
        _ if !row.is_empty() => row[at] ^= 1 << random.below(8),
        _ => {}
    }
    rows.put(key, &row).unwrap();
}

#[test]
fn damaged_rows_are_errors_or_other_answers_and_never_panics() {
    let (mut errors, mut answers) = (0, 0);
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let fields = [1, 2][random.below(2)];
        let good = index(&mut random, fields);
        let parameters = Parameters {
            k1: 1.2,
            b: 0.75,
            boosts: vec![1.0; fields],
        };
        for _ in 0..400 {
            let rows = good.clone();
            for _ in 0..1 + random.below(3) {
                damage(&rows, &mut random);
            }
            let cache = Cache::default();
            match View::open(&rows, &cache, fields, &[]) {
                Err(_) => errors += 1,
                Ok(view) => {
                    for _ in 0..3 {
                        let query = any_query(&mut random, fields, 20, 2);
                        let wanted = Search {
                            query: &query,
                            parameters: &parameters,
                            limit: 10,
                            offset: 0,
                            patience: u64::MAX,
                        };
                        let hits = search(&view, &rows, &wanted, None);
                        match hits.and_then(|hits| {
                            hits.iter()
                                .map(|hit| {
                                    let document = view.document(&rows, hit.slot)?;
                                    let _ = view.words(&rows, document);
                                    view.name(&rows, hit.slot, &mut Vec::new())
                                })
                                .collect::<Result<Vec<_>, _>>()
                        }) {
                            Ok(_) => answers += 1,
                            Err(_) => errors += 1,
                        }
                    }
                }
            }
            let policy = Policy {
                fold_documents: 1,
                deltas_max: 2,
                compact_postings: 1,
                step_bytes: 1 << 20,
            };
            for turn in 0.. {
                match step(&rows, &cache, shape(fields), &policy) {
                    Ok(Step::Again) => assert!(turn < 1000, "maintenance has no end"),
                    Ok(Step::Idle) => break,
                    Err(_) => {
                        errors += 1;
                        break;
                    }
                }
            }
        }
    }
    assert!(
        errors > 200 && answers > 200,
        "{errors} errors, {answers} answers"
    );
}

#[test]
fn any_bytes_are_no_delta_or_one_that_can_be_searched() {
    let mut random = Random::new(9);
    let mut pending = Pending::new(1, 7);
    for ordinal in 0..20 {
        pending.add(ordinal, b"a name");
        for (term, position) in &any_fields(&mut random, 1, 30, 20)[0] {
            pending.term(0, term, *position);
        }
    }
    let good = pending.delta();
    let parameters = Parameters {
        k1: 1.2,
        b: 0.75,
        boosts: vec![1.0],
    };
    for _ in 0..4000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        bytes.truncate(bytes.len() - random.below(8) / 7 * random.below(bytes.len()));
        let Ok(own) = Delta::open(bytes, DocumentId::OWN) else {
            continue;
        };
        let rows = MemoryRows::default();
        let Ok(view) = View::open(&rows, &Cache::default(), 1, &[Arc::new(own)]) else {
            continue;
        };
        let query = any_query(&mut random, 1, 30, 2);
        let wanted = Search {
            query: &query,
            parameters: &parameters,
            limit: 5,
            offset: 0,
            patience: u64::MAX,
        };
        let _ = search(&view, &rows, &wanted, None);
    }
}
