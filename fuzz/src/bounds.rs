//! Time and memory that grow no faster than the input.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::MEMORY;

/// CPU time that an input of any size may take.
const BASE: Duration = Duration::from_millis(500);
/// CPU time for each byte more. Some fifty times what the slowest parser takes with counters and checks built in.
const BYTE: Duration = Duration::from_micros(20);
/// Memory that an input of any size may take.
const BASE_MEMORY: usize = 8 << 20;
/// Bytes of memory for each byte of input.
const MEMORY_PER_BYTE: usize = 256;
/// One input in so many is repeated up to [`LONG`] bytes: what takes the square of the time shows only when it is long.
const REPEATED: u64 = 128;
const LONG: usize = 32 << 10;

/// Runs `parse` on the input, and on some inputs again on many copies of it one after the other.
///
/// # Panics
/// When it takes more time or memory than the length allows.
pub fn linear<T>(bytes: &[u8], mut parse: impl FnMut(&[u8]) -> T) -> T {
    if !bytes.is_empty() && hash(bytes).is_multiple_of(REPEATED) {
        let long = bytes.repeat((LONG / bytes.len()).max(1));
        measured(long.len(), || parse(&long));
    }
    measured(bytes.len(), || parse(bytes))
}

/// Runs `work` on an input of `length` bytes.
///
/// # Panics
/// When it takes more time or memory than the length allows.
pub fn measured<T>(length: usize, work: impl FnOnce() -> T) -> T {
    MEMORY.reset_peak_usage();
    let (held, began) = (MEMORY.current_usage(), cpu());
    let done = work();
    let took = cpu().saturating_sub(began);
    let memory = MEMORY.peak_usage().saturating_sub(held);
    let (time, room) =
        (BASE + BYTE * u32::try_from(length).unwrap_or(u32::MAX), BASE_MEMORY + length * MEMORY_PER_BYTE);
    assert!(took <= time, "{length} bytes took {took:?}, at most {time:?} are allowed");
    assert!(memory <= room, "{length} bytes took {memory} bytes of memory, at most {room} are allowed");
    done
}

/// The thread's own time: what else this machine does counts for nothing.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// FNV-1a, so that the same inputs are repeated in each run.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
