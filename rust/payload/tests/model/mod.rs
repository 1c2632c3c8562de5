//! Payloads and filters as plain values, packing them, and what a filter means, said once more and naively.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    /// A number of more than 64 bits, as an extension.
    Big(i128),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    /// Local microseconds and offset: an instant.
    Moment(i64, i64),
    Uuid(u8),
    /// An extension nobody knows.
    Foreign,
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Map(Vec<(String, Value)>),
}

#[derive(Debug, Clone)]
pub enum Condition {
    Equal(String, Value),
    Unequal(String, Value),
    In(String, Vec<Value>),
    Range(String, Option<(Value, bool)>, Option<(Value, bool)>),
    Exists(String),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

pub fn pack(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.push(0xC0),
        Value::Bool(truth) => out.push(0xC2 + u8::from(*truth)),
        Value::Int(number @ -32..=127) => out.push(*number as u8),
        Value::Int(number) => {
            out.push(0xD3);
            out.extend(number.to_be_bytes());
        }
        Value::Unsigned(number) => {
            out.push(0xCF);
            out.extend(number.to_be_bytes());
        }
        Value::Big(number) => extension(out, 1, &number.to_be_bytes()),
        Value::Float(number) => {
            out.push(0xCB);
            out.extend(number.to_be_bytes());
        }
        Value::Str(text) => {
            out.push(0xDA);
            out.extend((text.len() as u16).to_be_bytes());
            out.extend(text.bytes());
        }
        Value::Bytes(content) => {
            out.push(0xC5);
            out.extend((content.len() as u16).to_be_bytes());
            out.extend(content);
        }
        Value::Moment(local, offset) => {
            let content = [local.to_be_bytes(), offset.to_be_bytes()].concat();
            extension(out, 5, &content);
        }
        Value::Uuid(last) => {
            let mut content = [0; 16];
            content[15] = *last;
            extension(out, 10, &content);
        }
        Value::Foreign => extension(out, 99, b"?"),
        Value::List(values) => list(out, values),
        Value::Tuple(values) => {
            let mut content = Vec::new();
            list(&mut content, values);
            extension(out, 2, &content);
        }
        Value::Map(pairs) => {
            out.push(0xDE);
            out.extend((pairs.len() as u16).to_be_bytes());
            for (key, value) in pairs {
                pack(&Value::Str(key.clone()), out);
                pack(value, out);
            }
        }
    }
}

fn extension(out: &mut Vec<u8>, code: u8, content: &[u8]) {
    out.push(0xC8);
    out.extend((content.len() as u16).to_be_bytes());
    out.push(code);
    out.extend(content);
}

fn list(out: &mut Vec<u8>, values: &[Value]) {
    out.push(0xDC);
    out.extend((values.len() as u16).to_be_bytes());
    values.iter().for_each(|value| pack(value, out));
}

pub fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    pack(value, &mut out);
    out
}

/// A condition as the list that a filter is.
pub fn as_list(condition: &Condition) -> Value {
    let text = |text: &str| Value::Str(text.to_owned());
    let many = |conditions: &[Condition]| Value::List(conditions.iter().map(as_list).collect());
    Value::List(match condition {
        Condition::Equal(field, value) => vec![text("eq"), text(field), value.clone()],
        Condition::Unequal(field, value) => vec![text("ne"), text(field), value.clone()],
        Condition::In(field, values) => vec![text("in"), text(field), Value::List(values.clone())],
        Condition::Exists(field) => vec![text("exists"), text(field)],
        Condition::And(inner) => vec![text("and"), many(inner)],
        Condition::Or(inner) => vec![text("or"), many(inner)],
        Condition::Not(inner) => vec![text("not"), as_list(inner)],
        Condition::Range(field, low, high) => {
            let bound = |bound: &Option<(Value, bool)>| match bound {
                Some((value, included)) => [value.clone(), Value::Bool(*included)],
                None => [Value::Nil, Value::Bool(false)],
            };
            [
                vec![text("range"), text(field)],
                bound(low).to_vec(),
                bound(high).to_vec(),
            ]
            .concat()
        }
    })
}

