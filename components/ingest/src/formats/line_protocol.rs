//! InfluxDB line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! The sensor id is the tag `sensor_id` or `sensor`. Without such a tag it is composed of the tags `site`, `area`,
//! `machine` and `asset` in this order, the other tags sorted by key, and the measurement. A field with another name
//! than `value` appends its name. Text fields are ignored. The unit of a time is given by the parameter `precision` of
//! the media type, else by the size of the number.

use crate::{
    collector::ReadingCollector,
    rejection::{Reason, Rejection, excerpt},
    time::{self, Precision},
};

/// Limit for the number of fields of a line.
const MAX_FIELDS: usize = 100_000;
/// Limit for the number of tags of a line.
const MAX_TAGS: usize = 256;
/// Tags that come first in a composed sensor id, in this order.
const LOCATION_TAGS: [&str; 4] = ["site", "area", "machine", "asset"];

/// Returns whether the line has the form `key name=value`.
pub(super) fn looks_like_line_protocol(line: &[u8]) -> bool {
    let Some((key, rest)) = split_unescaped(line, b' ') else { return false };
    let fields = split_unescaped(rest, b' ').map_or(rest, |(fields, _)| fields);
    !key.is_empty() && split_unescaped(fields, b'=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
}

pub(super) fn decode(payload: &[u8], format: Option<&str>, collector: &mut ReadingCollector<'_>) {
    let precision = match format.map_or(Ok(None), Precision::from_media_type) {
        Ok(precision) => precision,
        Err(rejection) => return collector.reject(0, rejection, payload, 1),
    };
    for (position, line) in (1..).zip(payload.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        decode_line(line, position, precision, collector);
        if collector.is_event_rejected() {
            return;
        }
    }
}

fn decode_line(line: &[u8], position: usize, precision: Option<Precision>, collector: &mut ReadingCollector<'_>) {
    let parsed = match ParsedLine::parse(line, precision, collector.arrival) {
        Ok(parsed) => parsed,
        Err(rejection) => return collector.reject(position, rejection, line, 1),
    };
    let mut name = String::with_capacity(parsed.sensor.len() + 16);
    for (field, value) in &parsed.fields {
        name.clear();
        name.push_str(&parsed.sensor);
        if field != "value" {
            name.push('/');
            name.push_str(field);
        }
        match value {
            FieldValue::Number(value) => collector.add_reading(position, &name, parsed.time, *value),
            FieldValue::Invalid(text, rejection) => {
                collector.reject_values(position, rejection.clone(), &name, parsed.time, 1, || text.as_str().into());
            }
        }
        if collector.is_event_rejected() {
            return;
        }
    }
}

/// A parsed line with its numeric fields.
struct ParsedLine {
    sensor: String,
    fields: Vec<(String, FieldValue)>,
    time: i64,
}

/// The value of a field.
enum FieldValue {
    Number(f64),
    /// The text that is not a valid value, and the rejection.
    Invalid(String, Rejection),
}

impl ParsedLine {
    fn parse(line: &[u8], precision: Option<Precision>, arrival: i64) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(line).map_err(|_| Rejection::malformed("the line is not UTF-8"))?;
        let expected = || {
            Rejection::malformed(format!(
                "expected `measurement,tag=value field=1.5 timestamp`; got {:?}",
                excerpt(line)
            ))
        };
        let (key, rest) = split_unescaped(text.as_bytes(), b' ').ok_or_else(expected)?;
        let (fields, timestamp) = split_fields(rest.trim_ascii_start());
        let time = match (timestamp.trim_ascii(), precision) {
            (b"", _) => arrival,
            (timestamp, Some(precision)) => precision.parse_time(timestamp)?,
            (timestamp, None) => time::parse_text(std::str::from_utf8(timestamp).map_err(|_| expected())?)?,
        };
        let mut parsed = Vec::new();
        let mut texts = 0;
        let fields = split_commas(fields);
        if fields.len() > MAX_FIELDS {
            let message =
                format!("expected at most {MAX_FIELDS} fields; the line has {}: send several lines", fields.len());
            return Err(Rejection::new(Reason::Oversize, message));
        }
        let tags = key.iter().filter(|&&byte| byte == b',').count();
        if tags > MAX_TAGS {
            let message =
                format!("expected at most {MAX_TAGS} tags; the line has {tags}: name the sensor in the tag sensor_id");
            return Err(Rejection::new(Reason::Oversize, message));
        }
        for field in fields {
            let (name, value) = split_unescaped(field, b'=').ok_or_else(expected)?;
            let name = unescape(name);
            match value {
                _ if name.is_empty() => return Err(expected()),
                [b'"', ..] => texts += 1,
                value => {
                    let field = parse_number(value).map_or_else(
                        |rejection| FieldValue::Invalid(String::from_utf8_lossy(value).into_owned(), rejection),
                        FieldValue::Number,
                    );
                    parsed.push((name, field));
                }
            }
        }
        if parsed.is_empty() {
            return Err(if texts > 0 {
                Rejection::malformed("the line has only text fields; expected a field with a number")
            } else {
                expected()
            });
        }
        Ok(Self { sensor: sensor_id(key).ok_or_else(expected)?, fields: parsed, time })
    }
}

