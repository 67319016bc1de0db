//! Encodes waveforms in the `waveform` format of ingest (`WTW1`).

/// Media type of the output of [`encode_waveform`].
pub const WAVEFORM_CONTENT_TYPE: &str = "application/vnd.wheeltapper.waveform";

/// Encodes a waveform: `WTW1`, length of the name (u16), name, time of the first sample in ns since 1970 (i64),
/// sampling rate in Hz (f64), number of samples (u32), samples (f32); little-endian.
///
/// A name longer than 65,535 bytes is truncated at a character boundary, and samples beyond 2³² − 1 are omitted: the
/// header cannot represent them, and ingest rejects both.
pub fn encode_waveform(name: &str, start_ns: i64, rate_hz: f64, samples: &[f32]) -> Vec<u8> {
    let name = name.get(..name.floor_char_boundary(usize::from(u16::MAX))).unwrap_or(name);
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(26 + name.len() + 4 * samples.len());
    bytes.extend_from_slice(b"WTW1");
    bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(&start_ns.to_le_bytes());
    bytes.extend_from_slice(&rate_hz.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    for sample in samples.iter().take(count as usize) {
        bytes.extend_from_slice(&sample.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes the bytes by the description of the format.
    fn decode(bytes: &[u8]) -> (String, i64, f64, Vec<f32>) {
        let (magic, rest) = bytes.split_at(4);
        assert_eq!(magic, b"WTW1");
        let (length, rest) = rest.split_at(2);
        let (name, rest) = rest.split_at(u16::from_le_bytes(length.try_into().unwrap()).into());
        let (start, rest) = rest.split_at(8);
        let (rate, rest) = rest.split_at(8);
        let (count, rest) = rest.split_at(4);
        let samples: Vec<f32> = rest.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
        assert_eq!(u32::from_le_bytes(count.try_into().unwrap()) as usize, samples.len());
        let start = i64::from_le_bytes(start.try_into().unwrap());
        (String::from_utf8(name.to_vec()).unwrap(), start, f64::from_le_bytes(rate.try_into().unwrap()), samples)
    }

    proptest! {
        #[test]
        fn waveforms_round_trip(
            name in ".{0,40}", start: i64, rate in 0.1..1e6, samples in prop::collection::vec(-1e6_f32..1e6, 0..300),
        ) {
            let back = decode(&encode_waveform(&name, start, rate, &samples));
            prop_assert_eq!(back, (name, start, rate, samples));
        }
    }

    #[test]
    fn a_long_name_is_truncated_at_a_character() {
        let (name, ..) = decode(&encode_waveform(&"é".repeat(40_000), 0, 1.0, &[1.0]));
        assert_eq!(name, "é".repeat(32_767));
    }
}
