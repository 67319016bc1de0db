//! What the end-to-end tests and the benchmarks share: the built binary in a folder of its own, and ways to feed it.

pub mod door;
pub mod faults;
pub mod mqtt;
mod plant;

pub use plant::{Answer, Plant, Running, binary, data_folder, free_port, hostile_featurize, wait_until};

/// A base time for made-up readings: 2026-01-01T00:00:00Z, in nanoseconds since 1970.
pub const T0: i64 = 1_767_225_600_000_000_000;
/// A second, in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;
