//! Fuzz targets: for each parser of bytes from outside a function that panics where the code breaks a promise.
//!
//! The programs in `fuzz_targets/` call one function each. A target checks more than that nothing panics: what is written
//! is read back, what comes in is accepted or refused, no reading is invented, and time and memory grow with the input.

pub mod access;
pub mod api;
pub mod bounds;
pub mod config;
pub mod ingest;
pub mod log;
pub mod mqtt;
pub mod recordings;
pub mod snapshots;
pub mod store;

use std::path::Path;

use tempfile::TempDir;

#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

/// 2027-01-15T08:00:00Z, the time at which events arrive.
pub const NOW: i64 = 1_800_000_000_000_000_000;

/// A folder that is gone when it is dropped; in memory where the system has such a place, as a target makes thousands.
///
/// # Panics
/// When there is no room for one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for temporary files")
}

/// Takes a number of one byte off the front; 0 where there is none.
pub fn byte(bytes: &mut &[u8]) -> u8 {
    match bytes.split_first() {
        Some((&first, rest)) => {
            *bytes = rest;
            first
        }
        None => 0,
    }
}

/// Takes a piece off the front whose length stands before it (u16, little endian); what is missing is left out.
pub fn piece<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::from(u16::from_le_bytes([byte(bytes), byte(bytes)]));
    let (piece, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    piece
}
