//! Text stores beside a model of them: random documents in transactions, and searches compared with BM25 over all
//! documents one by one.
#![allow(dead_code, reason = "each test binary uses a part of it")]

#[path = "../../../text/tests/index_support/mod.rs"]
pub mod index_support;
pub mod life;

use std::collections::BTreeMap;

use index_support::{Fields, Model, Random, any_fields, any_query, assert_best};
use rmpv::Value;
use sopasync_core::text::{TEXT_KIND, TextSearch, TextStore};
use sopasync_core::{Access, Database, Isolation, Result, Transaction};
use sopasync_text::index::DocumentId;
use sopasync_text::score::Parameters;

use super::support::{begin, reader};

pub const LOOK: Access = Access {
    may_wait: true,
    track: true,
};

/// What a store is made with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub fields: usize,
    pub stored: bool,
    pub words: usize,
    pub keys: usize,
    /// Of the rules: 0, 1 and 2 make the same terms of texts in lower case, and 3 weighs otherwise than 0.
    pub variant: u8,
}

impl Shape {
    pub fn any(random: &mut Random) -> Self {
        Self {
            fields: [1, 1, 2][random.below(3)],
            stored: random.below(3) > 0,
            words: [15, 80][random.below(2)],
            keys: [10, 60][random.below(2)],
            variant: 0,
        }
    }

    pub fn parameters(&self) -> Parameters {
        Parameters {
            k1: 1.2,
            b: 0.75,
            boosts: [1.0, 2.0][..self.fields].to_vec(),
        }
    }

    pub fn options(&self) -> Vec<u8> {
        let text = |text: &str| Value::from(text);
        let parameters = self.parameters();
        let field = |(number, boost): (usize, &f32)| {
            let analyzer = Value::Map(vec![
                (text("kind"), text("whitespace")),
                (text("ignore_accents"), Value::from(false)),
                (
                    text("ignore_case"),
                    Value::from(matches!(self.variant, 1 | 2)),
                ),
                (text("min"), Value::from(3)),
                (text("max"), Value::from(3 + self.variant % 3)),
            ]);
            Value::Array(vec![
                text(&format!("f{number}")),
                Value::from(*boost),
                analyzer,
            ])
        };
        let fields = parameters.boosts.iter().enumerate().map(field).collect();
        let map = Value::Map(vec![
            (text("format"), Value::from(1)),
            (text("description"), text("")),
            (
                text("k1"),
                Value::from(if self.variant == 3 {
                    2.0
                } else {
                    parameters.k1
                }),
            ),
            (text("b"), Value::from(parameters.b)),
            (text("stored"), Value::from(self.stored)),
            (text("fields"), Value::Array(fields)),
        ]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &map).unwrap();
        bytes
    }
}

/// The documents of a store by their keys.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub documents: BTreeMap<Vec<u8>, (DocumentId, Fields)>,
}

impl Texts {
    fn model(&self) -> Model {
        Model {
            documents: self.documents.values().cloned().collect(),
        }
    }

    /// As they are after the commit.
    pub fn committed(mut self, seq: u64) -> Self {
        for (id, _) in self.documents.values_mut() {
            if id.seq == DocumentId::OWN {
                id.seq = seq;
            }
        }
        self
    }
}

/// Makes the store "texts".
pub fn make(db: &Database, shape: &Shape) -> u64 {
    let mut tx = begin(db, Isolation::Serializable);
    let id = tx
        .create_store("texts", TEXT_KIND, &shape.options())
        .unwrap()
        .id;
    tx.commit().unwrap();
    id
}

pub fn text_store(tx: &mut Transaction) -> TextStore {
    let info = tx.find_store("texts").expect("the store is there");
    TextStore::open(tx, &info).expect("a text store")
}

