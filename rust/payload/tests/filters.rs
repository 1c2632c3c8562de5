//! Filters mean the same for one payload, for growing columns, for sealed ones, and in words.

mod model;

use model::{Condition, Value, as_list, condition, holds, packed, payload, see};
use proptest::prelude::*;
use sopasync_payload::{Columns, DROPPED, Filter, Part, SealedColumns, check_fields, seal};

fn filter(condition: &Condition) -> Filter {
    Filter::parse(&packed(&as_list(condition))).expect("a filter")
}

fn columns(payloads: &[Value]) -> Columns {
    let mut columns = Columns::new();
    for payload in payloads {
        columns.push(&packed(payload)).expect("well packed");
    }
    columns
}

fn chosen(found: &sopasync_payload::Selection) -> Vec<u32> {
    let slots: Vec<u32> = found.iter().collect();
    assert_eq!(slots.len(), found.count() as usize, "the count is exact");
    slots
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn every_way_to_ask_gives_the_same_answer(
        payloads in proptest::collection::vec(payload(), 0..90),
        conditions in proptest::collection::vec(condition(), 1..8),
        split in 0.0..1.0_f64,
    ) {
        let growing = columns(&payloads);
        let sealed = seal(&[Part::whole(&growing)]).expect("seals");
        let sealed = SealedColumns::open(&sealed[..]).expect("opens");
        // The same once more, merged from a sealed and a growing part, backwards.
        let at = (payloads.len() as f64 * split) as usize;
        let (early, late) = (columns(&payloads[..at]), columns(&payloads[at..]));
        let early = seal(&[Part::whole(&early)]).expect("seals");
        let early = SealedColumns::open(&early[..]).expect("opens");
        let backwards: Vec<u32> = (0..payloads.len() as u32).rev().collect();
        let merged = seal(&[Part::mapped(&early, &backwards[..at]), Part::mapped(&late, &backwards[at..])]).expect("seals");
        let merged = SealedColumns::open(&merged[..]).expect("opens");
        for condition in &conditions {
            let filter = filter(condition);
            let expected: Vec<u32> = (0..payloads.len() as u32)
                .filter(|&slot| holds(condition, &see(&payloads[slot as usize])))
                .collect();
            let asked: Vec<u32> = (0..payloads.len() as u32)
                .filter(|&slot| filter.matches(&packed(&payloads[slot as usize])))
                .collect();
            prop_assert_eq!(&asked, &expected, "matches: {:?}", condition);
            prop_assert_eq!(&chosen(&growing.select(&filter).expect("selects")), &expected, "growing: {:?}", condition);
            prop_assert_eq!(&chosen(&sealed.select(&filter).expect("selects")), &expected, "sealed: {:?}", condition);
            let mut found: Vec<u32> = chosen(&merged.select(&filter).expect("selects"))
                .iter()
                .map(|&slot| payloads.len() as u32 - 1 - slot)
                .collect();
            found.sort_unstable();
            prop_assert_eq!(&found, &expected, "merged: {:?}", condition);
        }
    }

    #[test]
    fn dropped_slots_are_gone(
        payloads in proptest::collection::vec(payload(), 1..60),
        kept in proptest::collection::vec(any::<bool>(), 60),
        condition in condition(),
    ) {
        let mut next = 0;
        let numbers: Vec<u32> = (0..payloads.len())
            .map(|slot| if kept[slot] { next += 1; next - 1 } else { DROPPED })
            .collect();
        let left: Vec<Value> = payloads.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(p, _)| p.clone()).collect();
        let all = columns(&payloads);
        let sealed = seal(&[Part::mapped(&all, &numbers)]).expect("seals");
        let sealed = SealedColumns::open(&sealed[..]).expect("opens");
        let filter = filter(&condition);
        prop_assert_eq!(
            chosen(&sealed.select(&filter).expect("selects")),
            chosen(&columns(&left).select(&filter).expect("selects"))
        );
        prop_assert_eq!(seal(&[Part::whole(&columns(&left))]).expect("seals"), seal(&[Part::mapped(&all, &numbers)]).expect("seals"));
    }

    #[test]
    fn damaged_payloads_and_filters_are_errors_not_panics(
        payload in payload(),
        condition in condition(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let good = filter(&condition);
        let mut bytes = packed(&payload);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        good.matches(&bytes);
        let _ = Columns::new().push(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        good.matches(&bytes);
        let _ = Columns::new().push(&bytes);
        let mut bytes = packed(&as_list(&condition));
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = Filter::parse(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = Filter::parse(&bytes);
    }

    #[test]
    fn damaged_columns_are_errors_not_panics(
        payloads in proptest::collection::vec(payload(), 1..20),
        conditions in proptest::collection::vec(condition(), 1..5),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = seal(&[Part::whole(&columns(&payloads))]).expect("seals");
        for (at, byte) in changes {
            let place = at.index(bytes.len());
            if !(10..12).contains(&place) { // a number of slots that takes all memory
                bytes[place] = byte;
            }
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            if let Ok(sealed) = SealedColumns::open(bytes) {
                for condition in &conditions {
                    let _ = sealed.select(&filter(condition));
                }
                let _ = seal(&[Part::whole(&sealed)]);
            }
        }
    }

    #[test]
    fn random_bytes_are_errors_not_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Filter::parse(&bytes);
        let _ = Columns::new().push(&bytes);
        let _ = SealedColumns::open(&bytes[..]);
    }
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::Map(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

#[test]
fn numbers_beyond_a_double_are_compared_exactly() {
    let is = |condition: Condition, value: Value| {
        filter(&condition).matches(&packed(&map(&[("n", value)])))
    };
    let equal = |value| Condition::Equal("n".to_owned(), value);
    let above = |value| Condition::Range("n".to_owned(), Some((value, false)), None);
    assert!(!is(
        equal(Value::Float(9_007_199_254_740_992.0)),
        Value::Int(9_007_199_254_740_993)
    ));
    assert!(is(
        above(Value::Float(9_007_199_254_740_992.0)),
        Value::Int(9_007_199_254_740_993)
    ));
    assert!(is(equal(Value::Float(1e3)), Value::Int(1000)));
    assert!(is(above(Value::Unsigned(u64::MAX)), Value::Big(1 << 64)));
    assert!(is(
        equal(Value::Float(2.0_f64.powi(64))),
        Value::Big(1 << 64)
    ));
    assert!(!is(
        equal(Value::Float(2.0_f64.powi(64))),
        Value::Big((1 << 64) + 1)
    ));
}

#[test]
fn comparisons_across_types_are_false_and_their_opposites_true() {
    let payload = packed(&map(&[("n", Value::Int(1))]));
    for other in [
        Value::Bool(true),
        Value::Str("1".to_owned()),
        Value::Bytes(vec![1]),
        Value::Nil,
        Value::Uuid(1),
    ] {
        assert!(
            !filter(&Condition::Equal("n".to_owned(), other.clone())).matches(&payload),
            "{other:?}"
        );
        assert!(
            filter(&Condition::Unequal("n".to_owned(), other.clone())).matches(&payload),
            "{other:?}"
        );
        if other != Value::Nil {
            let above = Condition::Range("n".to_owned(), Some((other.clone(), true)), None);
            assert!(!filter(&above).matches(&payload), "{other:?}");
        }
    }
}

#[test]
fn an_unknown_field_is_named_with_those_there_are() {
    let columns = columns(&[map(&[("price", Value::Int(1)), ("name", Value::Nil)])]);
    let unknown = filter(&Condition::Equal("prize".to_owned(), Value::Int(1)));
    let error = check_fields(&unknown, &[&columns, &Columns::new()]).expect_err("no such field");
    assert_eq!(
        error.to_string(),
        "no payload has a field 'prize'. There are: name, price"
    );
    let exists = filter(&Condition::Exists("prize".to_owned()));
    check_fields(&exists, &[&columns]).expect("asking whether a field exists is no mistake");
    check_fields(&unknown, &[&Columns::new()]).expect("without payloads any field may be meant");
}

#[test]
fn a_filter_that_is_none_says_where() {
    let text = |text: &str| Value::Str(text.to_owned());
    let complaint = |value: Value| match Filter::parse(&packed(&value)) {
        Err(error) => error.to_string(),
        Ok(filter) => panic!("{filter:?} was taken"),
    };
    let inner = Value::List(vec![text("equals"), text("a"), Value::Int(1)]);
    let outer = Value::List(vec![text("and"), Value::List(vec![inner])]);
    assert!(complaint(outer).starts_with("filter[1][0]: unknown operator 'equals'. There are: eq"));
    assert!(
        complaint(Value::List(vec![
            text("eq"),
            text("a"),
            Value::Float(f64::NAN)
        ]))
        .contains("compares with nothing")
    );
    assert!(
        complaint(Value::List(vec![text("eq"), text("a")])).contains("takes 2 arguments, got 1")
    );
    let range = |low, high| {
        Value::List(vec![
            text("range"),
            text("a"),
            low,
            Value::Bool(true),
            high,
            Value::Bool(true),
        ])
    };
    assert!(complaint(range(Value::Int(1), text("b"))).contains("got number and str"));
    assert!(complaint(range(Value::Nil, Value::Nil)).contains("needs a bound"));
    assert!(complaint(range(text(&"x".repeat(257)), Value::Nil)).contains("at most 256 bytes"));
    let deep = (0..200).fold(Value::List(vec![text("exists"), text("a")]), |inner, _| {
        Value::List(vec![text("not"), inner])
    });
    assert!(complaint(deep).contains("at most 64 deep"));
}

#[test]
fn a_range_within_one_element_of_a_list() {
    let payload = packed(&map(&[(
        "n",
        Value::List(vec![Value::Int(1), Value::Int(9)]),
    )]));
    let between = Condition::Range(
        "n".to_owned(),
        Some((Value::Int(3), true)),
        Some((Value::Int(5), true)),
    );
    assert!(!filter(&between).matches(&payload));
    let low = Condition::Range("n".to_owned(), Some((Value::Int(3), true)), None);
    let high = Condition::Range("n".to_owned(), None, Some((Value::Int(5), true)));
    assert!(filter(&Condition::And(vec![low, high])).matches(&payload));
}

#[test]
fn as_many_values_as_slots_are_not_one_each() {
    // The first slot has the field and no value, the second has two.
    let list = |numbers: &[i64]| Value::List(numbers.iter().copied().map(Value::Int).collect());
    let mut payloads = vec![map(&[("n", list(&[]))]), map(&[("n", list(&[1, 2]))])];
    payloads.extend((3..40).map(|number| map(&[("n", Value::Int(number))])));
    let sealed = seal(&[Part::whole(&columns(&payloads))]).expect("seals");
    let sealed = SealedColumns::open(&sealed[..]).expect("opens");
    let most = Condition::Range("n".to_owned(), None, Some((Value::Int(30), true)));
    let found = chosen(&sealed.select(&filter(&most)).expect("selects"));
    assert_eq!(found, (1..30).collect::<Vec<u32>>());
}
