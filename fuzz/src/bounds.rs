//! Limits for time and memory, which grow linearly with the input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::MEMORY;

/// The allowed CPU time for an empty input.
const BASE_TIME: Duration = Duration::from_millis(500);
/// The allowed CPU time for each byte: about fifty times that of the slowest parser, built with counters and checks.
const TIME_PER_BYTE: Duration = Duration::from_micros(20);
/// The allowed memory for an empty input, in bytes.
const BASE_MEMORY: usize = 8 << 20;
/// The allowed memory for each byte of input, in bytes.
const MEMORY_PER_BYTE: usize = 256;
/// One input in this many is repeated up to [`REPEATED_BYTES`], because quadratic time shows only with long inputs.
const REPEAT_INTERVAL: u64 = 128;
const REPEATED_BYTES: usize = 32 << 10;

/// Runs `parse` on the input; for some inputs also on many concatenated copies of it.
///
/// # Panics
/// If it takes more time or memory than the length allows.
pub fn linear<T>(bytes: &[u8], mut parse: impl FnMut(&[u8]) -> T) -> T {
    if !bytes.is_empty() && hash(bytes).is_multiple_of(REPEAT_INTERVAL) {
        let long = bytes.repeat((REPEATED_BYTES / bytes.len()).max(1));
        measured(long.len(), || parse(&long));
    }
    measured(bytes.len(), || parse(bytes))
}

/// Runs `work` on an input of `length` bytes and returns its result.
///
/// # Panics
/// If it takes more time or memory than the length allows.
pub fn measured<T>(length: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let (memory_before, started) = (MEMORY.current_usage(), cpu_time());
    let result = work();
    let time = cpu_time().saturating_sub(started);
    let memory = MEMORY.peak_usage().saturating_sub(memory_before);
    let max_time = BASE_TIME + TIME_PER_BYTE * u32::try_from(length).unwrap_or(u32::MAX);
    let max_memory = BASE_MEMORY + length * MEMORY_PER_BYTE;
    assert!(time <= max_time, "{length} bytes took {time:?}; at most {max_time:?} are allowed");
    assert!(memory <= max_memory, "{length} bytes took {memory} bytes of memory; at most {max_memory} are allowed");
    result
}

/// Returns the CPU time of this thread, which does not depend on other load on the computer.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// FNV-1a, so that each run repeats the same inputs.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
