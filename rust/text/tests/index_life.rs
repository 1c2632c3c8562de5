//! Given documents that come, change and go, one transaction after the other, and maintenance at any moment between: every search finds what
//! BM25 over all documents of its snapshot finds, at the newest snapshot, at old ones, and with what is not committed.

mod index_support;

use std::collections::BTreeMap;
use std::sync::Arc;

use index_support::{Model, Random, any_fields, any_query, assert_best};
use sopasync_text::index::{
    Cache, Delta, DocumentId, MemoryRows, Pending, Policy, RowsMut, Shape, Step, View, Words,
    combine_own, delta_key, step,
};
use sopasync_text::score::{Parameters, Search, search};

struct Life {
    rows: MemoryRows,
    cache: Cache,
    parameters: Parameters,
    fields: usize,
    words: usize,
    model: Model,
    seq: u64,
    policy: Policy,
    keeps_words: bool,
}

/// What a transaction did: the model as it sees itself, the deltas it searches, and the one it commits.
struct Changed {
    model: Model,
    own: Vec<Arc<Delta>>,
    delta: Vec<u8>,
}

/// Deltas of a transaction between its searches, with the savepoints at which they end.
#[derive(Default)]
struct Own(Vec<(usize, Arc<Delta>)>);

impl Own {
    fn search(&mut self, pending: &Pending) {
        let begin = self.0.last().map_or(0, |own| own.0);
        if begin < pending.savepoint() {
            let delta = Delta::open(pending.delta_since(begin), DocumentId::OWN).unwrap();
            self.0.push((pending.savepoint(), Arc::new(delta)));
        }
    }

    fn combine(&mut self) {
        if let [.., a, b] = &self.0[..] {
            let both = combine_own(&[Arc::clone(&a.1), Arc::clone(&b.1)]).unwrap();
            let both = (b.0, Arc::new(Delta::open(both, DocumentId::OWN).unwrap()));
            self.0.truncate(self.0.len() - 2);
            self.0.push(both);
        }
    }
}

impl Life {
    fn new(seed: u64, random: &mut Random) -> Self {
        let fields = [1, 1, 3][random.below(3)];
        Self {
            rows: MemoryRows::default(),
            cache: Cache::default(),
            parameters: Parameters {
                k1: [1.2, 0.0, 2.0][(seed % 7 % 3) as usize],
                b: [0.75, 0.0, 1.0][(seed % 5 % 3) as usize],
                boosts: [1.0, 2.0, 0.5][..fields].to_vec(),
            },
            fields,
            keeps_words: random.below(2) == 0,
            words: [12, 60, 400][random.below(3)],
            model: Model::default(),
            seq: 0,
            policy: Policy {
                fold_documents: [1, 20, 200][random.below(3)],
                deltas_max: [2, 5, 12][random.below(3)],
                compact_postings: [1, 100][random.below(2)],
                step_bytes: [1, 700, 1 << 20][random.below(3)],
            },
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            fields: self.fields,
            keeps_words: self.keeps_words,
        }
    }

    /// Makes changes in a transaction, which searches now and then.
    fn change(&self, random: &mut Random, operations: usize) -> Changed {
        let mut pending = Pending::new(self.fields, 7);
        let mut deltas = Own::default();
        let mut model = self.model.clone();
        let mut own: BTreeMap<u32, ()> = BTreeMap::new();
        let mut saved: Vec<(usize, Model, BTreeMap<u32, ()>)> = Vec::new();
        let mut ordinal = 0;
        for _ in 0..operations {
            if random.below(4) == 0 {
                deltas.search(&pending);
            }
            if random.below(6) == 0 {
                deltas.combine();
            }
            match random.below(12) {
                0..=6 => {
                    let longest = [3, 20, 60][random.below(3)];
                    let fields = any_fields(random, self.fields, self.words, longest);
                    pending.add(ordinal, format!("{}:{ordinal}", self.seq).as_bytes());
                    terms(&mut pending, &fields);
                    model.documents.insert(
                        DocumentId {
                            seq: DocumentId::OWN,
                            ordinal,
                        },
                        fields,
                    );
                    own.insert(ordinal, ());
                    ordinal += 1;
                }
                7..=9 if !model.documents.is_empty() => {
                    let at = random.below(model.documents.len());
                    let id = *model.documents.keys().nth(at).unwrap();
                    let fields = model.documents.remove(&id).unwrap();
                    if id.seq == DocumentId::OWN {
                        pending.remove_own(id.ordinal);
                    } else if random.below(2) == 0 {
                        pending.remove(id);
                        terms(&mut pending, &fields);
                    } else {
                        let words = self.words_of(id, &fields);
                        pending.remove_words(id, &words);
                    }
                }
                10 => saved.push((pending.savepoint(), model.clone(), own.clone())),
                _ => {
                    if let Some((savepoint, before, own_before)) = saved.pop() {
                        pending.rollback_to(savepoint);
                        deltas.0.retain(|own| own.0 <= savepoint);
                        (model, own) = (before, own_before);
                    }
                }
            }
        }
        deltas.search(&pending);
        Changed {
            model,
            own: deltas.0.into_iter().map(|own| own.1).collect(),
            delta: pending.delta(),
        }
    }

