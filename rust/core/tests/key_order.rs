//! K1, K2, K4: encoded keys sort as the values do, can be concatenated and inverted, and read back.

use std::borrow::Cow;
use std::cmp::Ordering;

use proptest::prelude::*;
use sopasync_core::key::{KeyPart, KeyReader, KeyWriter, prefix_end};

/// A key value as a user thinks of it.
#[derive(Debug, Clone)]
enum Value {
    Null,
    Bool(bool),
    /// Sign and big-endian magnitude.
    Integer(bool, Vec<u8>),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    DateTime(i64),
    NaiveDateTime(i64),
    Date(i32),
    Tuple(Vec<Value>),
}

fn write(writer: &mut KeyWriter<'_>, value: &Value) {
    let part = match value {
        Value::Null => KeyPart::Null,
        Value::Bool(truth) => KeyPart::Bool(*truth),
        Value::Integer(negative, magnitude) => KeyPart::BigInt {
            negative: *negative,
            magnitude: Cow::Borrowed(magnitude),
        },
        Value::Float(number) => KeyPart::Float(*number),
        Value::Str(text) => KeyPart::Str(Cow::Borrowed(text)),
        Value::Bytes(content) => KeyPart::Bytes(Cow::Borrowed(content)),
        Value::Uuid(content) => KeyPart::Uuid(*content),
        Value::DateTime(micros) => KeyPart::DateTime(*micros),
        Value::NaiveDateTime(micros) => KeyPart::NaiveDateTime(*micros),
        Value::Date(days) => KeyPart::Date(*days),
        Value::Tuple(elements) => {
            writer.begin_tuple();
            elements.iter().for_each(|element| write(writer, element));
            writer.end_tuple();
            return;
        }
    };
    writer.part(&part).expect("the generator makes valid keys");
}

fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut KeyWriter::new(&mut out), value);
    out
}

fn encode_descending(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = KeyWriter::new(&mut out);
    write(&mut writer, value);
    writer.descend_since(0);
    out
}

fn read(reader: &mut KeyReader<'_>, descending: bool) -> Option<Value> {
    Some(
        match reader.part(descending).expect("written by KeyWriter") {
            KeyPart::Null => Value::Null,
            KeyPart::Bool(truth) => Value::Bool(truth),
            KeyPart::Int(number) => {
                Value::Integer(number < 0, number.unsigned_abs().to_be_bytes().to_vec())
            }
            KeyPart::BigInt {
                negative,
                magnitude,
            } => Value::Integer(negative, magnitude.into_owned()),
            KeyPart::Float(number) => Value::Float(number),
            KeyPart::Str(text) => Value::Str(text.into_owned()),
            KeyPart::Bytes(content) => Value::Bytes(content.into_owned()),
            KeyPart::Uuid(content) => Value::Uuid(content),
            KeyPart::DateTime(micros) => Value::DateTime(micros),
            KeyPart::NaiveDateTime(micros) => Value::NaiveDateTime(micros),
            KeyPart::Date(days) => Value::Date(days),
            KeyPart::TupleStart => {
                let mut elements = Vec::new();
                while let Some(element) = read(reader, descending) {
                    elements.push(element);
                }
                Value::Tuple(elements)
            }
            KeyPart::TupleEnd => return None,
        },
    )
}

/// A finite number times 2^1074, an integer, exactly: sign and big-endian magnitude without leading zeros.
fn scaled(value: &Value) -> (bool, Vec<u8>) {
    let (negative, mantissa, shift) = match value {
        Value::Integer(negative, magnitude) => (*negative, magnitude.clone(), 1074),
        Value::Float(number) => {
            let bits = number.to_bits();
            let exponent = (bits >> 52 & 0x7FF) as usize;
            let fraction = bits & ((1 << 52) - 1);
            let mantissa = fraction | u64::from(exponent != 0) << 52;
            (
                *number < 0.0,
                mantissa.to_be_bytes().to_vec(),
                exponent.saturating_sub(1),
            )
        }
        other => panic!("not a number: {other:?}"),
    };
    let mut digits = vec![0];
    digits.extend(mantissa);
    for _ in 0..shift % 8 {
        let mut carry = 0;
        for byte in digits.iter_mut().rev() {
            let shifted = u16::from(*byte) << 1 | carry;
            *byte = shifted as u8;
            carry = shifted >> 8;
        }
    }
    digits.extend(std::iter::repeat_n(0, shift / 8));
    let zeros = digits.iter().take_while(|&&byte| byte == 0).count();
    (negative, digits.split_off(zeros))
}

