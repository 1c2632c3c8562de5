//! The msgpack format, writing: each function appends one item or its header, in the shortest form.

use super::failure::{Failure, Outcome};

pub fn write_int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => write_unsigned(out, value as u64),
        -32..0 => out.push(value as u8),
        -128..-32 => out.extend([0xD0, value as u8]),
        -32_768..-128 => tagged(out, 0xD1, &(value as i16).to_be_bytes()),
        -2_147_483_648..-32_768 => tagged(out, 0xD2, &(value as i32).to_be_bytes()),
        _ => tagged(out, 0xD3, &value.to_be_bytes()),
    }
}

pub fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    match value {
        0..128 => out.push(value as u8),
        128..256 => out.extend([0xCC, value as u8]),
        256..65_536 => tagged(out, 0xCD, &(value as u16).to_be_bytes()),
        65_536..0x1_0000_0000 => tagged(out, 0xCE, &(value as u32).to_be_bytes()),
        _ => tagged(out, 0xCF, &value.to_be_bytes()),
    }
}

pub fn write_float(out: &mut Vec<u8>, value: f64) {
    tagged(out, 0xCB, &value.to_be_bytes());
}

pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xC0);
}

pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xC3 } else { 0xC2 });
}

pub fn write_str(out: &mut Vec<u8>, text: &str) -> Outcome {
    match text.len() {
        length @ 0..32 => out.push(0xA0 | length as u8),
        length => sized(out, [Some(0xD9), Some(0xDA), Some(0xDB)], length)?,
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

pub fn write_bytes(out: &mut Vec<u8>, content: &[u8]) -> Outcome {
    sized(out, [Some(0xC4), Some(0xC5), Some(0xC6)], content.len())?;
    out.extend_from_slice(content);
    Ok(())
}

pub fn write_array_header(out: &mut Vec<u8>, count: usize) -> Outcome {
    match count {
        0..16 => out.push(0x90 | count as u8),
        _ => sized(out, [None, Some(0xDC), Some(0xDD)], count)?,
    }
    Ok(())
}

pub fn write_map_header(out: &mut Vec<u8>, count: usize) -> Outcome {
    match count {
        0..16 => out.push(0x80 | count as u8),
        _ => sized(out, [None, Some(0xDE), Some(0xDF)], count)?,
    }
    Ok(())
}

/// Header of an extension of `length` bytes.
pub fn extension_header(out: &mut Vec<u8>, code: i8, length: usize) -> Outcome {
    match length {
        1 => out.push(0xD4),
        2 => out.push(0xD5),
        4 => out.push(0xD6),
        8 => out.push(0xD7),
        16 => out.push(0xD8),
        _ => sized(out, [Some(0xC7), Some(0xC8), Some(0xC9)], length)?,
    }
    out.push(code as u8);
    Ok(())
}

/// An extension with its content.
pub fn write_extension(out: &mut Vec<u8>, code: i8, content: &[u8]) -> Outcome {
    extension_header(out, code, content.len())?;
    out.extend_from_slice(content);
    Ok(())
}

/// Puts the header of an extension before everything written since `start`.
pub fn wrap_extension(out: &mut Vec<u8>, code: i8, start: usize) -> Outcome {
    let mut header = Vec::with_capacity(6);
    extension_header(&mut header, code, out.len() - start)?;
    out.splice(start..start, header);
    Ok(())
}

/// Header of an extension whose length does not decide the header's own: always 32 bits.
pub fn write_long_extension_header(out: &mut Vec<u8>, code: i8, length: usize) -> Outcome {
    tagged(out, 0xC9, &checked_32(length)?.to_be_bytes());
    out.push(code as u8);
    Ok(())
}

/// Tags for lengths of 8, 16 and 32 bits.
fn sized(out: &mut Vec<u8>, tags: [Option<u8>; 3], length: usize) -> Outcome {
    match (length, tags) {
        (0..256, [Some(tag), ..]) => out.extend([tag, length as u8]),
        (0..65_536, [_, Some(tag), _]) => tagged(out, tag, &(length as u16).to_be_bytes()),
        (_, [.., Some(tag)]) => tagged(out, tag, &checked_32(length)?.to_be_bytes()),
        _ => unreachable!("every kind has a 32-bit form"),
    }
    Ok(())
}

fn checked_32(length: usize) -> Outcome<u32> {
    u32::try_from(length).map_err(|_| Failure::refused("is longer than 4 GiB; split it"))
}

fn tagged(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    out.extend_from_slice(content);
}
