//! Alerts that are to be sent, and the notifications that people and programs get.
//!
//! An [`AlertMessage`] is what waits for a channel. A [`Notification`] is the same in words: subject, facts, sections and
//! a link, without markup. Each channel renders a notification in its own form. One message becomes one notification, or
//! many messages become one summary ([`crate::outbox`]).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::local_time;

/// Severity of an alert, from the lowest to the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A deviation without urgency.
    Low,
    /// To be planned.
    Medium,
    /// To be repaired soon.
    High,
    /// To be acted on now.
    Critical,
}

impl Severity {
    /// All severities, from the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns the name in lower case, as in the configuration and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns the severity with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It opened, or opened again.
    Opened,
    /// Its severity changed.
    Raised,
    /// It resolved.
    Resolved,
    /// Several alerts changed, and one message summarises them.
    Summary,
    /// Nothing: a person tests the channel.
    Test,
}

impl Event {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Raised => "raised",
            Self::Resolved => "resolved",
            Self::Summary => "summary",
            Self::Test => "test",
        }
    }
}

/// One change of one alert, to be sent. Times are in nanoseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertMessage {
    /// The same text for each attempt, so that a receiver recognises a repetition.
    pub key: String,
    /// Name of the route that selected the alert.
    pub route: String,
    /// What happened.
    pub event: Event,
    /// Id of the alert.
    pub alert: String,
    /// Machine, such as `plant/hall-1/pump-7`.
    pub asset: String,
    /// Severity after the change.
    pub severity: Severity,
    /// A title of one line.
    pub title: String,
    /// The reason, with numbers and units.
    pub message: String,
    /// The recommended first action.
    pub recommendation: String,
    /// The likely fault, such as `imbalance`.
    pub fault_mode: Option<String>,
    /// Id of the newest anomaly; empty if there is none.
    pub anomaly: String,
    /// When the alert opened.
    pub opened: i64,
    /// When the change happened.
    pub updated: i64,
    /// The alert as the API returns it.
    pub row: Value,
}

/// A fact with a label, such as `Machine` and `plant/hall-1/pump-7`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The label.
    pub label: &'static str,
    /// The value.
    pub value: String,
}

/// A paragraph with a heading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The heading.
    pub heading: &'static str,
    /// The text; lines are separated by `\n`.
    pub text: String,
}

/// A notification in words, without markup and without limits of length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notification {
    /// The same text for each attempt.
    pub key: String,
    /// Notifications of one alert have the same thread: its id.
    pub thread: String,
    /// Name of the route.
    pub route: String,
    /// What happened.
    pub event: Event,
    /// Severity.
    pub severity: Severity,
    /// Machine, or the sites of a summary.
    pub asset: String,
    /// A subject of one line.
    pub subject: String,
    /// Facts.
    pub facts: Vec<Fact>,
    /// Paragraphs.
    pub sections: Vec<Section>,
    /// Link to the dashboard.
    pub link: Option<String>,
    /// When it happened, in nanoseconds since 1970.
    pub time: i64,
    /// The likely fault.
    pub fault_mode: Option<String>,
    /// The alert as the API returns it; the counts of a summary.
    pub alert: Value,
}

/// How times and links are written.
#[derive(Clone, Debug)]
pub struct Wording {
    /// Address of the dashboard, without a slash at the end.
    pub url: Option<String>,
    /// Time zone of the readers.
    pub zone: jiff::tz::TimeZone,
}

impl Default for Wording {
    fn default() -> Self {
        Self { url: None, zone: jiff::tz::TimeZone::UTC }
    }
}

