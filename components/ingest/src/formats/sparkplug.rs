//! Eclipse Sparkplug B 3.0: births name the metrics and give them aliases, data speaks by alias until a death.
//!
//! A metric's sensor id is `group/node/metric`, or `group/node/device/metric`. Text and data metrics, `bdSeq` and the
//! `Node Control` and `Device Control` metrics are no readings and are passed over.

use prost::Message as _;

use super::aliases::{Alias, Aliases};
use crate::{
    intake::Intake,
    letters::Letter,
    rejection::{Reason, Rejection},
    time,
};

/// Metrics of a payload.
const MOST_METRICS: usize = 100_000;
/// What Sparkplug topics start with.
pub(super) const TOPICS: &str = "spBv1.0/";
/// Nanoseconds in one; Sparkplug's times are milliseconds since 1970.
const MILLISECOND: i64 = 1_000_000;
/// The metric of a node's births and deaths that says which of them belong together.
pub(super) const BIRTH_NUMBER: &str = "bdSeq";

/// The parts of Sparkplug's payload that hold readings; field numbers as in the specification's protobuf schema.
#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(uint64, optional, tag = "1")]
    timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metric {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) alias: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    timestamp: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(super) datatype: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    is_null: Option<bool>,
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15, 16")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(uint32, tag = "10")]
    Int(u32),
    #[prost(uint64, tag = "11")]
    Long(u64),
    #[prost(float, tag = "12")]
    Float(f32),
    #[prost(double, tag = "13")]
    Double(f64),
    #[prost(bool, tag = "14")]
    Boolean(bool),
    #[prost(string, tag = "15")]
    Text(String),
    #[prost(bytes, tag = "16")]
    Bytes(Vec<u8>),
}

impl Metric {
    /// The whole number that it holds, if it holds one.
    pub(super) fn integer(&self) -> Option<u64> {
        match *self.value.as_ref()? {
            Value::Int(value) => Some(value.into()),
            Value::Long(value) => Some(value),
            _ => None,
        }
    }
}

/// Sparkplug's signed data types, Int8 to Int64.
const SIGNED: std::ops::RangeInclusive<u32> = 1..=4;

impl Value {
    /// The number that it is, if it is one; `datatype` says whether an integer is signed.
    #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
    fn number(&self, datatype: u32) -> Option<f64> {
        Some(match *self {
            Self::Int(value) if SIGNED.contains(&datatype) => f64::from(value.cast_signed()),
            Self::Int(value) => f64::from(value),
            Self::Long(value) if SIGNED.contains(&datatype) => value.cast_signed() as f64,
            Self::Long(value) => value as f64,
            Self::Float(value) => f64::from(value),
            Self::Double(value) => value,
            Self::Boolean(value) => f64::from(u8::from(value)),
            Self::Text(_) | Self::Bytes(_) => return None,
        })
    }
}

pub(super) fn decode(topic: &str, payload: &[u8], aliases: &mut Aliases, intake: &mut Intake<'_>) {
    if let Err(rejection) = take(topic, payload, aliases, intake) {
        intake.refuse(0, rejection, payload, 1);
    }
}

fn take(topic: &str, payload: &[u8], aliases: &mut Aliases, intake: &mut Intake<'_>) -> Result<(), Rejection> {
    let mut levels = topic.strip_prefix(TOPICS).unwrap_or_default().split('/');
    let (group, kind, node, device) = (levels.next(), levels.next(), levels.next(), levels.next());
    let expected = || {
        Rejection::malformed(format!(
            "expected a topic such as spBv1.0/group/NDATA/node or spBv1.0/group/DDATA/node/device; got {topic:?}"
        ))
    };
    if group == Some("STATE") {
        return Ok(());
    }
    let (Some(group), Some(kind), Some(node), None) = (group, kind, node, levels.next()) else {
        return Err(expected());
    };
    let (node_id, node) = (node, format!("{group}/{node}"));
    let message = || {
        if let Some(metrics) = metrics(payload).filter(|&metrics| metrics > MOST_METRICS) {
            let message = format!("the payload has {metrics} metrics, at most {MOST_METRICS} are read; send several");
            return Err(Rejection::new(Reason::Oversize, message));
        }
        Payload::decode(payload)
            .map_err(|error| Rejection::malformed(format!("expected a Sparkplug B payload (protobuf): {error}")))
    };
    let message = match (kind, device) {
        // Commands go the other way.
        ("NCMD" | "DCMD", _) => return Ok(()),
        // Deaths bear no readings.
        ("NDEATH", None) => {
            aliases.node_death(&node, &message()?.metrics);
            return Ok(());
        }
        ("DDEATH", Some(device)) => {
            aliases.device_death(&node, device);
            return Ok(());
        }
        ("NBIRTH", None) | ("DBIRTH", Some(_)) => {
            let message = message()?;
            // Before the birth counts: an event that is refused changes nothing.
            intake.admit_sensors(message.metrics.len().saturating_sub(intake.rules.sensors.len()))?;
            aliases.birth(&node, device, &message.metrics)?;
            message
        }
        ("NDATA", None) | ("DDATA", Some(_)) => message()?,
        _ => return Err(expected()),
    };
    let arrival = intake.arrival;
    // A part of a birth alone would end what the rest of it said; as data it only speaks for itself.
    let source = match device {
        Some(device) => format!("{TOPICS}{group}/DDATA/{node_id}/{device}"),
        None => format!("{TOPICS}{group}/NDATA/{node_id}"),
    };
    for (position, metric) in (1..).zip(&message.metrics) {
        let known = metric.alias.and_then(|alias| aliases.find(&node, alias));
        match resolve(metric, &message, &node, device, known, arrival) {
            Ok(None) => {}
            Ok(Some(Resolved { sensor, at: Ok(at), value })) => intake.take(position, &sensor, at, value),
            Ok(Some(Resolved { sensor, at: Err(rejection), .. })) => {
                let rejection = intake.about(&sensor, rejection);
                intake.refuse_as(position, rejection, 1, || letter(metric, &message, arrival, &source));
            }
            Err(rejection) => intake.refuse_as(position, rejection, 1, || letter(metric, &message, arrival, &source)),
        }
        if intake.is_full() {
            break;
        }
    }
    Ok(())
}

