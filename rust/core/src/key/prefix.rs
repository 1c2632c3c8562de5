//! The end of the range of keys that begin alike.

/// The lowest byte string above every one that begins with `prefix`; `None` when there is none (all bytes FF, or empty).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
