//! Parameters that several routes share, and their values.

use super::route_info::{Parameter, ParameterKind, ParameterLocation};

pub(super) const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
pub(super) const ALERT_STATES: &[&str] = &["open", "resolved"];
pub(super) const ORDER_STATUSES: &[&str] = &["planned", "unscheduled", "done", "cancelled"];
pub(super) const DRIFT_KINDS: &[&str] = &["drifted", "kept", "switched"];
pub(super) const REASONS: &[&str] = &REASON_NAMES;

const REASON_NAMES: [&str; crate::RejectionReason::ALL.len()] = {
    let mut names = [""; crate::RejectionReason::ALL.len()];
    let mut index = 0;
    // Iterators are not available at compile time.
    while index < names.len() {
        names[index] = crate::RejectionReason::ALL[index].name();
        index += 1;
    }
    names
};

pub(super) const fn query(
    name: &'static str,
    kind: ParameterKind,
    about: &'static str,
    example: &'static str,
) -> Parameter {
    Parameter { name, location: ParameterLocation::Query, kind, description: about, example }
}

pub(super) const fn path(name: &'static str, about: &'static str, example: &'static str) -> Parameter {
    Parameter { name, location: ParameterLocation::Path, kind: ParameterKind::Text, description: about, example }
}

pub(super) const ASSET: Parameter =
    query("asset", ParameterKind::Text, "The name of the machine.", "north/hall-1/pump-1");
pub(super) const SENSOR: Parameter =
    query("sensor", ParameterKind::Text, "The name of the sensor.", "north/hall-1/pump-1/vibration");
pub(super) const FROM: Parameter = query(
    "from",
    ParameterKind::Time,
    "Only rows that end at this time or later: RFC 3339, or nanoseconds since 1970.",
    "2026-01-01T00:00:00Z",
);
pub(super) const TO: Parameter = query(
    "to",
    ParameterKind::Time,
    "Only rows that begin before this time: RFC 3339, or nanoseconds since 1970.",
    "2026-02-01T00:00:00Z",
);
pub(super) const SEVERITY: Parameter = query("severity", ParameterKind::OneOf(SEVERITIES), "The severity.", "high");
pub(super) const LIMIT: Parameter =
    query("limit", ParameterKind::Number(1, crate::Filter::MAX_ROWS, Some(100)), "Maximum number of items.", "20");
pub(super) const CURSOR: Parameter =
    query("cursor", ParameterKind::Cursor, "The start of the page; follow `next` of the previous page.", "00000000");
pub(super) const SENSOR_ID: Parameter = Parameter {
    kind: ParameterKind::SensorName,
    ..path("id", "The sensor's name, with slashes as they are or encoded as %2F.", "north/hall-1/pump-1/vibration")
};
pub(super) const MACHINE_NAME: Parameter = Parameter {
    kind: ParameterKind::SensorName,
    ..path("asset", "The machine's name, with slashes as they are or encoded as %2F.", "north/hall-1/pump-1")
};
pub(super) const ANOMALY_ID: Parameter = path("id", "The anomaly's id.", "00000000000000000000000000000001");
pub(super) const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    location: ParameterLocation::Header,
    kind: ParameterKind::LongText,
    description: "The `ETag` of the item as last read: if the item has changed since, nothing is done (412). Without it, the current item is changed.",
    example: "",
};
pub(super) const LAST_EVENT_ID: Parameter = query(
    "last_event_id",
    ParameterKind::LongText,
    "The id of the last received event, for clients that cannot set the header `Last-Event-ID`.",
    "1767225600000000000",
);
pub(super) const LAST_EVENT_ID_HEADER: Parameter = Parameter {
    name: "Last-Event-ID",
    location: ParameterLocation::Header,
    kind: ParameterKind::LongText,
    description: "The id of the last received event. Without it, the stream starts now.",
    example: "1767225600000000000",
};
