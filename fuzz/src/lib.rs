//! Fuzz targets: one function for each parser of external input, which panics if the code violates an invariant.
//!
//! Each program in `fuzz_targets/` calls one function. A target checks more than the absence of panics: written data
//! can be read back, every input is accepted or rejected, no reading is invented, and time and memory grow linearly
//! with the input.

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

/// The arrival of all events: 2027-01-15T08:00:00Z, in nanoseconds since 1970.
pub const NOW: i64 = 1_800_000_000_000_000_000;

/// Creates a temporary folder, which is deleted when it is dropped. It is in memory if the system has /dev/shm, because
/// a target creates thousands.
///
/// # Panics
/// If the folder cannot be created.
pub fn temp_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder for temporary files")
}

/// Removes the first byte and returns it; returns 0 if there is none.
pub fn byte(bytes: &mut &[u8]) -> u8 {
    match bytes.split_first() {
        Some((&first, rest)) => {
            *bytes = rest;
            first
        }
        None => 0,
    }
}

/// Removes a length (u16, little-endian) and that many bytes from the front, and returns the bytes; fewer if the input
/// is shorter.
pub fn slice<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::from(u16::from_le_bytes([byte(bytes), byte(bytes)]));
    let (slice, rest) = bytes.split_at(length.min(bytes.len()));
    *bytes = rest;
    slice
}
