//! MessagePack integers and byte strings, as the commutative operations understand them.

/// The shortest encoding of an integer.
pub fn encode_int(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let tail = |tag: u8, width: usize| {
        let mut out = vec![tag];
        out.extend_from_slice(&bytes[8 - width..]);
        out
    };
    match value {
        -0x20..=0x7f => vec![value as u8],
        0x80..=0xff => tail(0xcc, 1),
        0x100..=0xffff => tail(0xcd, 2),
        0x1_0000..=0xffff_ffff => tail(0xce, 4),
        0x1_0000_0000.. => tail(0xcf, 8),
        -0x80..=-0x21 => tail(0xd0, 1),
        -0x8000..=-0x81 => tail(0xd1, 2),
        -0x8000_0000..=-0x8001 => tail(0xd2, 4),
        _ => tail(0xd3, 8),
    }
}

/// The integer that `encode_int` wrote.
pub fn decode_int(bytes: &[u8]) -> i64 {
    let rest = &bytes[1..];
    let unsigned = rest
        .iter()
        .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    match bytes[0] {
        tag @ 0x00..=0x7f => i64::from(tag),
        tag @ 0xe0.. => i64::from(tag as i8),
        0xcc..=0xcf => i64::try_from(unsigned).expect("the tests stay within i64"),
        0xd0 => i64::from(unsigned as i8),
        0xd1 => i64::from(unsigned as i16),
        0xd2 => i64::from(unsigned as i32),
        0xd3 => unsigned as i64,
        tag => panic!("no integer begins with {tag:#x}"),
    }
}

/// A byte string.
pub fn encode_bytes(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = match u8::try_from(length) {
        Ok(short) => vec![0xc4, short],
        Err(_) => {
            let [high, low] = u16::try_from(length).expect("a short string").to_be_bytes();
            vec![0xc5, high, low]
        }
    };
    out.extend_from_slice(content);
    out
}

/// The content of a byte string.
pub fn decode_bytes(bytes: &[u8]) -> &[u8] {
    match bytes[0] {
        0xc4 => &bytes[2..],
        0xc5 => &bytes[3..],
        tag => panic!("no byte string begins with {tag:#x}"),
    }
}
