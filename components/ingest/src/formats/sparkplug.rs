//! Eclipse Sparkplug B 3.0: births declare the metrics and their aliases, data messages use the aliases until a death.
//!
//! The sensor id of a metric is `group/node/metric`, or `group/node/device/metric`. Text and data metrics, `bdSeq` and
//! the `Node Control` and `Device Control` metrics are not readings and are ignored.

use prost::Message as _;

use super::aliases::{Alias, Aliases};
use crate::{
    collector::ReadingCollector,
    dead_letters::DeadLetter,
    rejection::{Reason, Rejection},
    time,
};

/// Limit for the number of metrics of a payload.
const MAX_METRICS: usize = 100_000;
/// Prefix of Sparkplug topics.
pub(super) const TOPIC_PREFIX: &str = "spBv1.0/";
/// Nanoseconds per millisecond. Sparkplug times are milliseconds since 1970.
const NANOS_PER_MILLI: i64 = 1_000_000;
/// Name of the metric that a node's birth and its death share the value of.
pub(super) const BD_SEQ: &str = "bdSeq";

/// The fields of a Sparkplug payload that are needed for readings, numbered as in the protobuf schema of the
/// specification.
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
    /// Returns the value if it is an integer.
    pub(super) fn as_integer(&self) -> Option<u64> {
        match *self.value.as_ref()? {
            Value::Int(value) => Some(value.into()),
            Value::Long(value) => Some(value),
            _ => None,
        }
    }
}

/// Sparkplug's signed data types, Int8 to Int64.
const SIGNED_DATATYPES: std::ops::RangeInclusive<u32> = 1..=4;

impl Value {
    /// Returns the value if it is a number. `datatype` says whether an integer is signed.
    #[allow(clippy::cast_precision_loss, reason = "readings are doubles")]
    fn as_f64(&self, datatype: u32) -> Option<f64> {
        Some(match *self {
            Self::Int(value) if SIGNED_DATATYPES.contains(&datatype) => f64::from(value.cast_signed()),
            Self::Int(value) => f64::from(value),
            Self::Long(value) if SIGNED_DATATYPES.contains(&datatype) => value.cast_signed() as f64,
            Self::Long(value) => value as f64,
            Self::Float(value) => f64::from(value),
            Self::Double(value) => value,
            Self::Boolean(value) => f64::from(u8::from(value)),
            Self::Text(_) | Self::Bytes(_) => return None,
        })
    }
}

pub(super) fn decode(topic: &str, payload: &[u8], aliases: &mut Aliases, collector: &mut ReadingCollector<'_>) {
    if let Err(rejection) = decode_message(topic, payload, aliases, collector) {
        collector.reject(0, rejection, payload, 1);
    }
}

fn decode_message(
    topic: &str,
    payload: &[u8],
    aliases: &mut Aliases,
    collector: &mut ReadingCollector<'_>,
) -> Result<(), Rejection> {
    let mut levels = topic.strip_prefix(TOPIC_PREFIX).unwrap_or_default().split('/');
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
        if let Some(metrics) = count_metrics(payload).filter(|&metrics| metrics > MAX_METRICS) {
            let message = format!("expected at most {MAX_METRICS} metrics; got {metrics}: send several payloads");
            return Err(Rejection::new(Reason::Oversize, message));
        }
        Payload::decode(payload)
            .map_err(|error| Rejection::malformed(format!("expected a Sparkplug B payload (protobuf): {error}")))
    };
    let message = match (kind, device) {
        // Commands go to the nodes and contain no readings.
        ("NCMD" | "DCMD", _) => return Ok(()),
        // Deaths contain no readings.
        ("NDEATH", None) => {
            aliases.apply_node_death(&node, &message()?.metrics);
            return Ok(());
        }
        ("DDEATH", Some(device)) => {
            aliases.apply_device_death(&node, device);
            return Ok(());
        }
        ("NBIRTH", None) | ("DBIRTH", Some(_)) => {
            let message = message()?;
            // Checked before the birth is applied, because a rejected event must not change the aliases.
            collector.check_sensor_count(message.metrics.len().saturating_sub(collector.rules.sensors.len()))?;
            aliases.apply_birth(&node, device, &message.metrics)?;
            message
        }
        ("NDATA", None) | ("DDATA", Some(_)) => message()?,
        _ => return Err(expected()),
    };
    let arrival = collector.arrival;
    // The dead letter of a metric of a birth is sent as data: a birth with this metric alone would remove the other
    // aliases.
    let source = match device {
        Some(device) => format!("{TOPIC_PREFIX}{group}/DDATA/{node_id}/{device}"),
        None => format!("{TOPIC_PREFIX}{group}/NDATA/{node_id}"),
    };
    for (position, metric) in (1..).zip(&message.metrics) {
        let known = metric.alias.and_then(|alias| aliases.resolve(&node, alias));
        match resolve_metric(metric, &message, &node, device, known, arrival) {
            Ok(None) => {}
            Ok(Some(ResolvedMetric { sensor, time: Ok(time), value })) => {
                collector.add_reading(position, &sensor, time, value)
            }
            Ok(Some(ResolvedMetric { sensor, time: Err(rejection), .. })) => {
                let rejection = collector.with_sensor(&sensor, rejection);
                collector.reject_with(position, rejection, 1, || dead_letter(metric, &message, arrival, &source));
            }
            Err(rejection) => {
                collector.reject_with(position, rejection, 1, || dead_letter(metric, &message, arrival, &source))
            }
        }
        if collector.is_event_rejected() {
            break;
        }
    }
    Ok(())
}