fn parse_number(value: &[u8]) -> Result<f64, Rejection> {
    let text = std::str::from_utf8(value).unwrap_or_default();
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(0.0),
        _ => {}
    }
    #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
    let parsed = match (text.strip_suffix('i'), text.strip_suffix('u')) {
        (Some(digits), _) => {
            digits.parse::<i64>().map(|number| number as f64).map_err(|_| expected_integer(digits, 'i'))
        }
        (_, Some(digits)) => {
            digits.parse::<u64>().map(|number| number as f64).map_err(|_| expected_integer(digits, 'u'))
        }
        _ => text.parse().map_err(|_| None),
    };
    parsed.map_err(|integer_message| {
        let got = excerpt(value);
        Rejection::malformed(integer_message.map_or_else(
            || format!("expected a field's value such as 1.5, 2i, true or \"text\"; got {got:?}"),
            |expected| format!("{expected}; got {got:?}"),
        ))
    })
}

/// Returns the message for an integer that is out of range or has a fraction. None if the text is not a number.
fn expected_integer(digits: &str, suffix: char) -> Option<String> {
    let (min, max) = if suffix == 'i' { (i64::MIN.into(), i64::MAX.into()) } else { (0_i128, i128::from(u64::MAX)) };
    digits.trim_start_matches(['+', '-']).starts_with(|first: char| first.is_ascii_digit()).then(|| {
        format!("expected a whole number from {min} to {max} before {suffix}; send others without the {suffix}")
    })
}

/// Returns the sensor id for a measurement and its tags. None if the measurement is empty or a tag has no value.
fn sensor_id(key: &[u8]) -> Option<String> {
    let mut items = split_commas(key).into_iter();
    let measurement = unescape(items.next()?);
    let mut tags = Vec::new();
    for tag in items {
        let (name, value) = split_unescaped(tag, b'=')?;
        tags.push((unescape(name), unescape(value)));
    }
    if let Some((_, id)) = tags.iter().find(|(name, _)| name == "sensor_id" || name == "sensor") {
        return Some(id.clone());
    }
    tags.sort_by_key(|(name, _)| {
        (LOCATION_TAGS.iter().position(|tag| tag == name).unwrap_or(LOCATION_TAGS.len()), name.clone())
    });
    let mut id = String::new();
    for (_, value) in &tags {
        id.push_str(value);
        id.push('/');
    }
    id.push_str(&measurement);
    (!measurement.is_empty()).then_some(id)
}

/// Splits the text at the first `separator` that is not escaped by a backslash.
fn split_unescaped(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut escaped = false;
    for (index, &byte) in text.iter().enumerate() {
        if !escaped && byte == separator {
            return Some((text.get(..index)?, text.get(index + 1..)?));
        }
        escaped = !escaped && byte == b'\\';
    }
    None
}

/// Splits the text at the space after the fields. Spaces in quoted strings do not count.
fn split_fields(text: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut escaped = false;
    for (index, &byte) in text.iter().enumerate() {
        if !escaped && byte == b'"' {
            quoted = !quoted;
        }
        if !escaped && !quoted && byte == b' ' {
            return text.split_at(index);
        }
        escaped = !escaped && byte == b'\\';
    }
    (text, b"")
}

/// Splits the text at every comma that is neither escaped nor quoted.
fn split_commas(text: &[u8]) -> Vec<&[u8]> {
    let (mut items, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, &byte) in text.iter().enumerate() {
        if !escaped && byte == b'"' {
            quoted = !quoted;
        }
        if !escaped && !quoted && byte == b',' {
            items.push(text.get(start..index).unwrap_or_default());
            start = index + 1;
        }
        escaped = !escaped && byte == b'\\';
    }
    items.push(text.get(start..).unwrap_or_default());
    items
}

fn unescape(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if !text.contains('\\') {
        return text.into_owned();
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' if matches!(chars.peek(), Some(',' | '=' | ' ' | '\\')) => unescaped.extend(chars.next()),
            char => unescaped.push(char),
        }
    }
    unescaped
}
