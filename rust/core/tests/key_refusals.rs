//! K3, K5: what cannot be a key is refused, and damaged bytes never read as a wrong value.

use proptest::prelude::*;
use sopasync_core::Error;
use sopasync_core::key::{KeyPart, KeyReader, KeyWriter};
use sopasync_core::limits::KEY_BYTES_MAX;

fn encoded(write: impl FnOnce(&mut KeyWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut KeyWriter::new(&mut out));
    out
}

#[test]
fn nan_is_refused() {
    let mut out = Vec::new();
    let error = KeyWriter::new(&mut out).float(f64::NAN).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
}

#[test]
fn a_key_over_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let mut out = Vec::new();
    let mut writer = KeyWriter::new(&mut out);
    writer.bare_bytes(&vec![7; KEY_BYTES_MAX - 1]).unwrap();
    writer.finish(0).unwrap();
    assert!(matches!(
        writer.bare_bytes(&vec![7; KEY_BYTES_MAX]),
        Err(Error::KeyTooLong { length, limit: KEY_BYTES_MAX }) if length == KEY_BYTES_MAX + 1
    ));
    out.clear();
    let mut writer = KeyWriter::new(&mut out);
    writer.bytes(&vec![0; KEY_BYTES_MAX / 2]).unwrap();
    assert!(
        matches!(writer.finish(0), Err(Error::KeyTooLong { .. })),
        "escapes count"
    );
    assert!(writer.str(&"x".repeat(KEY_BYTES_MAX + 1)).is_err());
    assert!(writer.big_int(false, &vec![1; KEY_BYTES_MAX + 1]).is_err());
}

#[test]
fn the_encoding_is_the_documented_one() {
    assert_eq!(encoded(|key| key.null()), [0x02]);
    assert_eq!(encoded(|key| key.int(0)), [0x14, 0x01]);
    assert_eq!(encoded(|key| key.int(300)), [0x16, 0x01, 0x2C, 0x01]);
    assert_eq!(encoded(|key| key.int(-1)), [0x13, 0xFE, 0x01]);
    assert_eq!(
        encoded(|key| key.float(300.0).unwrap()),
        [0x16, 0x01, 0x2C, 0x01]
    );
    assert_eq!(encoded(|key| key.float(-0.0).unwrap()), [0x14, 0x01]);
    assert_eq!(
        encoded(|key| key.float(0.5).unwrap()),
        [0x14, 0x02, 64 << 1]
    );
    assert_eq!(
        encoded(|key| key.float(-0.25).unwrap()),
        [0x13, 0xFE, 0x02, 96 << 1]
    );
    let long = encoded(|key| key.big_int(true, &[1, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap());
    assert_eq!(long[..4], [0x0B, 0xFF, 0xF6, 0xFE]);
    assert_eq!(
        encoded(|key| key.str("a\0").unwrap()),
        [0x20, b'a', 0, 0xFF, 0, 1]
    );
    assert_eq!(encoded(|key| key.bare_str("a\0").unwrap()), [0x20, b'a', 0]);
    assert_eq!(encoded(|key| key.datetime(0))[..3], [0x28, 0x80, 0]);
    assert_eq!(encoded(|key| key.date(-1)), [0x2C, 0x7F, 0xFF, 0xFF, 0xFF]);
    let tuple = encoded(|key| {
        key.begin_tuple();
        key.int(0);
        key.end_tuple();
    });
    assert_eq!(tuple, [0x30, 0x14, 0x01, 0x00]);
}

#[test]
fn integers_of_64_bits_read_back_as_such() {
    for value in [0, 1, -1, 255, -256, i64::MAX, i64::MIN, i64::MIN + 1] {
        let key = encoded(|key| key.int(value));
        let part = KeyReader::new(&key).part(false).unwrap();
        assert_eq!(part, KeyPart::Int(value));
    }
    let key = encoded(|key| key.big_int(false, &u64::MAX.to_be_bytes()).unwrap());
    let part = KeyReader::new(&key).part(false).unwrap();
    assert!(
        matches!(part, KeyPart::BigInt { negative: false, magnitude } if *magnitude == [0xFF; 8])
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// Whatever is accepted is exactly what the writer makes: no second encoding of a value is read.
    #[test]
    fn only_the_one_encoding_of_a_value_is_read(
        bytes in prop::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(2), Just(0xFF), 0x0A_u8..0x31, any::<u8>()],
            1..14,
        ),
        descending in any::<bool>(),
    ) {
        let bytes: Vec<u8> = bytes.iter().map(|&byte| if descending { !byte } else { byte }).collect();
        let mut reader = KeyReader::new(&bytes);
        if let Ok(part) = reader.part(descending) {
            let consumed = &bytes[..bytes.len() - reader.rest().len()];
            let mut again = Vec::new();
            let mut writer = KeyWriter::new(&mut again);
            writer.part(&part).unwrap();
            if descending {
                writer.descend_since(0);
            }
            prop_assert_eq!(consumed, again);
        }
    }

    #[test]
    fn a_key_cut_short_is_refused(
        number in any::<f64>(),
        text in ".{0,5}",
        cut in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!number.is_nan());
        let number = encoded(|key| key.float(number).unwrap());
        let text = encoded(|key| key.str(&text).unwrap());
        for key in [number, text] {
            prop_assert!(KeyReader::new(&key[..cut.index(key.len())]).part(false).is_err());
        }
    }
}