fn compare_numbers(left: &Value, right: &Value) -> Ordering {
    let infinity = |value: &Value| match value {
        Value::Float(number) if number.is_infinite() => number.signum() as i8,
        _ => 0,
    };
    let infinities = infinity(left).cmp(&infinity(right));
    if infinities.is_ne() || infinity(left) != 0 {
        return infinities;
    }
    let signed = |value: &Value| {
        let (negative, digits) = scaled(value);
        (negative && !digits.is_empty(), digits)
    };
    let magnitude = |a: &[u8], b: &[u8]| a.len().cmp(&b.len()).then_with(|| a.cmp(b));
    match (signed(left), signed(right)) {
        ((false, a), (false, b)) => magnitude(&a, &b),
        ((true, a), (true, b)) => magnitude(&b, &a),
        ((left_negative, _), (right_negative, _)) => right_negative.cmp(&left_negative),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Integer(..) | Value::Float(_) => 2,
        Value::Str(_) => 3,
        Value::Bytes(_) => 4,
        Value::Uuid(_) => 5,
        Value::DateTime(_) => 6,
        Value::NaiveDateTime(_) => 7,
        Value::Date(_) => 8,
        Value::Tuple(_) => 9,
    }
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Integer(..) | Value::Float(_), Value::Integer(..) | Value::Float(_)) => {
            compare_numbers(left, right)
        }
        (Value::Str(a), Value::Str(b)) => a.chars().cmp(b.chars()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b))
        | (Value::NaiveDateTime(a), Value::NaiveDateTime(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Tuple(a), Value::Tuple(b)) => a
            .iter()
            .zip(b)
            .map(|(x, y)| compare(x, y))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len())),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (-40_i32..40, -9_i32..9).prop_map(|(n, e)| f64::from(n) * 2_f64.powi(e)),
        (any::<i64>(), -3_i32..4).prop_map(|(n, e)| n as f64 * 2_f64.powi(e)),
        prop::sample::select(vec![
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            5e-324,
            -5e-324,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::EPSILON,
            1.0 - f64::EPSILON / 2.0,
            -1.0 + f64::EPSILON / 2.0,
            4_503_599_627_370_495.5,
            -4_503_599_627_370_495.5,
        ]),
    ]
    .prop_filter("NaN is refused", |number| !number.is_nan())
}

fn integer() -> impl Strategy<Value = Value> {
    let near_power =
        (any::<bool>(), 0_u32..126, -2_i128..3).prop_map(|(negative, power, offset)| {
            let magnitude = (1_i128 << power) + offset;
            let digits = magnitude.unsigned_abs().to_be_bytes().to_vec();
            Value::Integer(negative ^ (magnitude < 0), digits)
        });
    let long = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(negative, magnitude)| Value::Integer(negative, magnitude));
    // Beside a large double: its mantissa, followed by whole zero bytes.
    let beside_float = float().prop_filter_map("large", |number| {
        let bits = number.to_bits();
        let shift = (bits >> 52 & 0x7FF) as i32 - 1075;
        (0..900).contains(&shift).then(|| {
            let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
            let mut digits = mantissa.to_be_bytes().to_vec();
            digits.extend(vec![0; shift as usize / 8]);
            Value::Integer(number < 0.0, digits)
        })
    });
    prop_oneof![3 => near_power, 2 => long, 1 => beside_float]
}

fn scalar() -> impl Strategy<Value = Value> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(0xFE), Just(0xFF), any::<u8>()];
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        4 => integer(),
        4 => float().prop_map(Value::Float),
        3 => "[\\x00\\x01a-c\u{7f}\u{e9}\u{ffff}\u{10000}]{0,6}".prop_map(Value::Str),
        3 => prop::collection::vec(byte, 0..6).prop_map(Value::Bytes),
        1 => any::<[u8; 16]>().prop_map(Value::Uuid),
        1 => any::<i64>().prop_map(Value::DateTime),
        1 => any::<i64>().prop_map(Value::NaiveDateTime),
        1 => any::<i32>().prop_map(Value::Date),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Value::Tuple)
    })
}

