//! SenML (RFC 8428) as JSON: an array of records. The base fields of a record apply to it and to the records after it.
//! The reading of a record is its value (v, vb), or its sum (s) if it has no value.

use std::{borrow::Cow, fmt};

use memchr::memmem;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::json::{elements, syntax_rejection};
use crate::{
    collector::ReadingCollector,
    dead_letters::DeadLetter,
    rejection::{Rejection, excerpt},
    time,
};

/// Times whose absolute value is below this, in seconds, are relative to the arrival (RFC 8428, section 4.5.3).
const MAX_RELATIVE_SECONDS: f64 = 268_435_456.0;
/// The version of SenML that RFC 8428 defines. Records of a later version must be rejected.
const SENML_VERSION: f64 = 10.0;

/// A record, with the labels of RFC 8428.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SenmlRecord {
    bn: Option<String>,
    bt: Option<f64>,
    bv: Option<f64>,
    bs: Option<f64>,
    bver: Option<f64>,
    n: Option<String>,
    t: Option<f64>,
    v: Option<f64>,
    vb: Option<bool>,
    vs: Option<serde_json::Value>,
    vd: Option<serde_json::Value>,
    s: Option<f64>,
}

/// Returns whether the first element of the array is a SenML record and not a message of the JSON format.
pub(super) fn looks_like_senml(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        sensor_id: Option<IgnoredAny>,
        n: Option<IgnoredAny>,
        bn: Option<IgnoredAny>,
    }
    let Some((_, first)) = elements(text).next() else { return false };
    serde_json::from_slice(first)
        .is_ok_and(|keys: Keys| keys.sensor_id.is_none() && (keys.n.is_some() || keys.bn.is_some()))
}

/// The base fields that apply to the current record.
#[derive(Default)]
struct BaseFields {
    name: String,
    time: f64,
    value: f64,
    sum: f64,
}

impl BaseFields {
    /// Returns the dead letter of an invalid record: a pack of one record with the base fields and the unchanged
    /// record.
    fn dead_letter(&self, element: &[u8]) -> DeadLetter {
        let mut record = serde_json::Map::new();
        record.insert("bn".to_owned(), self.name.as_str().into());
        for (label, number) in [("bt", self.time), ("bv", self.value), ("bs", self.sum)] {
            if number != 0.0 {
                record.insert(label.to_owned(), number.into());
            }
        }
        let record = serde_json::Value::Object(record).to_string();
        let payload = [b"[".as_slice(), record.as_bytes(), b",", element, b"]"].concat();
        DeadLetter { payload, source: None, format: Some("senml".to_owned()) }
    }
}

/// The last label of a record that ends in `_`. Such a label changes the meaning of other labels, so a receiver that
/// does not support it must reject the record (RFC 8428, section 4.4). None is supported.
struct MandatoryLabel(Option<String>);

impl<'de> Deserialize<'de> for MandatoryLabel {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct LabelVisitor;
        impl<'de> Visitor<'de> for LabelVisitor {
            type Value = MandatoryLabel;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a SenML record")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MandatoryLabel, A::Error> {
                let mut mandatory = None;
                while let Some((label, _)) = map.next_entry::<Cow<'de, str>, IgnoredAny>()? {
                    if label.ends_with('_') {
                        mandatory = Some(label.into_owned());
                    }
                }
                Ok(MandatoryLabel(mandatory))
            }
        }
        reader.deserialize_map(LabelVisitor)
    }
}

/// Returns the rejection for the first record with a mandatory label, and the number of records of the pack.
fn find_mandatory_label(payload: &[u8]) -> Option<(Rejection, usize)> {
    // Fast path: no string of the pack ends in `_`, neither as a character nor as \u005f.
    if memmem::find(payload, b"_\"").is_none() && memmem::find(payload, b"\\u005").is_none() {
        return None;
    }
    let (position, label) = elements(payload).find_map(|(position, element)| {
        let MandatoryLabel(label) = serde_json::from_slice(element).ok()?;
        Some((position, label?))
    })?;
    let message = format!(
        "record {position} has the label {label:?}, which is not supported and must not be ignored (RFC 8428, section 4.4): send the pack without it"
    );
    Some((Rejection::malformed(message), elements(payload).count()))
}

pub(super) fn decode(payload: &[u8], sensor: Option<&str>, collector: &mut ReadingCollector<'_>) {
    if let Some((rejection, records)) = find_mandatory_label(payload) {
        return collector.reject(0, rejection, payload, records);
    }
    let mut base = BaseFields::default();
    for (position, element) in elements(payload) {
        add_record(element, position, sensor, &mut base, collector);
        if collector.is_event_rejected() {
            return;
        }
    }
}