    /// What the index knows of a document, if it keeps that, which is what there is to know.
    fn words_of(&self, id: DocumentId, fields: &[Vec<(String, u32)>]) -> Words {
        let all = fields.iter().enumerate().flat_map(|(field, terms)| {
            let word = move |term: &(String, u32)| [&[field as u8], term.0.as_bytes()].concat();
            terms.iter().map(word)
        });
        let mut words: Vec<Vec<u8>> = all.collect();
        words.sort_unstable();
        words.dedup();
        let lengths = fields.iter().map(|terms| terms.len() as u32).collect();
        let expected = Words { lengths, words };
        if self.keeps_words {
            let view = View::open(&self.rows, &self.cache, self.fields, &[]).unwrap();
            let known = view.words(&self.rows, id).unwrap();
            assert_eq!(known, expected, "the words of {id:?}");
        }
        expected
    }

    fn commit(&mut self, model: Model, delta: &[u8]) {
        self.seq += 1;
        self.rows.put(&delta_key(self.seq), delta).unwrap();
        let numbered = |(id, fields): (DocumentId, _)| match id.seq {
            DocumentId::OWN => (
                DocumentId {
                    seq: self.seq,
                    ..id
                },
                fields,
            ),
            _ => (id, fields),
        };
        self.model.documents = model.documents.into_iter().map(numbered).collect();
    }

    fn maintain(&self) -> Step {
        step(&self.rows, &self.cache, self.shape(), &self.policy).unwrap()
    }
}

fn terms(pending: &mut Pending, fields: &[Vec<(String, u32)>]) {
    for (field, terms) in fields.iter().enumerate() {
        terms
            .iter()
            .for_each(|(term, position)| pending.term(field as u8, term, *position));
    }
}

fn look(
    rows: &MemoryRows,
    cache: &Cache,
    model: &Model,
    life: &Life,
    own: &[Arc<Delta>],
    random: &mut Random,
    place: &str,
) {
    let view = View::open(rows, cache, life.fields, own).unwrap();
    assert_eq!(
        view.documents(),
        model.documents.len() as u64,
        "{place}: documents"
    );
    for _ in 0..4 {
        let query = any_query(random, life.fields, life.words, 2);
        let (limit, offset) = (
            [1, 3, 10, 1000][random.below(4)],
            [0, 0, 2][random.below(3)],
        );
        let place = format!("{place}: {query:?}");
        let wanted = Search {
            query: &query,
            parameters: &life.parameters,
            limit,
            offset,
            patience: u64::MAX,
        };
        let odd = random.below(3) == 0;
        let mut accept = |slot: u32| Ok(view.document(rows, slot)?.ordinal % 2 == 1);
        let hits = search(&view, rows, &wanted, odd.then_some(&mut accept));
        let hits = hits.unwrap_or_else(|failure| panic!("{place}: {failure}"));
        let found: Vec<_> = hits
            .iter()
            .map(|hit| (view.document(rows, hit.slot).unwrap(), hit.score))
            .collect();
        for hit in &hits {
            let (id, mut name) = (view.document(rows, hit.slot).unwrap(), Vec::new());
            view.name(rows, hit.slot, &mut name).unwrap();
            let before = match id.seq {
                DocumentId::OWN => life.seq,
                seq => seq - 1,
            };
            assert_eq!(
                name,
                format!("{before}:{}", id.ordinal).as_bytes(),
                "{place}: a name"
            );
        }
        let mut expected = model.search(&query, &life.parameters);
        if odd {
            expected.retain(|(id, _)| id.ordinal % 2 == 1);
        }
        assert_best(&found, &expected, offset, limit, &place);
        // Documents that are alike score alike to the last bit: of these the first ones are found.
        let (best, rest) = expected.split_at(offset.min(expected.len()));
        for (id, _) in rest
            .iter()
            .filter(|(id, _)| !found.iter().any(|hit| hit.0 == *id))
        {
            let alike =
                |other: &DocumentId| other > id && model.documents[other] == model.documents[id];
            let later = found.iter().find(|hit| alike(&hit.0));
            assert!(
                later.is_none() || !best.is_empty(),
                "{place}: {later:?} instead of {id:?}, which is alike and comes first"
            );
        }
    }
}