/// Two values that often agree in the beginning, so that what follows decides.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    let alike =
        (prop::collection::vec(value(), 0..3), value(), value()).prop_map(|(first, a, b)| {
            let with = |last: Value| {
                let mut elements = first.clone();
                elements.push(last);
                Value::Tuple(elements)
            };
            (with(a), with(b))
        });
    let a_float = || float().prop_map(Value::Float);
    prop_oneof![
        (value(), value()),
        (integer(), a_float()),
        (a_float(), a_float()),
        (integer(), integer()),
        alike,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn order_of_bytes_is_order_of_values((left, right) in pair()) {
        let expected = compare(&left, &right);
        prop_assert_eq!(encode(&left).cmp(&encode(&right)), expected);
        let inverted = encode_descending(&left).cmp(&encode_descending(&right));
        prop_assert_eq!(inverted, expected.reverse());
    }

    #[test]
    fn no_element_is_a_prefix_of_another((left, right) in pair()) {
        let (a, b) = (encode(&left), encode(&right));
        prop_assert!(a == b || !(a.starts_with(&b) || b.starts_with(&a)));
    }

    #[test]
    fn reading_gives_back_what_was_written(
        fields in prop::collection::vec((value(), any::<bool>()), 1..5),
    ) {
        let mut key = Vec::new();
        let mut writer = KeyWriter::new(&mut key);
        for (field, descending) in &fields {
            let start = writer.position();
            write(&mut writer, field);
            if *descending {
                writer.descend_since(start);
            }
        }
        let mut reader = KeyReader::new(&key);
        for (field, descending) in &fields {
            let back = read(&mut reader, *descending).expect("an element, not the end of a tuple");
            prop_assert_eq!(compare(field, &back), Ordering::Equal);
            // K4: what is not an integral double also keeps its type.
            let stays = !matches!(field, Value::Float(number) if number.fract() == 0.0);
            prop_assert!(!stays || std::mem::discriminant(field) == std::mem::discriminant(&back));
        }
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn a_small_whole_number_is_recognised_where_the_reader_finds_one(
        key in prop_oneof![
            integer().prop_map(|number| encode(&number)),
            value().prop_map(|value| encode(&value)),
            (0x0a_u8..0x20, prop::collection::vec(any::<u8>(), 0..10), 0_u8..3)
                .prop_map(|(tag, digits, end)| [&[tag], &digits[..], &[end]].concat()),
        ],
    ) {
        let mut reader = KeyReader::new(&key);
        let read = match reader.part(false) {
            Ok(KeyPart::Int(number)) => Some((number, reader.rest())),
            _ => None,
        };
        let small = read.filter(|(number, _)| (0..1 << 56).contains(number));
        let mut reader = KeyReader::new(&key);
        let found = reader.small_whole();
        prop_assert_eq!(found.map(|number| (number, reader.rest())), small);
        prop_assert!(found.is_some() || reader.rest() == key);
    }

    #[test]
    fn fields_decide_in_their_order_and_direction(
        left in prop::collection::vec(value(), 3),
        right in prop::collection::vec(value(), 3),
        same in 0_usize..3,
        directions in prop::collection::vec(any::<bool>(), 3),
    ) {
        let right: Vec<_> = left[..same].iter().chain(&right[same..]).cloned().collect();
        let key = |fields: &[Value]| -> Vec<u8> {
            fields.iter().zip(&directions).flat_map(|(field, &descending)| {
                if descending { encode_descending(field) } else { encode(field) }
            }).collect()
        };
        let expected = left.iter().zip(&right).zip(&directions)
            .map(|((a, b), &descending)| if descending { compare(b, a) } else { compare(a, b) })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal);
        prop_assert_eq!(key(&left).cmp(&key(&right)), expected);
    }

    #[test]
    fn a_text_prefix_is_a_byte_prefix(
        text in "[\\x00a-b\u{e9}]{0,4}",
        other in "[\\x00a-b\u{e9}]{0,6}",
    ) {
        let starts = other.starts_with(&text);
        let mut open = Vec::new();
        KeyWriter::new(&mut open).open_str(&text).unwrap();
        prop_assert_eq!(encode(&Value::Str(other.clone())).starts_with(&open), starts);
        let bare = |text: &str| {
            let mut out = Vec::new();
            KeyWriter::new(&mut out).bare_str(text).unwrap();
            out
        };
        prop_assert_eq!(bare(&other).starts_with(&bare(&text)), starts);
        prop_assert_eq!(bare(&text).cmp(&bare(&other)), text.cmp(&other));
    }

    #[test]
    fn a_prefix_ends_before_its_end(
        prefix in prop::collection::vec(prop_oneof![Just(0xFF), any::<u8>()], 0..4),
        key in prop::collection::vec(prop_oneof![Just(0xFF), any::<u8>()], 0..6),
    ) {
        let inside = prefix_end(&prefix).is_none_or(|end| key < end) && key >= prefix;
        prop_assert_eq!(inside, key.starts_with(&prefix));
    }
}
