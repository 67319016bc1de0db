//! Encodes waveforms in ingest's `waveform` format.

/// Layout, little-endian: `WTW1`, length of the name (u16), name, time of the first sample in ns since 1970 (i64),
/// sampling rate in Hz (f64), number of samples (u32), samples (f32). A name of more than 65,535 bytes is cut at a
/// character boundary.
pub(crate) fn encode_waveform(name: &str, start: i64, rate: f64, samples: &[f32]) -> Vec<u8> {
    let name = name.get(..name.floor_char_boundary(usize::from(u16::MAX))).unwrap_or(name);
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(26 + name.len() + 4 * samples.len());
    bytes.extend_from_slice(b"WTW1");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&rate.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}