/// None: of different classes, or without order.
pub fn order(a: &Value, b: &Value) -> Option<Ordering> {
    use Value::*;
    match (a, b) {
        (Nil, Nil) => Some(Ordering::Equal),
        (Bool(a), Bool(b)) => Some(a.cmp(b)),
        (Str(a), Str(b)) => Some(a.cmp(b)),
        (Bytes(a), Bytes(b)) => Some(a.cmp(b)),
        (Moment(a, x), Moment(b, y)) => Some((a - x).cmp(&(b - y))),
        (Uuid(a), Uuid(b)) => Some(a.cmp(b)),
        (Float(a), Float(b)) => a.partial_cmp(b),
        (Float(a), b) => Some(order_float(*a, integer(b)?)?),
        (a, Float(b)) => Some(order_float(*b, integer(a)?)?.reverse()),
        (a, b) => Some(integer(a)?.cmp(&integer(b)?)),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Unsigned(number) => Some(i128::from(*number)),
        Value::Big(number) => Some(*number),
        _ => None,
    }
}

fn order_float(float: f64, integer: i128) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float >= 2.0_f64.powi(127) {
        return Some(Ordering::Greater);
    }
    if float < -2.0_f64.powi(127) {
        return Some(Ordering::Less);
    }
    let whole = float.floor();
    Some((whole as i128).cmp(&integer).then(if float > whole {
        Ordering::Greater
    } else {
        Ordering::Equal
    }))
}

/// Names of all fields, and every (field, scalar).
#[derive(Default)]
pub struct Seen {
    pub names: BTreeSet<String>,
    pub values: Vec<(String, Value)>,
}

pub fn see(payload: &Value) -> Seen {
    let mut seen = Seen::default();
    if let Value::Map(pairs) = payload {
        see_map(pairs, None, &mut seen);
    }
    seen
}

fn see_map(pairs: &[(String, Value)], above: Option<&str>, seen: &mut Seen) {
    for (key, value) in pairs {
        let name = above.map_or(key.clone(), |above| format!("{above}.{key}"));
        seen.names.insert(name.clone());
        match value {
            Value::Map(inner) => see_map(inner, Some(&name), seen),
            Value::List(values) | Value::Tuple(values) => {
                for value in values {
                    match value {
                        Value::Map(inner) => see_map(inner, Some(&name), seen),
                        Value::List(_) | Value::Tuple(_) => {}
                        scalar => seen.values.push((name.clone(), scalar.clone())),
                    }
                }
            }
            scalar => seen.values.push((name, scalar.clone())),
        }
    }
}

pub fn holds(condition: &Condition, seen: &Seen) -> bool {
    let any = |field: &str, test: &dyn Fn(&Value) -> bool| {
        seen.values
            .iter()
            .any(|(name, value)| name == field && test(value))
    };
    let equal = |a: &Value, b: &Value| order(a, b) == Some(Ordering::Equal);
    match condition {
        Condition::Equal(field, wanted) => any(field, &|value| equal(value, wanted)),
        Condition::Unequal(field, wanted) => !any(field, &|value| equal(value, wanted)),
        Condition::In(field, wanted) => any(field, &|value| {
            wanted.iter().any(|wanted| equal(value, wanted))
        }),
        Condition::Exists(field) => seen.names.contains(field),
        Condition::And(inner) => inner.iter().all(|inner| holds(inner, seen)),
        Condition::Or(inner) => inner.iter().any(|inner| holds(inner, seen)),
        Condition::Not(inner) => !holds(inner, seen),
        Condition::Range(field, low, high) => any(field, &|value| {
            let above = low
                .as_ref()
                .is_none_or(|(low, included)| match order(value, low) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => *included,
                    _ => false,
                });
            above
                && high
                    .as_ref()
                    .is_none_or(|(high, included)| match order(value, high) {
                        Some(Ordering::Less) => true,
                        Some(Ordering::Equal) => *included,
                        _ => false,
                    })
        }),
    }
}