pub fn texts_of(fields: &Fields) -> Vec<String> {
    let join = |terms: &Vec<(String, u32)>| {
        terms
            .iter()
            .map(|term| term.0.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    fields.iter().map(join).collect()
}

pub fn any_document(random: &mut Random, shape: &Shape) -> Fields {
    let longest = [4, 20, 50][random.below(3)];
    let mut fields = any_fields(random, shape.fields, shape.words, longest);
    for terms in &mut fields {
        terms
            .iter_mut()
            .zip(0..)
            .for_each(|(term, position)| term.1 = position);
    }
    fields
}

pub fn add(
    tx: &mut Transaction,
    texts: &mut Texts,
    key: &[u8],
    fields: &Fields,
    ordinal: &mut u32,
) -> Result<()> {
    let store = text_store(tx);
    let words = texts_of(fields);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let replaced = store.add(tx, key, &words, key, true)?;
    *ordinal += 1;
    let id = DocumentId {
        seq: DocumentId::OWN,
        ordinal: *ordinal,
    };
    let old = texts.documents.insert(key.to_vec(), (id, fields.clone()));
    assert_eq!(replaced, old.is_some(), "whether {key:?} had a document");
    Ok(())
}

/// Random changes in a transaction and in the model.
pub fn change(
    tx: &mut Transaction,
    texts: &mut Texts,
    random: &mut Random,
    shape: &Shape,
    operations: usize,
) -> Result<()> {
    // Documents that come later in the transaction come later in the order.
    let own = texts
        .documents
        .values()
        .filter(|document| document.0.seq == DocumentId::OWN);
    let mut ordinal = own.map(|document| document.0.ordinal).max().unwrap_or(0);
    let mut saved = Vec::new();
    for _ in 0..operations {
        let key = format!("key {}", random.below(shape.keys)).into_bytes();
        match random.below(12) {
            0..=6 => add(tx, texts, &key, &any_document(random, shape), &mut ordinal)?,
            7..=9 => {
                let gone = text_store(tx).delete(tx, &key, true)?;
                assert_eq!(
                    gone,
                    texts.documents.remove(&key).is_some(),
                    "whether {key:?} had a document"
                );
            }
            10 => saved.push((tx.savepoint(), texts.clone())),
            _ => {
                if let Some((savepoint, before)) = saved.pop() {
                    tx.rollback_to(savepoint)?;
                    *texts = before;
                }
            }
        }
    }
    Ok(())
}

/// Some searches, a count and a look-up.
pub fn look(
    tx: &mut Transaction,
    texts: &Texts,
    random: &mut Random,
    shape: &Shape,
    place: &str,
) -> Result<()> {
    let store = text_store(tx);
    assert_eq!(
        store.count(tx, LOOK)?,
        texts.documents.len() as u64,
        "{place}: documents"
    );
    for _ in 0..2 {
        let query = any_query(random, shape.fields, shape.words, 2);
        let (limit, offset) = ([1, 3, 1000][random.below(3)], [0, 0, 2][random.below(3)]);
        let search = TextSearch {
            query: &query,
            limit,
            offset,
            filter: None,
            among: None,
            texts: random.below(2) == 0,
        };
        let hits = store.search(tx, &search, LOOK)?;
        let mut found = Vec::new();
        for hit in hits {
            assert_eq!(hit.key, hit.payload, "{place}: the payload of a hit");
            let (id, fields) = texts
                .documents
                .get(&hit.key)
                .unwrap_or_else(|| panic!("{place}: {:?} is not there", hit.key));
            if let Some(kept) = &hit.texts {
                assert_eq!(*kept, texts_of(fields), "{place}: texts");
            }
            found.push((*id, hit.score));
        }
        let expected = texts.model().search(&query, &shape.parameters());
        assert_best(
            &found,
            &expected,
            offset,
            limit,
            &format!("{place}: {query:?}"),
        );
    }
    let key = format!("key {}", random.below(shape.keys)).into_bytes();
    let entry = store.get(tx, &key, LOOK)?;
    assert_eq!(
        entry.is_some(),
        texts.documents.contains_key(&key),
        "{place}: {key:?}"
    );
    if let (Some(entry), Some((_, fields))) = (entry, texts.documents.get(&key)) {
        assert_eq!(entry.payload, key, "{place}: payload");
        assert_eq!(
            entry.texts,
            shape.stored.then(|| texts_of(fields)),
            "{place}: texts"
        );
    }
    Ok(())
}

/// The newest state by searches, before maintenance and after it.
pub fn look_through(db: &Database, texts: &Texts, random: &mut Random, shape: &Shape, place: &str) {
    for _ in 0..2 {
        look(&mut reader(db), texts, random, shape, place)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    let id = text_store(&mut reader(db)).id();
    db.settle(id)
        .unwrap_or_else(|error| panic!("{place}: maintenance: {error}"));
    look(&mut reader(db), texts, random, shape, place)
        .unwrap_or_else(|error| panic!("{place}, settled: {error}"));
}
