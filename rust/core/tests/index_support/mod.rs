//! Stores with indexes for tests: people, and orders that refer to them; random transactions, and an oracle that reads the
//! stores in the order of their keys and sorts for itself.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod relation;

use std::collections::BTreeMap;
use std::ops::Bound;

use rmpv::Value;
use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::index::{self, NewItem, State, Way};
use sopasync_core::key::KeyWriter;
use sopasync_core::{
    Access, Database, Error, FieldSource, IndexDefinition, IndexField, Isolation, KeyShape, Link,
    OnDelete, Options, Reference, Result, ScanRange, Transaction,
};

use crate::support::{WAIT, begin, open, reader, simulated};

use relation::add_relation;
pub use relation::{add_relation_beside_a_writer, remove_targets_of_a_relation_that_is_built};

pub const PEOPLE: &str = "people";
pub const ORDERS: &str = "orders";
const BTREE_KIND: u8 = 1;
const SINGLE: KeyShape = KeyShape {
    unique: true,
    fields: None,
};

/// What is in a person's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Absent, nil, or a number of a city.
    pub city: Option<Option<i64>>,
    pub age: i64,
    pub email: i64,
}

impl Person {
    fn random(random: &mut SplitMix64, emails: usize) -> Self {
        Self {
            city: match random.below(8) {
                0 => None,
                1 => Some(None),
                _ => Some(Some(random.below(4) as i64)),
            },
            age: random.below(5) as i64,
            email: random.below(emails) as i64,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut inner = vec![(Value::from("age"), Value::from(self.age))];
        if let Some(city) = self.city {
            inner.push((Value::from("city"), city.map_or(Value::Nil, Value::from)));
        }
        let map = Value::Map(vec![
            (Value::from("email"), Value::from(self.email)),
            (Value::from("at"), Value::Map(inner)),
        ]);
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &map).expect("into memory");
        out
    }

    pub fn decode(mut bytes: &[u8]) -> Self {
        let value = rmpv::decode::read_value(&mut bytes).expect("a packed person");
        let field = |value: &Value, name: &str| {
            let map = value.as_map().expect("a map");
            let mut found = map.iter().filter(|(key, _)| key.as_str() == Some(name));
            found.next().map(|(_, value)| value.clone())
        };
        let at = field(&value, "at").expect("at");
        Self {
            city: field(&at, "city").map(|city| city.as_i64()),
            age: field(&at, "age").expect("age").as_i64().expect("an age"),
            email: field(&value, "email")
                .expect("email")
                .as_i64()
                .expect("an email"),
        }
    }
}

pub fn person_key(id: i64) -> Vec<u8> {
    let mut out = Vec::new();
    KeyWriter::new(&mut out).int(id);
    out
}

/// Who, then a number, descending.
pub fn order_key(person: i64, number: i64) -> Vec<u8> {
    let mut out = person_key(person);
    let start = out.len();
    let mut writer = KeyWriter::new(&mut out);
    writer.int(number);
    writer.descend_since(start);
    out
}

fn field(source: FieldSource, ascending: bool) -> IndexField {
    IndexField { source, ascending }
}

pub fn by_city() -> IndexDefinition {
    IndexDefinition {
        store: PEOPLE.to_owned(),
        name: "by_city".to_owned(),
        unique: false,
        key: SINGLE,
        fields: vec![
            field(FieldSource::Value("at.city".to_owned()), true),
            field(FieldSource::Value("at.age".to_owned()), false),
        ],
        reference: None,
    }
}

pub fn by_email() -> IndexDefinition {
    IndexDefinition {
        name: "by_email".to_owned(),
        unique: true,
        fields: vec![field(FieldSource::Value("email".to_owned()), true)],
        ..by_city()
    }
}

pub fn of_person(on_delete: OnDelete) -> IndexDefinition {
    IndexDefinition {
        store: ORDERS.to_owned(),
        name: "person -> people".to_owned(),
        unique: false,
        key: KeyShape {
            unique: true,
            fields: Some(vec![true, false]),
        },
        fields: vec![field(FieldSource::Key(0), true)],
        reference: Some(Reference {
            store: PEOPLE.to_owned(),
            key: SINGLE,
            on_delete,
        }),
    }
}

