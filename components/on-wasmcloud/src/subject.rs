//! Parses the subject and the body of a message.

use wheeltapper_line::Topic;

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A device's readings.
    Readings,
    /// A tick.
    Tick,
    /// New events in a queue between two stages.
    Notification(Topic),
}

/// Returns the kind of a message by the first token of its subject: `tick` or a topic of the line. Any other subject
/// is a device's, because devices choose their subjects freely.
pub fn message_kind(subject: &str) -> MessageKind {
    match subject.split('.').next() {
        Some("tick") => MessageKind::Tick,
        first => first.and_then(Topic::from_name).map_or(MessageKind::Readings, MessageKind::Notification),
    }
}

/// Parses the time in a tick's body, in nanoseconds since 1970. Returns `None` for an empty body.
///
/// # Errors
/// A message for the sender if the body is anything else.
pub fn tick_time(body: &[u8]) -> Result<Option<i64>, String> {
    let text = str::from_utf8(body).unwrap_or("\u{fffd}").trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        "the body of the tick is invalid; expected an empty body or a time in nanoseconds since 1970, such as 1767571200000000000".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{MessageKind, Topic, message_kind, tick_time};

    #[test]
    fn the_subject_determines_the_kind_of_a_message() {
        assert_eq!(message_kind("readings.north.pump-1"), MessageKind::Readings);
        assert_eq!(message_kind("spBv1.0.plant"), MessageKind::Readings);
        assert_eq!(message_kind("tick"), MessageKind::Tick);
        assert_eq!(message_kind("tick.minute"), MessageKind::Tick);
        assert_eq!(message_kind("raw-sensor-data.north-pump-1-1f3a9c02"), MessageKind::Notification(Topic::Raw));
        assert_eq!(message_kind("alert-events.plant-0badcafe"), MessageKind::Notification(Topic::Alerts));
    }

    #[test]
    fn a_tick_may_contain_its_time() {
        assert_eq!(tick_time(b""), Ok(None));
        assert_eq!(tick_time(b" 17\n"), Ok(Some(17)));
        assert!(tick_time(b"noon").is_err() && tick_time(&[0xff]).is_err());
    }
}
