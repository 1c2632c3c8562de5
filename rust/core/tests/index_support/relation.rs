//! Adding the relation to stores that are in use.

use sopasync_core::disk::SimDisk;
use sopasync_core::{Error, IndexDefinition, Isolation, OnDelete, Transaction, index};

use super::{ORDERS, PEOPLE, all, find, look, new_database, of_person, order_key, put, store};
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