/// Counts the metrics of a payload without decoding them, because decoded they take many times more memory. Returns
/// None if the bytes are not a payload.
fn count_metrics(payload: &[u8]) -> Option<usize> {
    let (mut rest, mut count) = (payload, 0);
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        let length = match key & 7 {
            0 => read_varint(&mut rest).map(|_| 0)?,
            1 => 8,
            2 => usize::try_from(read_varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        rest = rest.get(length..)?;
        count += usize::from(key == (2 << 3 | 2));
    }
    Some(count)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
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

/// Returns the dead letter of a metric: a payload with this metric alone, for the data topic `source`.
fn dead_letter(metric: &Metric, message: &Payload, arrival: i64, source: &str) -> DeadLetter {
    let arrival_ms = || u64::try_from(arrival / NANOS_PER_MILLI).ok();
    let single = Payload { timestamp: message.timestamp.or_else(arrival_ms), metrics: vec![metric.clone()] };
    DeadLetter {
        payload: single.encode_to_vec(),
        source: Some(source.to_owned()),
        format: Some("sparkplug".to_owned()),
    }
}

/// A metric that is a reading.
struct ResolvedMetric {
    sensor: String,
    time: Result<i64, Rejection>,
    value: f64,
}

/// Resolves the name and the time of a metric. Returns None for a valid metric that is not a reading.
fn resolve_metric(
    metric: &Metric,
    message: &Payload,
    node: &str,
    device: Option<&str>,
    known: Option<&Alias>,
    arrival: i64,
) -> Result<Option<ResolvedMetric>, Rejection> {
    let alias = known.filter(|alias| alias.device.as_deref() == device);
    let name = match (&metric.name, alias) {
        (Some(name), _) => name,
        (None, Some(alias)) => &alias.metric,
        (None, None) => return Err(unresolved_alias(metric.alias, known, node, device)),
    };
    if name == BD_SEQ
        || name.starts_with("Node Control/")
        || name.starts_with("Device Control/")
        || metric.is_null == Some(true)
    {
        return Ok(None);
    }
    let datatype = metric.datatype.or_else(|| alias.map(|alias| alias.datatype)).unwrap_or(0);
    let Some(value) = metric.value.as_ref().and_then(|value| value.as_f64(datatype)) else { return Ok(None) };
    let sensor = match device {
        Some(device) => format!("{node}/{device}/{name}"),
        None => format!("{node}/{name}"),
    };
    let time = match metric.timestamp.or(message.timestamp) {
        None => Ok(arrival),
        Some(timestamp) => i64::try_from(timestamp)
            .ok()
            .and_then(|timestamp| timestamp.checked_mul(NANOS_PER_MILLI))
            .ok_or_else(|| time::invalid_time(timestamp.to_string().as_bytes())),
    };
    Ok(Some(ResolvedMetric { sensor, time, value }))
}

/// Returns the rejection for a metric that has no name and whose alias does not resolve.
fn unresolved_alias(alias: Option<u64>, known: Option<&Alias>, node: &str, device: Option<&str>) -> Rejection {
    let owner = |device: Option<&str>| device.map_or("the node".to_owned(), |device| format!("device {device}"));
    Rejection::malformed(match (alias, known) {
        (None, _) => "the metric has neither a name nor an alias".to_owned(),
        (Some(alias), None) => format!(
            "alias {alias} of {node} is not known: its birth has not been seen; ask the node for a rebirth (NCMD Node Control/Rebirth)"
        ),
        (Some(alias), Some(known)) => format!(
            "alias {alias} of {node} was declared by {}, but is used by {}; ask the node for a rebirth (NCMD Node Control/Rebirth)",
            owner(known.device.as_deref()),
            owner(device)
        ),
    })
}
