//! JSON: `{"sensor_id": …, "timestamp": …, "values": …, "metadata": {…}}`, alone, in an array, or one a line.
//!
//! `values` is a number, an object of numbers (each key is a sensor of its own, `sensor_id/key`; the key `value` is the
//! sensor itself), or an array: with a sampling rate (`metadata.sampling_hz`, or the configured one) a stretch of samples,
//! which from 16 samples on is kept as a waveform; without one, channels `sensor_id/0`, `sensor_id/1` and so on.
//! `sensor`, `time`, `ts` and `value` are understood as well. Other keys are passed over.

use std::{borrow::Cow, fmt};

use memchr::memchr;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    intake::{Intake, check_rate},
    rejection::{Reason, Rejection, excerpt},
    time,
};

/// From so many samples on, an array with a rate is a waveform.
const WAVEFORM: usize = 16;
const EXPECTED: &str =
    "{\"sensor_id\":\"site/area/machine/sensor\",\"timestamp\":\"2026-01-31T12:00:00Z\",\"values\":1.5}";

/// A whole body: an object, an array, or objects one after the other.
pub(crate) fn whole(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let text = payload.trim_ascii();
    match text.first() {
        Some(b'[') => array(text, sensor, intake),
        Some(b'{') => match serde_json::from_slice::<Message<'_>>(text) {
            Ok(message) => message.take(text, 0, sensor, intake),
            // Several objects, or one that is wrong: elements tells.
            Err(error) if error.is_syntax() || error.is_data() => objects(text, sensor, intake),
            Err(error) => intake.refuse(0, syntax(&error, text, EXPECTED), text, 1),
        },
        _ => bare(text, sensor, intake),
    }
}

/// One object, or array of them, a line.
pub(crate) fn lines(payload: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let (mut rest, mut position) = (payload, 0);
    while !rest.is_empty() {
        let (line, after) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, [].as_slice()),
        };
        rest = after;
        position += 1;
        match line.trim_ascii() {
            [] => {}
            line @ [b'[', ..] => array(line, sensor, intake),
            line => message(line, position, sensor, intake),
        }
    }
}

/// All at once when all is well; else element by element, so that only what is wrong is refused.
fn array(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let mark = intake.mark();
    let refusals = intake.out.refusals.len();
    let mut position = 0;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let taken =
        Elements { sensor, intake, position: &mut position }.deserialize(&mut reader).and_then(|()| reader.end());
    if taken.is_err() {
        intake.rollback(mark);
        intake.out.refusals.truncate(refusals);
        objects(text, sensor, intake);
    }
}

struct Elements<'a, 'b> {
    sensor: Option<&'a str>,
    intake: &'a mut Intake<'b>,
    position: &'a mut usize,
}

impl Elements<'_, '_> {
    fn deserialize<'de, D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of readings")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(message) = elements.next_element::<Message<'de>>()? {
            *self.position += 1;
            let refused = self.intake.out.refusals.len();
            message.take(b"", *self.position, self.sensor, self.intake);
            if self.intake.out.refusals.len() > refused {
                // The slow way has the element's own bytes for the dead letter.
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

fn objects(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    for (position, element) in elements(text) {
        message(element, position, sensor, intake);
    }
}

fn message(text: &[u8], position: usize, sensor: Option<&str>, intake: &mut Intake<'_>) {
    match serde_json::from_slice::<Message<'_>>(text) {
        Ok(message) => message.take(text, position, sensor, intake),
        Err(_) if sensor.is_some() && is_bare_number(text) => bare(text, sensor, intake),
        Err(error) => intake.refuse(position, syntax(&error, text, EXPECTED), text, 1),
    }
}

/// Whether it is a number and nothing else.
pub(crate) fn is_bare_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<f64>().is_ok())
}

/// A topic's payload can be the value alone.
fn bare(text: &[u8], sensor: Option<&str>, intake: &mut Intake<'_>) {
    let value = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    let taken = match (value, sensor) {
        (Some(value), Some(sensor)) => intake.reading(sensor, intake.arrival, value),
        (Some(_), None) => Err(Rejection::malformed(
            "a bare number came, but no topic mapping names its sensor; add an [[mqtt.topic]] rule or send an object",
        )),
        (None, _) => Err(Rejection::malformed(format!("expected {EXPECTED}; got {:?}", excerpt(text)))),
    };
    if let Err(rejection) = taken {
        intake.refuse(0, rejection, text, 1);
    }
}

/// Why JSON could not be read.
pub(super) fn syntax(error: &serde_json::Error, text: &[u8], expected: &str) -> Rejection {
    if error.is_syntax()
        && let Some(token) = non_finite_token(text)
    {
        let message = format!("{token} is no JSON number; leave out what was not measured");
        return Rejection::new(Reason::NonFinite, message);
    }
    Rejection::malformed(format!("expected {expected}; {error}; got {:?}", excerpt(text)))
}

