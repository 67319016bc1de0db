//! A waveform as raw samples: `WTW1`, length (u16) and bytes of the sensor id, time of the first sample in nanoseconds
//! since 1970 (i64), samples per second (f64), number of samples (u32), and the samples (f32). All numbers are
//! little-endian.

use crate::{collector::ReadingCollector, rejection::Rejection};

/// First bytes of a waveform; the digit is the version.
pub(super) const MAGIC: &[u8] = b"WTW1";

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let mut count = 1;
    if let Err(rejection) = decode_waveform(payload, sensor, &mut count, collector) {
        collector.reject(0, rejection, payload, count);
    }
}

/// Adds the waveform. Sets `count` to the number of samples that a rejection counts.
fn decode_waveform(
    payload: &[u8],
    sensor: Option<&str>,
    count: &mut usize,
    collector: &mut ReadingCollector<'_>,
) -> Result<(), Rejection> {
    let cut_off = || {
        Rejection::malformed(
            "the waveform's header is cut off; expected WTW1, name length (u16), name, start (i64 ns), rate (f64 Hz), count (u32), samples (f32)",
        )
    };
    let rest = payload.strip_prefix(MAGIC).ok_or_else(|| {
        Rejection::malformed("expected a waveform, which starts with WTW1; see the documentation of the header")
    })?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut_off)?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into()).ok_or_else(cut_off)?;
    let (start, rest) = rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
    let (rate, rest) = rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
    let (number, samples) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let number = u32::from_le_bytes(*number) as usize;
    let present = samples.len() / 4;
    *count = number.min(present).max(1);
    if samples.len() != number.saturating_mul(4) {
        return Err(Rejection::malformed(format!(
            "expected {number} samples, as the header says; got {present} ({} bytes): send the whole waveform",
            samples.len()
        )));
    }
    if number == 0 {
        return Err(Rejection::malformed("the waveform has no samples"));
    }
    let name = match name {
        [] => {
            sensor.ok_or_else(|| Rejection::malformed("neither the waveform nor the topic mapping names the sensor"))?
        }
        name => std::str::from_utf8(name).map_err(|_| Rejection::malformed("the sensor's id is not UTF-8"))?,
    };
    let samples = samples.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    collector.add_waveform(name, i64::from_le_bytes(*start), f64::from_le_bytes(*rate), samples)
}
