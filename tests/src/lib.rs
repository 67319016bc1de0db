//! Shared code of the end-to-end tests and the benchmarks: runs the built binary in a separate folder and sends data to
//! it.

pub mod client;
mod compiled;
pub mod faults;
pub mod mqtt;
mod test_host;

pub use test_host::{
    IngestAnswer, RunningHost, TestHost, binary, data_folder, faulty_featurize, free_port, wait_until,
};

/// Base time of synthetic readings: 2026-01-01T00:00:00Z, in nanoseconds since 1970.
pub const T0: i64 = 1_767_225_600_000_000_000;
/// One second in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;