/// `NaN`, `Infinity` or `inf` where a value would stand.
fn non_finite_token(text: &[u8]) -> Option<&'static str> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'N' | b'n' | b'I' | b'i' if !quoted => {
                let rest = text.get(at..).unwrap_or_default();
                let is = |token: &str| {
                    rest.get(..token.len()).is_some_and(|head| head.eq_ignore_ascii_case(token.as_bytes()))
                };
                if let Some(token) = ["NaN", "Infinity", "inf"].into_iter().find(|token| is(token)) {
                    return Some(token);
                }
            }
            _ => {}
        }
    }
    None
}

/// The elements of an array, or the values one after the other, with their number from 1. What is not closed reaches to
/// the end.
pub(super) fn elements(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.trim_ascii();
    let mut rest = text.strip_prefix(b"[").unwrap_or(text);
    let mut position = 0;
    std::iter::from_fn(move || {
        loop {
            match rest.split_first() {
                Some((b' ' | b'\t' | b'\r' | b'\n' | b',', after)) => rest = after,
                Some((b']', after)) if after.trim_ascii().is_empty() => rest = b"",
                None => return None,
                Some(_) => break,
            }
        }
        let (element, after) = rest.split_at(element_end(rest));
        rest = after;
        position += 1;
        Some((position, element))
    })
}

fn element_end(text: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, &byte) in text.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at.max(1) },
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at.max(1),
            _ => {}
        }
    }
    text.len()
}

/// One message.
#[derive(Debug, Default)]
struct Message<'a> {
    sensor: Option<Cow<'a, str>>,
    time: Option<Stamp>,
    values: Option<Values>,
    sampling_hz: Option<f64>,
}

impl Message<'_> {
    fn take(self, text: &[u8], position: usize, mapped: Option<&str>, intake: &mut Intake<'_>) {
        let count = self.values.as_ref().map_or(1, Values::count);
        if let Err(rejection) = self.take_parts(text, position, mapped, intake) {
            intake.refuse(position, rejection, text, count);
        }
    }

    fn take_parts(
        self,
        text: &[u8],
        position: usize,
        mapped: Option<&str>,
        intake: &mut Intake<'_>,
    ) -> Result<(), Rejection> {
        let name = self.sensor.as_deref().or(mapped).ok_or_else(|| {
            Rejection::malformed(format!("the message names no sensor; expected {EXPECTED}; got {:?}", excerpt(text)))
        })?;
        let at = match self.time {
            None => intake.arrival,
            Some(Stamp::Time(time)) => time,
            Some(Stamp::Bad(came)) => return Err(time::no_time(came.as_bytes())),
        };
        match self.values {
            Some(Values::One(value)) => intake.reading(name, at, value),
            None => Err(Rejection::malformed(format!("the message has no `values`; expected {EXPECTED}"))),
            Some(Values::Bad(message)) => Err(Rejection::malformed(message)),
            Some(Values::Many(values)) => many(name, at, self.sampling_hz, &values, text, position, intake),
            Some(Values::Named(parts)) => {
                for (key, values) in parts {
                    let sensor = if key == "value" { name.to_owned() } else { format!("{name}/{key}") };
                    let count = values.count();
                    let taken = match values {
                        Values::One(value) => intake.reading(&sensor, at, value),
                        Values::Many(values) => many(&sensor, at, self.sampling_hz, &values, text, position, intake),
                        Values::Named(_) => Err(Rejection::malformed(format!(
                            "`values.{key}` is an object; expected a number or an array of numbers"
                        ))),
                        Values::Bad(message) => Err(Rejection::malformed(message)),
                    };
                    if let Err(rejection) = taken {
                        intake.refuse(position, rejection, text, count);
                    }
                }
                Ok(())
            }
        }
    }
}

fn many(
    name: &str,
    at: i64,
    rate: Option<f64>,
    values: &[f64],
    text: &[u8],
    position: usize,
    intake: &mut Intake<'_>,
) -> Result<(), Rejection> {
    let rate = rate.or_else(|| intake.sampling_hz(name));
    rate.map_or(Ok(()), check_rate)?;
    match (values, rate) {
        ([], _) => Err(Rejection::malformed("`values` is an empty array; expected numbers")),
        ([value], _) => intake.reading(name, at, *value),
        #[allow(clippy::cast_possible_truncation, reason = "samples are kept as f32")]
        (samples, Some(rate)) if samples.len() >= WAVEFORM => {
            let narrow = samples.iter().map(|&value| value as f32).collect();
            intake.waveform(name, at, rate, narrow)
        }
        (values, rate) => {
            for (index, &value) in values.iter().enumerate() {
                #[allow(clippy::cast_precision_loss, reason = "fewer than 16, or unused")]
                let (sensor, time) = match rate {
                    Some(rate) => {
                        let after = time::from_seconds(index as f64 / rate);
                        (Cow::Borrowed(name), after.and_then(|after| at.checked_add(after)))
                    }
                    None => (Cow::Owned(format!("{name}/{index}")), Some(at)),
                };
                let taken =
                    time.ok_or_else(|| time::no_time(b"")).and_then(|time| intake.reading(&sensor, time, value));
                if let Err(rejection) = taken {
                    intake.refuse(position, rejection, text, 1);
                }
            }
            Ok(())
        }
    }
}

