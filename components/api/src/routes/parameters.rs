//! Parameters that several routes share, and their values.

use super::kinds::{Kind, Parameter, Place};

pub(super) const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
pub(super) const STATES: &[&str] = &["open", "resolved"];
pub(super) const STATUSES: &[&str] = &["planned", "unscheduled", "done", "cancelled"];
pub(super) const DRIFTS: &[&str] = &["drifted", "kept", "switched"];
pub(super) const REASONS: &[&str] = &REASON_NAMES;

const REASON_NAMES: [&str; crate::Reason::ALL.len()] = {
    let mut names = [""; crate::Reason::ALL.len()];
    let mut index = 0;
    // Iterators are not available at compile time.
    while index < names.len() {
        names[index] = crate::Reason::ALL[index].name();
        index += 1;
    }
    names
};

pub(super) const fn query(name: &'static str, kind: Kind, about: &'static str, example: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, kind, about, example }
}

pub(super) const fn path(name: &'static str, about: &'static str, example: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, kind: Kind::Text, about, example }
}

pub(super) const ASSET: Parameter = query("asset", Kind::Text, "The name of the machine.", "north/hall-1/pump-1");
pub(super) const SENSOR: Parameter =
    query("sensor", Kind::Text, "The name of the sensor.", "north/hall-1/pump-1/vibration");
pub(super) const FROM: Parameter = query(
    "from",
    Kind::Time,
    "Only rows that end at this time or later: RFC 3339, or nanoseconds since 1970.",
    "2026-01-01T00:00:00Z",
);
pub(super) const TO: Parameter = query(
    "to",
    Kind::Time,
    "Only rows that begin before this time: RFC 3339, or nanoseconds since 1970.",
    "2026-02-01T00:00:00Z",
);
pub(super) const SEVERITY: Parameter = query("severity", Kind::OneOf(SEVERITIES), "The severity.", "high");
pub(super) const LIMIT: Parameter =
    query("limit", Kind::Number(1, crate::Filter::MOST, Some(100)), "Maximum number of items.", "20");
pub(super) const CURSOR: Parameter =
    query("cursor", Kind::Cursor, "The start of the page; follow `next` of the previous page.", "00000000");
pub(super) const SENSOR_ID: Parameter = Parameter {
    kind: Kind::Sensor,
    ..path("id", "The sensor's name, with slashes as they are or encoded as %2F.", "north/hall-1/pump-1/vibration")
};
pub(super) const ANOMALY_ID: Parameter = path("id", "The anomaly's id.", "00000000000000000000000000000001");
pub(super) const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    place: Place::Header,
    kind: Kind::Long,
    about: "The `ETag` of the item as last read: if the item has changed since, nothing is done (412). Without it, the current item is changed.",
    example: "",
};
pub(super) const EVENT: Parameter = query(
    "last_event_id",
    Kind::Long,
    "The id of the last received event, for clients that cannot set the header `Last-Event-ID`.",
    "1767225600000000000",
);
pub(super) const EVENT_HEADER: Parameter = Parameter {
    name: "Last-Event-ID",
    place: Place::Header,
    kind: Kind::Long,
    about: "The id of the last received event. Without it, the stream starts now.",
    example: "1767225600000000000",
};
