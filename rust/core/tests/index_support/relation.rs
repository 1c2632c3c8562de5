//! Adding the relation to stores that are in use.

use sopasync_core::disk::SimDisk;
use sopasync_core::index::{self, State};
use sopasync_core::{Error, IndexDefinition, Isolation, OnDelete, Transaction};

use super::{
    ORDERS, PEOPLE, Person, all, delete, find, look, new_database, of_person, order_key,
    person_key, put, store,
};
use crate::support::{WAIT, begin, reader};

/// Adds the relation, complete with the commit; unless it is refused, which it is when an order refers to nobody.
pub fn add_relation(tx: &mut Transaction, definition: &IndexDefinition) {
    let savepoint = tx.savepoint();
    index::create_to_fill(tx, definition).expect("declared");
    let link = find(tx, ORDERS, &definition.name).expect("it is there");
    let orders = store(tx, ORDERS);
    let mut refused = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let filled = index::fill(tx, orders, &link, after.as_deref(), 2, WAIT).expect("filled");
        refused.extend(filled.refused.into_iter().map(|(key, _)| key));
        after = filled.next;
        if after.is_none() {
            break;
        }
    }
    let people = all(tx, PEOPLE);
    let of_nobody = |order: &&Vec<u8>| !people.keys().any(|person| order.starts_with(person));
    let orders = all(tx, ORDERS);
    let wanted: Vec<_> = orders.keys().filter(of_nobody).collect();
    assert_eq!(refused.iter().collect::<Vec<_>>(), wanted);
    if !refused.is_empty() {
        tx.rollback_to(savepoint).expect("a rollback");
    }
}

/// Somebody writes an order of nobody and commits while the relation is added at the same snapshot, at each isolation.
pub fn add_relation_beside_a_writer() {
    let isolations = [
        Isolation::Serializable,
        Isolation::Snapshot,
        Isolation::NoCheck,
    ];
    for isolation in isolations {
        let db = new_database(&SimDisk::new(1), OnDelete::Restrict);
        let relation = of_person(OnDelete::Restrict);
        let mut tx = begin(&db, Isolation::Serializable);
        let orders = store(&tx, ORDERS);
        assert!(index::drop_index(&mut tx, orders, &relation.name).expect("dropped"));
        tx.commit().expect("a commit");
        let (mut writer, mut adder) = (begin(&db, isolation), begin(&db, isolation));
        put(&mut writer, ORDERS, &order_key(5, 0), b"\xC0").expect("put");
        add_relation(&mut adder, &relation);
        writer.commit().expect("a commit");
        let outcome = adder.commit();
        assert!(
            matches!(outcome, Err(Error::Conflict { .. })),
            "{outcome:?}"
        );
        look(&mut reader(&db), "a relation beside a writer");
    }
}

/// While the index of a relation does not know every item yet, what they refer to can be removed. One whose referrer it has
/// not come to makes it fail; one whose referrers are known, or gone as well, does not.
pub fn remove_targets_of_a_relation_that_is_built() {
    for on_delete in [OnDelete::Restrict, OnDelete::Cascade] {
        for removed in [1, 2, 3] {
            let db = new_database(&SimDisk::new(1), on_delete);
            let relation = of_person(on_delete);
            let mut tx = begin(&db, Isolation::Serializable);
            let orders = store(&tx, ORDERS);
            assert!(index::drop_index(&mut tx, orders, &relation.name).expect("dropped"));
            let person = Person {
                city: None,
                age: 1,
                email: 1,
            };
            for id in 1..4 {
                put(&mut tx, PEOPLE, &person_key(id), &person.encode()).expect("put");
            }
            put(&mut tx, ORDERS, &order_key(1, 0), b"\xC0").expect("put");
            tx.commit().expect("a commit");
            let mut tx = begin(&db, Isolation::Serializable);
            index::create(&mut tx, &relation).expect("declared");
            tx.commit().expect("a commit");
            let mut tx = begin(&db, Isolation::Serializable);
            put(&mut tx, ORDERS, &order_key(2, 0), b"\xC0").expect("put");
            let result = delete(&mut tx, PEOPLE, &person_key(removed));
            let refused = matches!(result, Err(Error::Referred(_)));
            assert_eq!(refused, removed == 2 && on_delete == OnDelete::Restrict);
            assert!(refused || result.is_ok(), "{result:?}");
            tx.commit().expect("a commit");
            while db.maintain_step().expect("maintenance") {}
            let mut tx = reader(&db);
            let link = find(&mut tx, ORDERS, &relation.name).expect("it is there");
            match index::state(&mut tx, link.id, WAIT).expect("a state") {
                State::Failed { key, .. } => assert_eq!((removed, key), (1, order_key(1, 0))),
                state => assert!(removed != 1 && state == State::Ready, "{state:?}"),
            }
            look(&mut tx, "a relation that was built");
        }
    }
}