enum Key {
    Sensor,
    Time,
    Values,
    Metadata,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "sensor_id" | "sensor" => Key::Sensor,
                    "timestamp" | "time" | "ts" => Key::Time,
                    "values" | "value" => Key::Values,
                    "metadata" => Key::Metadata,
                    _ => Key::Other,
                })
            }
        }
        reader.deserialize_identifier(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct MessageVisitor;
        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = Message<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object with sensor_id, timestamp and values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message<'de>, A::Error> {
                let mut message = Message::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Sensor => message.sensor = map.next_value::<Option<Name<'de>>>()?.map(|name| name.0),
                        Key::Time => message.time = map.next_value()?,
                        Key::Values => message.values = Some(map.next_value()?),
                        Key::Metadata => message.sampling_hz = map.next_value::<Metadata>()?.0,
                        Key::Other => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(message)
            }
        }
        reader.deserialize_map(MessageVisitor)
    }
}

#[derive(Debug)]
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a sensor id, as text")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(number.to_string())))
            }
        }
        reader.deserialize_any(NameVisitor)
    }
}

#[derive(Debug)]
enum Stamp {
    Time(i64),
    Bad(String),
}

impl Stamp {
    fn of(time: Option<i64>, came: impl fmt::Display) -> Self {
        time.map_or_else(|| Self::Bad(came.to_string()), Self::Time)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct StampVisitor;
        impl Visitor<'_> for StampVisitor {
            type Value = Stamp;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a time, RFC 3339 or a number since 1970")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Stamp, E> {
                Ok(Stamp::of(i64::try_from(number).ok().and_then(time::from_epoch), number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Stamp, E> {
                Ok(Stamp::of(time::from_epoch(number), number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Stamp, E> {
                Ok(Stamp::of(time::from_epoch_float(number), number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Stamp, E> {
                Ok(Stamp::of(time::parse_text(text).ok(), text))
            }
        }
        reader.deserialize_any(StampVisitor)
    }
}

#[derive(Debug)]
enum Values {
    One(f64),
    Many(Vec<f64>),
    Named(Vec<(String, Values)>),
    Bad(String),
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::One(_) | Self::Bad(_) => 1,
            Self::Many(values) => values.len(),
            Self::Named(parts) => parts.iter().map(|(_, values)| values.count()).sum(),
        }
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number, an object of numbers or an array of numbers")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Values, E> {
                Ok(Values::One(value))
            }
            #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
            fn visit_u64<E>(self, value: u64) -> Result<Values, E> {
                Ok(Values::One(value as f64))
            }
            #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
            fn visit_i64<E>(self, value: i64) -> Result<Values, E> {
                Ok(Values::One(value as f64))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Values, E> {
                Ok(Values::One(f64::from(u8::from(value))))
            }
            /// What JavaScript writes for NaN.
            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values::One(f64::NAN))
            }
            fn visit_str<E>(self, text: &str) -> Result<Values, E> {
                Ok(match text.trim().parse() {
                    Ok(value) => Values::One(value),
                    Err(_) => Values::Bad(format!("expected a number; got the text {:?}", excerpt(text.as_bytes()))),
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1 << 16));
                let mut bad = None;
                while let Some(element) = seq.next_element()? {
                    match element {
                        Values::One(value) => values.push(value),
                        Values::Bad(message) => bad = Some(message),
                        Values::Many(_) | Values::Named(_) => {
                            bad = Some("expected an array of numbers; got arrays or objects in it".to_owned())
                        }
                    }
                }
                Ok(bad.map_or(Values::Many(values), Values::Bad))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
                let mut parts = Vec::new();
                while let Some((key, values)) = map.next_entry()? {
                    parts.push((key, values));
                }
                Ok(if parts.is_empty() {
                    Values::Bad("`values` is an empty object; expected numbers".to_owned())
                } else {
                    Values::Named(parts)
                })
            }
        }
        reader.deserialize_any(ValuesVisitor)
    }
}

/// Only the sampling rate counts; metadata of any other shape is passed over.
struct Metadata(Option<f64>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Map {
                #[serde(alias = "sample_rate_hz", alias = "sampling_rate_hz")]
                sampling_hz: Option<f64>,
            },
            Other(IgnoredAny),
        }
        Ok(match Any::deserialize(reader)? {
            Any::Map { sampling_hz } => Self(sampling_hz),
            Any::Other(_) => Self(None),
        })
    }
}
