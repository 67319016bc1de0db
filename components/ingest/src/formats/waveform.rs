//! A burst of raw samples: `WTW1`, the sensor id's length (u16) and bytes, the first sample's time in nanoseconds since
//! 1970 (i64), samples a second (f64), their number (u32), and the samples (f32). All numbers are little-endian.

use crate::{intake::Intake, rejection::Rejection};

pub(super) const MAGIC: &[u8] = b"WTW1";

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let mut count = 1;
    if let Err(rejection) = take(payload, sensor, &mut count, intake) {
        intake.refuse(0, rejection, payload, count);
    }
}

fn take(payload: &[u8], sensor: Option<&str>, count: &mut usize, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let short = || {
        Rejection::malformed(
            "the waveform's header is cut off; expected WTW1, name length (u16), name, start (i64 ns), rate (f64 Hz), count (u32), samples (f32)",
        )
    };
    let rest = payload.strip_prefix(MAGIC).ok_or_else(|| {
        Rejection::malformed("expected a waveform, which starts with WTW1; see the documentation of its header")
    })?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or_else(short)?;
    let (start, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    let (rate, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
    let (number, samples) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let number = u32::from_le_bytes(*number) as usize;
    let there = samples.len() / 4;
    *count = number.min(there).max(1);
    if samples.len() != number.saturating_mul(4) {
        return Err(Rejection::malformed(format!(
            "the header says {number} samples, {there} came ({} bytes)",
            samples.len()
        )));
    }
    if number == 0 {
        return Err(Rejection::malformed("the waveform has no samples"));
    }
    let name = match name {
        [] => sensor.ok_or_else(|| {
            Rejection::malformed("the waveform names no sensor, and neither does the topic's mapping")
        })?,
        name => std::str::from_utf8(name).map_err(|_| Rejection::malformed("the sensor's id is not UTF-8"))?,
    };
    let samples = samples.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    intake.waveform(name, i64::from_le_bytes(*start), f64::from_le_bytes(*rate), samples)
}