fn add_record(
    element: &[u8],
    position: usize,
    sensor: Option<&str>,
    base: &mut BaseFields,
    collector: &mut ReadingCollector<'_>,
) {
    let resolved = match resolve_record(element, sensor, base, collector.arrival) {
        Ok(Some(resolved)) => resolved,
        // A record with only base fields.
        Ok(None) => return,
        Err(rejection) => return collector.reject_with(position, rejection, 1, || base.dead_letter(element)),
    };
    let ResolvedRecord { name, time, value } = resolved;
    let time = match time {
        Ok(time) => time,
        Err(rejection) => {
            let rejection = collector.with_sensor(&name, rejection);
            return collector.reject_with(position, rejection, 1, || base.dead_letter(element));
        }
    };
    match value {
        Ok(value) => collector.add_reading(position, &name, time, value),
        Err(NonNumericValue { label, content }) => {
            let rejection =
                Rejection::malformed("the record has text or data; expected a number (v) or a boolean (vb)");
            let rejection = collector.with_sensor(&name, rejection);
            // The dead letter stays SenML: as JSON, a text that looks like a number would be accepted as a number.
            collector.reject_with(position, rejection, 1, || {
                let pack = serde_json::json!([{ "n": name, "t": time::to_seconds(time), label: content }]);
                DeadLetter { payload: pack.to_string().into_bytes(), source: None, format: Some("senml".to_owned()) }
            });
        }
    }
}

/// Text (vs) or data (vd) instead of a number.
struct NonNumericValue {
    label: &'static str,
    content: serde_json::Value,
}

/// A record with the base fields applied.
struct ResolvedRecord {
    name: String,
    time: Result<i64, Rejection>,
    value: Result<f64, NonNumericValue>,
}

/// Parses a record and applies the base fields. Returns None for a record with only base fields.
fn resolve_record(
    element: &[u8],
    sensor: Option<&str>,
    base: &mut BaseFields,
    arrival: i64,
) -> Result<Option<ResolvedRecord>, Rejection> {
    let record: SenmlRecord = serde_json::from_slice(element).map_err(|error| {
        syntax_rejection(&error, element, "a SenML record such as {\"n\":\"sensor\",\"t\":1700000000,\"v\":1.5}")
    })?;
    if let Some(version) = record.bver.filter(|version| *version > SENML_VERSION) {
        return Err(Rejection::malformed(format!(
            "the record has SenML version {version}; at most {SENML_VERSION} is supported"
        )));
    }
    base.name = record.bn.unwrap_or(std::mem::take(&mut base.name));
    base.time = record.bt.unwrap_or(base.time);
    base.value = record.bv.unwrap_or(base.value);
    base.sum = record.bs.unwrap_or(base.sum);
    let value = match (record.v, record.vb, record.s) {
        (Some(value), ..) => Ok(value + base.value),
        (None, Some(value), _) => Ok(f64::from(u8::from(value))),
        (None, None, Some(sum)) => Ok(sum + base.sum),
        _ if record.vs.is_some() => Err(NonNumericValue { label: "vs", content: record.vs.unwrap_or_default() }),
        _ if record.vd.is_some() => Err(NonNumericValue { label: "vd", content: record.vd.unwrap_or_default() }),
        _ if record.n.is_none() => return Ok(None),
        _ => {
            return Err(Rejection::malformed(format!(
                "the record has a name but no value; expected v or vb; got {:?}",
                excerpt(element)
            )));
        }
    };
    let joined = record.n.map_or_else(|| base.name.clone(), |name| format!("{}{name}", base.name));
    let name = match (joined.is_empty(), sensor) {
        (false, _) => joined,
        (true, Some(sensor)) => sensor.to_owned(),
        (true, None) => {
            return Err(Rejection::malformed("neither the record (n, bn) nor the topic mapping names the sensor"));
        }
    };
    let seconds = base.time + record.t.unwrap_or(0.0);
    let time = if seconds.abs() < MAX_RELATIVE_SECONDS {
        time::from_seconds(seconds).and_then(|relative| arrival.checked_add(relative))
    } else {
        time::from_seconds(seconds)
    };
    let time = time.ok_or_else(|| time::invalid_time(seconds.to_string().as_bytes()));
    Ok(Some(ResolvedRecord { name, time, value }))
}