fn live(seed: u64) {
    let mut random = Random::new(seed);
    let mut life = Life::new(seed, &mut random);
    let mut old: Vec<(MemoryRows, Model)> = Vec::new();
    for turn in 0..40 {
        let operations = [1, 1, 5, 30, 120][random.below(5)];
        let Changed { model, own, delta } = life.change(&mut random, operations);
        look(
            &life.rows,
            &life.cache,
            &model,
            &life,
            &own,
            &mut random,
            &format!("seed {seed}, turn {turn}, own"),
        );
        if random.below(8) > 0 {
            life.commit(model, &delta);
        }
        for _ in 0..random.below(6) {
            life.maintain();
            if random.below(3) == 0 {
                look(
                    &life.rows,
                    &life.cache,
                    &life.model,
                    &life,
                    &[],
                    &mut random,
                    &format!("seed {seed}, turn {turn}, in maintenance"),
                );
            }
        }
        look(
            &life.rows,
            &life.cache,
            &life.model,
            &life,
            &[],
            &mut random,
            &format!("seed {seed}, turn {turn}"),
        );
        if old.len() < 4 {
            old.push((life.rows.clone(), life.model.clone()));
        } else {
            let at = random.below(4);
            look(
                &old[at].0,
                &life.cache,
                &old[at].1,
                &life,
                &[],
                &mut random,
                &format!("seed {seed}, turn {turn}, old {at}"),
            );
            old.remove(at);
        }
    }
    if random.below(2) == 0 {
        // Everything goes.
        let mut pending = Pending::new(life.fields, 7);
        for (id, fields) in &life.model.documents {
            pending.remove(*id);
            terms(&mut pending, fields);
        }
        let delta = pending.delta();
        life.commit(Model::default(), &delta);
    }
    life.policy = Policy {
        fold_documents: 1,
        compact_postings: 1,
        ..life.policy
    };
    let mut steps = 0;
    while life.maintain() == Step::Again {
        steps += 1;
        assert!(steps < 100_000, "seed {seed}: maintenance has no end");
    }
    look(
        &life.rows,
        &Cache::default(),
        &life.model,
        &life,
        &[],
        &mut random,
        &format!("seed {seed}, at the end"),
    );
    if life.model.documents.is_empty() {
        let left = life
            .rows
            .to_vec()
            .into_iter()
            .filter(|(key, _)| (0x41..0x44).contains(&key[0]))
            .count();
        assert_eq!(left, 0, "seed {seed}: rows of terms that no document has");
    }
}

#[test]
fn searches_equal_brute_force_whatever_maintenance_does() {
    let scale: u64 = std::env::var("SOPASYNC_TEST_SCALE").map_or(1, |scale| scale.parse().unwrap());
    if let Ok(seed) = std::env::var("SOPASYNC_TEST_SEED") {
        return live(seed.parse().unwrap());
    }
    for seed in 0..16 * scale {
        live(seed);
    }
}