impl Wording {
    /// Returns the link to a page of the dashboard.
    pub(crate) fn link(&self, page: &str, id: &str) -> Option<String> {
        let url = self.url.as_deref()?.trim_end_matches('/');
        if id.is_empty() {
            return Some(format!("{url}/#/{page}"));
        }
        Some(format!("{url}/#/{page}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)))
    }

    /// Writes a message in words.
    pub fn notification(&self, message: &AlertMessage) -> Notification {
        let prefix = match message.event {
            Event::Opened | Event::Summary => "Alert".to_owned(),
            Event::Raised => format!("Now {}", message.severity.name()),
            Event::Resolved => "Resolved".to_owned(),
            Event::Test => "Test".to_owned(),
        };
        let mut facts = vec![
            Fact { label: "Machine", value: message.asset.clone() },
            Fact { label: "Severity", value: message.severity.name().to_owned() },
        ];
        if let Some(fault) = &message.fault_mode {
            facts.push(Fact { label: "Likely fault", value: fault.replace('-', " ") });
        }
        facts.push(Fact { label: "Since", value: local_time(message.opened, &self.zone) });
        if message.event == Event::Resolved {
            facts.push(Fact { label: "Resolved", value: local_time(message.updated, &self.zone) });
        }
        let section = |heading, text: &str| Section { heading, text: text.trim().to_owned() };
        let sections = [section("Why", &message.message), section("What to do", &message.recommendation)];
        let (page, id) =
            if message.anomaly.is_empty() { ("machine", &message.asset) } else { ("anomaly", &message.anomaly) };
        Notification {
            key: message.key.clone(),
            thread: message.alert.clone(),
            route: message.route.clone(),
            event: message.event,
            severity: message.severity,
            asset: message.asset.clone(),
            subject: crate::text::one_line(&format!("{prefix}: {}", message.title)),
            facts,
            sections: sections.into_iter().filter(|section| !section.text.is_empty()).collect(),
            link: self.link(page, id),
            time: message.updated,
            fault_mode: message.fault_mode.clone(),
            alert: message.row.clone(),
        }
    }
}

impl Notification {
    /// Returns a notification that tests a channel. `now` is in nanoseconds since 1970.
    pub fn test(wording: &Wording, channel: &str, now: i64) -> Self {
        let text = format!(
            "This message was sent by `wheeltapper alert test {channel}`. The channel works if you can read it. Nothing \
             is wrong with a machine."
        );
        Self {
            key: format!("test-{channel}-{now}"),
            thread: format!("test-{channel}-{now}"),
            route: "test".into(),
            event: Event::Test,
            severity: Severity::Low,
            asset: "test".into(),
            subject: format!("Test of the channel {}", crate::text::one_line(channel)),
            facts: vec![Fact { label: "Sent", value: local_time(now, &wording.zone) }],
            sections: vec![Section { heading: "What this is", text }],
            link: wording.link("fleet", ""),
            time: now,
            fault_mode: None,
            alert: Value::Null,
        }
    }

    /// Returns the text of the sections as one sentence or more, for channels with one text field.
    pub(crate) fn body(&self) -> String {
        self.sections.iter().map(|section| section.text.as_str()).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    pub(crate) fn message(id: &str, event: Event, severity: Severity) -> AlertMessage {
        AlertMessage {
            key: format!("{id}-1767600110000000000-{}", event.name()),
            route: "ops".into(),
            event,
            alert: id.into(),
            asset: "north/hall-1/pump-7".into(),
            severity,
            title: format!("pump-7: likely overheating ({})", severity.name()),
            message: "temperature mean is 60.22 degC, normally 50.00 degC (points to overheating)".into(),
            recommendation: "Check cooling, ventilation and load.".into(),
            fault_mode: Some("overheating".into()),
            anomaly: "4c7b2a7a0143ae81b0ad6bf71515bd5f".into(),
            opened: 1_767_600_100_000_000_000,
            updated: 1_767_600_110_000_000_000,
            row: serde_json::json!({ "id": id, "asset": "north/hall-1/pump-7" }),
        }
    }

    #[test]
    fn a_message_is_written_with_local_times_and_a_link() {
        let zone = jiff::tz::TimeZone::get("Europe/Amsterdam").unwrap();
        let wording = Wording { url: Some("https://plant.example/".into()), zone };
        let opened = wording.notification(&message("1", Event::Opened, Severity::Critical));
        assert_eq!(opened.subject, "Alert: pump-7: likely overheating (critical)");
        let since = opened.facts.iter().find(|fact| fact.label == "Since").unwrap();
        assert_eq!(since.value, "2026-01-05 09:01:40 CET");
        assert_eq!(opened.link.as_deref(), Some("https://plant.example/#/anomaly/4c7b2a7a0143ae81b0ad6bf71515bd5f"));
        let strange = AlertMessage {
            anomaly: String::new(),
            asset: "a/b \"c\">".into(),
            ..message("1", Event::Raised, Severity::High)
        };
        let raised = wording.notification(&strange);
        assert_eq!(raised.link.as_deref(), Some("https://plant.example/#/machine/a%2Fb%20%22c%22%3E"));
        assert_eq!(raised.subject, "Now high: pump-7: likely overheating (high)");
    }

    #[test]
    fn a_line_break_in_a_title_does_not_reach_the_subject() {
        let broken = AlertMessage { title: "pump\r\nBcc: x@y".into(), ..message("1", Event::Opened, Severity::Low) };
        assert_eq!(Wording::default().notification(&broken).subject, "Alert: pump Bcc: x@y");
    }
}