pub fn settings() -> Options {
    simulated(512, 4 << 20)
}

/// A database with both stores and all indexes but the unique one.
pub fn new_database(disk: &SimDisk, on_delete: OnDelete) -> Database {
    let db = open(disk, &settings()).expect("a new database");
    let mut tx = begin(&db, Isolation::Serializable);
    tx.create_store(PEOPLE, BTREE_KIND, b"").expect("people");
    tx.create_store(ORDERS, BTREE_KIND, b"").expect("orders");
    index::create(&mut tx, &by_city()).expect("an index");
    index::create(&mut tx, &of_person(on_delete)).expect("an index");
    tx.commit().expect("a commit");
    db
}

pub fn store(tx: &Transaction, name: &str) -> u64 {
    tx.known_store(name).expect("the store is there").id
}

/// Writes as the layers above do.
pub fn put(tx: &mut Transaction, name: &str, key: &[u8], value: &[u8]) -> Result<()> {
    let store = store(tx, name);
    match tx.links(store)? {
        None => tx.put(store, key, b"", value, true),
        Some(links) => index::put(tx, store, &links, key, (b"", value), WAIT),
    }
}

/// The same with a list, of which all is written or nothing.
fn put_list(tx: &mut Transaction, name: &str, items: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let store = store(tx, name);
    let new = items.iter().map(|(key, value)| NewItem {
        key,
        meta: b"",
        value,
    });
    if let Some(links) = tx.links(store)?
        && index::put_many(tx, store, &links, Way::Upsert, new, WAIT)?
    {
        return Ok(());
    }
    let savepoint = tx.savepoint();
    for (key, value) in items {
        if let Err(error) = put(tx, name, key, value) {
            tx.rollback_to(savepoint)?;
            return Err(error);
        }
    }
    Ok(())
}

pub fn delete(tx: &mut Transaction, name: &str, key: &[u8]) -> Result<()> {
    let store = store(tx, name);
    match tx.links(store)? {
        None => tx.delete(store, key),
        Some(links) => index::delete(tx, store, &links, key, WAIT),
    }
}

/// One random change; whether it was refused for a reason that is allowed.
pub fn change(tx: &mut Transaction, random: &mut SplitMix64) -> bool {
    let id = random.below(12) as i64;
    let result = match random.below(10) {
        0..=3 => {
            let person = Person::random(random, 40);
            put(tx, PEOPLE, &person_key(id), &person.encode())
        }
        4 => delete(tx, PEOPLE, &person_key(id)),
        5 | 6 => {
            let number = random.below(3) as i64;
            put(tx, ORDERS, &order_key(id, number), b"\xC0")
        }
        7 => delete(tx, ORDERS, &order_key(id, random.below(3) as i64)),
        8 => {
            let people = (id..id + random.below(4) as i64)
                .map(|id| (person_key(id), Person::random(random, 40).encode()))
                .collect::<Vec<_>>();
            put_list(tx, PEOPLE, &people)
        }
        _ => {
            let orders = (id..id + random.below(4) as i64)
                .map(|id| (order_key(id, random.below(3) as i64), b"\xC0".to_vec()))
                .collect::<Vec<_>>();
            put_list(tx, ORDERS, &orders)
        }
    };
    match result {
        Ok(()) => false,
        Err(Error::NotUnique { .. } | Error::NoTarget(_) | Error::Referred(_)) => true,
        Err(error) => panic!("{error}"),
    }
}

pub fn all(tx: &mut Transaction, name: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let store = store(tx, name);
    let mut found = BTreeMap::new();
    tx.scan(store, &ScanRange::default(), WAIT, &mut |key, _, value| {
        found.insert(key.to_vec(), value.expect("a value").to_vec());
    })
    .expect("a scan");
    found
}

