//! Every limit of the engine, in one place.

/// Longest encoded key.
pub const KEY_BYTES_MAX: usize = 8000;
/// Longest store name, in bytes of UTF-8.
pub const STORE_NAME_BYTES_MAX: usize = 1024;
/// Smallest base page a database can be made with. Small pages are for tests of splits.
pub const PAGE_BYTES_MIN: usize = 512;
/// Base page of a database unless told otherwise.
pub const PAGE_BYTES_DEFAULT: usize = 8192;
/// Largest base page.
pub const PAGE_BYTES_MAX: usize = 32_768;
/// Can a database have base pages of this length?
pub const fn is_page_bytes(bytes: usize) -> bool {
    bytes.is_power_of_two() && bytes >= PAGE_BYTES_MIN && bytes <= PAGE_BYTES_MAX
}

/// Largest node: a run of base pages that holds a few of the longest keys.
pub const NODE_BYTES_MAX: usize = 65_536;
/// Longest value in a leaf, whatever the page: two of them with the longest keys fit a node.
pub const VALUE_BYTES_INLINE_MAX: usize = 8192;
/// Values from this size on are written straight to the page file before the commit, on a thread that may wait.
pub const EXTENT_BYTES_MIN: usize = 65_536;
/// Largest value given in one piece.
pub const VALUE_BYTES_MAX: usize = 1 << 30;
/// Largest ride-along part of an entry: it lives in the leaf beside the key.
pub const META_BYTES_MAX: usize = 1024;
/// Length of a log segment once the log has grown.
pub const LOG_SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;
/// Length of the first log segment; each next one is four times as long, up to the full length.
pub const LOG_FIRST_SEGMENT_BYTES: u64 = 256 << 10;
/// Largest payload of one group in the log.
pub const LOG_GROUP_BYTES_MAX: usize = 2 << 30;
/// No frame of the log begins farther than this behind what is synced in its segment; recovery after a crash
/// clears so much.
pub const LOG_UNSYNCED_BYTES_MAX: u64 = 4 << 20;
/// Emptied log segments that are kept for reuse, if the last checkpoint emptied so many.
pub const LOG_SPARE_SEGMENTS_MAX: usize = 4;
/// A group that has grown this long goes to the log before another transaction joins it.
pub const GROUP_BYTES_SOFT_MAX: usize = 64 << 20;
/// Texts longer than this are taken in, and looked at, on a thread that may wait.
pub const INLINE_WRITE_BYTES_MAX: usize = 1 << 20;
/// Threads for page misses and other work that waits for the disk.
pub const IO_THREADS: usize = 2;
/// Bytes of the groups published last that are kept in memory for those who read changes.
pub const RECENT_BYTES_MAX: usize = 1 << 20;
/// How often the space of removed log segments is given back; a reader that is no farther behind the log loses nothing.
pub const GIVE_BACK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
/// How long a commit may stay unsynced under relaxed durability.
pub const RELAXED_SYNC_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
/// A page file is packed when its database is closed if one part in so many of it is free, and at most so many bytes are moved.
pub const PACK_ON_CLOSE: (u64, usize) = (8, 256 << 20);
/// The same for a database that had nothing to do for the time between two checkpoints.
pub const PACK_WHEN_QUIET: (u64, usize) = (3, 32 << 20);
