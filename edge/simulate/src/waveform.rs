//! The waveform format: `WTW1`, name length (u16), name, start (i64, ns since 1970), rate (f64, Hz), count (u32), samples
//! (f32); all little-endian.

/// Its media type.
pub const WAVEFORM_TYPE: &str = "application/vnd.wheeltapper.waveform";

/// A burst as bytes. Names longer than 65,535 bytes and more than 4,294,967,295 samples do not fit and are cut.
pub fn encode_waveform(name: &str, start_ns: i64, rate_hz: f64, samples: &[f32]) -> Vec<u8> {
    let name = name.as_bytes();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(26 + name.len() + 4 * samples.len());
    bytes.extend_from_slice(b"WTW1");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(name.get(..usize::from(length)).unwrap_or_default());
    bytes.extend_from_slice(&start_ns.to_le_bytes());
    bytes.extend_from_slice(&rate_hz.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for sample in samples.iter().take(count as usize) {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    bytes
}