/// All items in the order of an index, in small pages.
fn through(tx: &mut Transaction, store: u64, link: &Link) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let range = ScanRange {
            low: last.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
            limit: 7,
            limit_bytes: 100,
            ..ScanRange::default()
        };
        last = index::scan(tx, store, link, &range, WAIT, &mut |_, key, _, value| {
            found.push((key.to_vec(), value.expect("a value").to_vec()));
        })
        .expect("a scan through an index");
        if last.is_none() {
            return found;
        }
    }
}

/// Everything an index says against what its store says, as one transaction sees both.
pub fn look(tx: &mut Transaction, place: &str) {
    let (people, orders) = (all(tx, PEOPLE), all(tx, ORDERS));
    for key in orders.keys() {
        let person = people
            .keys()
            .any(|person| key.starts_with(person.as_slice()));
        // Refused unless the person is there, in the same commit, whoever else commits.
        let enforced = find(tx, ORDERS, "person -> people")
            .is_some_and(|link| index::state(tx, link.id, WAIT).expect("a state") == State::Ready);
        assert!(person || !enforced, "{place}: an order of nobody");
    }
    for name in [PEOPLE, ORDERS] {
        let store = store(tx, name);
        let links = tx.links(store).expect("links");
        for link in links.iter().flat_map(|links| &links.indexes) {
            let faults = index::check_index(tx, store, link, &mut || Ok(())).expect("a check");
            assert!(faults.is_empty(), "{place}: {faults:?}");
        }
    }
    if let Some(link) = ready(tx, PEOPLE, "by_city") {
        let mut wanted: Vec<_> = people
            .iter()
            .map(|(key, value)| (key.clone(), value.clone(), Person::decode(value)))
            .filter(|(_, _, person)| person.city.is_some())
            .collect();
        wanted.sort_by_key(|(key, _, person)| (person.city, -person.age, key.clone()));
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(key, value, _)| (key, value))
            .collect();
        let store = store(tx, PEOPLE);
        assert_eq!(through(tx, store, &link), wanted, "{place}: by_city");
        let count = index::count(tx, &link, Bound::Unbounded, Bound::Unbounded, WAIT);
        assert_eq!(count.expect("a count"), wanted.len() as u64, "{place}");
    }
    if let Some(link) = ready(tx, PEOPLE, "by_email") {
        let emails: BTreeMap<i64, Vec<u8>> = people
            .iter()
            .map(|(key, value)| (Person::decode(value).email, key.clone()))
            .collect();
        assert_eq!(emails.len(), people.len(), "{place}: two with one email");
        let store = store(tx, PEOPLE);
        let found: Vec<_> = through(tx, store, &link)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let wanted: Vec<_> = emails.into_values().collect();
        assert_eq!(found, wanted, "{place}: by_email");
    }
}

pub fn find(tx: &mut Transaction, name: &str, index: &str) -> Option<Link> {
    let store = store(tx, name);
    index::find(tx, store, index).expect("indexes")
}

fn ready(tx: &mut Transaction, name: &str, index: &str) -> Option<Link> {
    let link = find(tx, name, index)?;
    let state = index::state(tx, link.id, Access::default()).expect("a state");
    (state == State::Ready).then_some(link)
}

/// One of the indexes of people is dropped or made; seldom the relation is, and then what refers to nobody goes first, so
/// that it can be made.
pub fn change_indexes(tx: &mut Transaction, random: &mut SplitMix64, on_delete: OnDelete) {
    let (name, definition) = match random.below(12) {
        0..=4 => (PEOPLE, by_city()),
        5..=8 => (PEOPLE, by_email()),
        _ => (ORDERS, of_person(on_delete)),
    };
    let store = store(tx, name);
    if index::drop_index(tx, store, &definition.name).expect("dropped") {
        return;
    }
    if name == ORDERS && random.chance(2, 3) {
        return add_relation(tx, &definition);
    }
    if name == ORDERS {
        let people = all(tx, PEOPLE);
        for order in all(tx, ORDERS).keys() {
            if !people.keys().any(|person| order.starts_with(person)) {
                delete(tx, ORDERS, order).expect("deleted");
            }
        }
    }
    index::create(tx, &definition).expect("made");
}

