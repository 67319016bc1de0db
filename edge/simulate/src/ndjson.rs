//! Writes readings as NDJSON lines of `{"sensor_id":…,"timestamp":…,"values":…}`.

use std::io::Write as _;

/// Minimum plain number that ingest interprets as nanoseconds; it interprets smaller numbers as µs, ms or s.
const MIN_PLAIN_NS: u64 = 100_000_000_000_000_000;

/// The start of a sensor's lines: `{"sensor_id":"…","timestamp":`.
pub(crate) fn prefix(sensor: &str) -> Vec<u8> {
    let mut bytes = b"{\"sensor_id\":".to_vec();
    write_string(&mut bytes, sensor);
    bytes.extend_from_slice(b",\"timestamp\":");
    bytes
}

/// Writes a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            // Writing to memory does not fail.
            control if control < ' ' => drop(write!(out, "\\u{:04x}", u32::from(control))),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Writes a time so that ingest interprets it as this number of nanoseconds since 1970. Small numbers are written as
/// RFC 3339 text.
pub(crate) fn write_time(out: &mut Vec<u8>, nanoseconds: i64) {
    if nanoseconds.unsigned_abs() >= MIN_PLAIN_NS {
        write_integer(out, nanoseconds);
    } else {
        match jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) {
            Ok(time) => drop(write!(out, "\"{time}\"")),
            Err(_) => write_integer(out, nanoseconds),
        }
    }
}

pub(crate) fn write_integer(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        // At most 20 digits.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes one reading with a line feed. `prefix` is the result of [`prefix`].
pub(crate) fn write_line(out: &mut Vec<u8>, prefix: &[u8], nanoseconds: i64, value: f64) {
    write_object(out, prefix, nanoseconds, value);
    out.push(b'\n');
}

/// Writes one reading. A value that is not finite is written as `null`, as JavaScript does.
pub(crate) fn write_object(out: &mut Vec<u8>, prefix: &[u8], nanoseconds: i64, value: f64) {
    out.extend_from_slice(prefix);
    write_time(out, nanoseconds);
    out.extend_from_slice(b",\"values\":");
    if value.is_finite() {
        // The shortest decimal that parses to the same double.
        drop(write!(out, "{value}"));
    } else {
        out.extend_from_slice(b"null");
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn readings_are_json_with_the_same_name_and_value(name in "\\PC{0,20}|[\\x00-\\x7f]{0,20}", at: i64, value: f64) {
            let mut out = Vec::new();
            write_object(&mut out, &prefix(&name), at, value);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read["sensor_id"].as_str(), Some(&*name));
            prop_assert_eq!(read["values"].as_f64(), Some(value).filter(|value| value.is_finite()));
            let read = match &read["timestamp"] {
                serde_json::Value::String(text) => text.parse::<jiff::Timestamp>().unwrap().as_nanosecond(),
                number => i128::from(number.as_i64().unwrap()),
            };
            prop_assert_eq!(read, i128::from(at));
        }
    }

    #[test]
    fn times_that_ingest_would_read_as_microseconds_are_written_as_text() {
        let mut out = Vec::new();
        write_time(&mut out, 700_000_000_000_000);
        assert_eq!(out, b"\"1970-01-09T02:26:40Z\"");
    }
}