/// How many metrics a payload has, as they take many times more room decoded; none where it is no payload.
fn metrics(payload: &[u8]) -> Option<usize> {
    let (mut rest, mut count) = (payload, 0);
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let length = match key & 7 {
            0 => varint(&mut rest).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
        count += usize::from(key == (2 << 3 | 2));
    }
    Some(count)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// A payload of this metric alone, for a topic of data.
fn letter(metric: &Metric, message: &Payload, arrival: i64, source: &str) -> Letter {
    let arrived = || u64::try_from(arrival / MILLISECOND).ok();
    let alone = Payload { timestamp: message.timestamp.or_else(arrived), metrics: vec![metric.clone()] };
    Letter { payload: alone.encode_to_vec(), source: Some(source.to_owned()), format: Some("sparkplug".to_owned()) }
}

/// A metric that is a reading.
struct Resolved {
    sensor: String,
    at: Result<i64, Rejection>,
    value: f64,
}

/// None where the metric is no reading and nothing is wrong with that.
fn resolve(
    metric: &Metric,
    message: &Payload,
    node: &str,
    device: Option<&str>,
    known: Option<&Alias>,
    arrival: i64,
) -> Result<Option<Resolved>, Rejection> {
    let alias = known.filter(|alias| alias.device.as_deref() == device);
    let name = match (&metric.name, alias) {
        (Some(name), _) => name,
        (None, Some(alias)) => &alias.metric,
        (None, None) => return Err(nameless(metric.alias, known, node, device)),
    };
    if name == BIRTH_NUMBER
        || name.starts_with("Node Control/")
        || name.starts_with("Device Control/")
        || metric.is_null == Some(true)
    {
        return Ok(None);
    }
    let datatype = metric.datatype.or_else(|| alias.map(|alias| alias.datatype)).unwrap_or(0);
    let Some(value) = metric.value.as_ref().and_then(|value| value.number(datatype)) else { return Ok(None) };
    let sensor = match device {
        Some(device) => format!("{node}/{device}/{name}"),
        None => format!("{node}/{name}"),
    };
    let at = match metric.timestamp.or(message.timestamp) {
        None => Ok(arrival),
        Some(stamp) => i64::try_from(stamp)
            .ok()
            .and_then(|stamp| stamp.checked_mul(MILLISECOND))
            .ok_or_else(|| time::no_time(stamp.to_string().as_bytes())),
    };
    Ok(Some(Resolved { sensor, at, value }))
}

/// Why a metric without a name cannot be told.
fn nameless(alias: Option<u64>, known: Option<&Alias>, node: &str, device: Option<&str>) -> Rejection {
    let whose = |device: Option<&str>| device.map_or("the node".to_owned(), |device| format!("device {device}"));
    Rejection::malformed(match (alias, known) {
        (None, _) => "the metric has neither a name nor an alias".to_owned(),
        (Some(alias), None) => format!(
            "alias {alias} of {node} is not known: its birth has not been seen; ask the node for a rebirth (NCMD Node Control/Rebirth)"
        ),
        (Some(alias), Some(known)) => format!(
            "alias {alias} of {node} was born by {}, not by {}, which uses it; ask the node for a rebirth (NCMD Node Control/Rebirth)",
            whose(known.device.as_deref()),
            whose(device)
        ),
    })
}