/// A round: some transactions of one snapshot, of any isolation, change people, orders and indexes, and commit in turn, with
/// steps of maintenance in between.
pub fn round(db: &Database, random: &mut SplitMix64, on_delete: OnDelete) {
    let isolations = [
        Isolation::Serializable,
        Isolation::Snapshot,
        Isolation::NoCheck,
    ];
    let mut open: Vec<Transaction> = (0..1 + random.below(3))
        .map(|_| begin(db, isolations[random.below(3)]))
        .collect();
    for tx in &mut open {
        if random.chance(1, 6) {
            change_indexes(tx, random, on_delete);
        }
        for _ in 0..1 + random.below(4) {
            let savepoint = tx.savepoint();
            change(tx, random);
            if random.chance(1, 8) {
                tx.rollback_to(savepoint).expect("a rollback");
            }
        }
        look(tx, "own writes");
    }
    while !open.is_empty() {
        let tx = open.swap_remove(random.below(open.len()));
        match tx.commit() {
            Ok(_) | Err(Error::Conflict { .. }) => {}
            // Two made an index of one name, but the store is the same.
            Err(Error::StoreNotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        look(&mut reader(db), "after a commit");
        if random.chance(1, 3) {
            db.maintain_step().expect("maintenance");
            look(&mut reader(db), "after maintenance");
        }
    }
}

/// One thread builds indexes while another writes; at the end they say what the store says.
pub fn build_beside_writers(seed: u64) {
    let disk = SimDisk::new(seed);
    let db = new_database(&disk, on_delete(seed));
    let mut random = SplitMix64::new(seed);
    let person = |random: &mut SplitMix64, id: i64| Person {
        email: id,
        ..Person::random(random, 1)
    };
    let mut tx = begin(&db, Isolation::Serializable);
    for id in 0..400 {
        put(
            &mut tx,
            PEOPLE,
            &person_key(id),
            &person(&mut random, id).encode(),
        )
        .expect("put");
    }
    let people = store(&tx, PEOPLE);
    index::drop_index(&mut tx, people, "by_city").expect("dropped");
    tx.commit().expect("a commit");
    let mut tx = begin(&db, Isolation::Serializable);
    index::create(&mut tx, &by_city()).expect("made");
    index::create(&mut tx, &by_email()).expect("made");
    tx.commit().expect("a commit");
    std::thread::scope(|scope| {
        scope.spawn(|| while db.maintain_step().expect("maintenance") {});
        for _ in 0..150 {
            let mut tx = begin(&db, Isolation::Serializable);
            let id = random.below(400) as i64;
            let key = person_key(id);
            if random.chance(1, 4) {
                delete(&mut tx, PEOPLE, &key).expect("deleted");
            } else {
                put(&mut tx, PEOPLE, &key, &person(&mut random, id).encode()).expect("put");
            }
            match tx.commit() {
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    while db.maintain_step().expect("maintenance") {}
    look(&mut reader(&db), "built beside a writer");
}

/// A life whose second half is traced.
pub fn live(seed: u64) -> SimDisk {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let on_delete = on_delete(seed);
    let db = new_database(&disk, on_delete);
    for step in 0..30 {
        if step == 15 {
            disk.restart_trace();
        }
        round(&db, &mut random, on_delete);
        if random.chance(1, 5) {
            db.checkpoint().expect("a checkpoint");
        }
    }
    disk
}

pub fn on_delete(seed: u64) -> OnDelete {
    if seed.is_multiple_of(2) {
        OnDelete::Cascade
    } else {
        OnDelete::Restrict
    }
}

/// Indexes say what their stores say, and so they do when life goes on and everything is built.
pub fn look_after_crash(disk: &SimDisk, seed: u64) {
    let db = open(disk, &settings()).expect("a recovery");
    look(&mut reader(&db), "recovered");
    let mut random = SplitMix64::new(seed ^ 77);
    for _ in 0..3 {
        round(&db, &mut random, on_delete(seed));
    }
    while db.maintain_step().expect("maintenance") {}
    look(&mut reader(&db), "settled after a crash");
    let report = db
        .check(&mut |_, _| std::ops::ControlFlow::Continue(()))
        .expect("a check");
    assert!(report.is_sound(), "{:?}", report.faults);
}