/// Few of each class, so that they meet; the edges of exactness among them.
pub fn comparable() -> impl Strategy<Value = Value> {
    const EXACT: i64 = 1 << 53;
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        (-3..4_i64).prop_map(Value::Int),
        proptest::sample::select(vec![
            EXACT - 1,
            EXACT,
            EXACT + 1,
            EXACT + 2,
            -EXACT - 1,
            i64::MAX,
            i64::MIN
        ])
        .prop_map(Value::Int),
        proptest::sample::select(vec![1 << 63, (1 << 63) + 1, u64::MAX]).prop_map(Value::Unsigned),
        proptest::sample::select(vec![
            1 << 64,
            (1 << 64) + 1,
            -(1 << 64) - 1,
            i128::MAX,
            i128::MIN
        ])
        .prop_map(Value::Big),
        proptest::sample::select(vec![
            -0.0,
            1.0,
            1.5,
            -2.5,
            9_007_199_254_740_992.0,
            9_007_199_254_740_994.0,
            9_223_372_036_854_775_808.0,
            18_446_744_073_709_551_616.0,
            1e300,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ])
        .prop_map(Value::Float),
        "[ab]{0,2}".prop_map(Value::Str),
        (255_usize..259, any::<bool>()).prop_map(|(length, other)| {
            let mut text = "x".repeat(length);
            text.push(if other { 'y' } else { 'x' });
            Value::Str(text)
        }),
        proptest::collection::vec(0..2_u8, 0..2).prop_map(Value::Bytes),
        (0..3_i64, 0..3_i64).prop_map(|(local, offset)| Value::Moment(local, offset)),
        (0..3_u8).prop_map(Value::Uuid),
    ]
}

pub fn field() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a", "b", "a.b", "c", "c.a", "c.a.b", "", "a.", "d"])
        .prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => comparable(),
        1 => Just(Value::Float(f64::NAN)),
        1 => Just(Value::Foreign),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = proptest::sample::select(vec!["a", "b", "", "a.b"]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Tuple),
            proptest::collection::vec((key, inner), 0..3).prop_map(Value::Map),
        ]
    })
}

pub fn payload() -> impl Strategy<Value = Value> {
    let key = proptest::sample::select(vec!["a", "b", "c", "a.b", ""]).prop_map(str::to_owned);
    prop_oneof![
        12 => proptest::collection::vec((key, value()), 0..4).prop_map(Value::Map),
        1 => Just(Value::Nil),
    ]
}

pub fn condition() -> impl Strategy<Value = Condition> {
    let short = |value: &Value| !matches!(value, Value::Str(text) if text.len() > 256);
    let bound = move || {
        (
            comparable().prop_filter("a bound is short", short),
            any::<bool>(),
        )
    };
    let leaf = prop_oneof![
        (field(), comparable()).prop_map(|(field, value)| Condition::Equal(field, value)),
        (field(), comparable()).prop_map(|(field, value)| Condition::Unequal(field, value)),
        (field(), proptest::collection::vec(comparable(), 0..5))
            .prop_map(|(field, values)| Condition::In(field, values)),
        field().prop_map(Condition::Exists),
        // nil means no bound.
        (field(), bound()).prop_filter_map("a bound", |(field, low)| {
            (low.0 != Value::Nil).then_some(Condition::Range(field, Some(low), None))
        }),
        (field(), bound(), bound()).prop_filter_map("bounds of one class", |(field, low, high)| {
            (low.0 != Value::Nil && order(&low.0, &high.0).is_some()).then_some(Condition::Range(
                field,
                Some(low),
                Some(high),
            ))
        }),
        (field(), bound()).prop_filter_map("a bound", |(field, high)| {
            (high.0 != Value::Nil).then_some(Condition::Range(field, None, Some(high)))
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Condition::And),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Condition::Or),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}
