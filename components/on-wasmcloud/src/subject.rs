//! What a message's subject asks for.

use wheeltapper_line::Topic;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device's readings.
    Readings,
    /// Time passes.
    Tick,
    /// There is something new between two stages.
    Nudge(Topic),
}

/// By the first word of a subject: `tick` and the topics of the line have their own, everything else is of devices, which
/// name their subjects as they like.
pub fn kind(subject: &str) -> Kind {
    match subject.split('.').next() {
        Some("tick") => Kind::Tick,
        first => first.and_then(Topic::named).map_or(Kind::Readings, Kind::Nudge),
    }
}

/// The time in a tick's body, in nanoseconds since 1970; none in an empty one.
///
/// # Errors
/// In words, when there is something else.
pub fn time(body: &[u8]) -> Result<Option<i64>, String> {
    let text = str::from_utf8(body).unwrap_or("\u{fffd}").trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        "a tick's body has to be empty, or a time in nanoseconds since 1970, such as 1767571200000000000".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, Topic, kind, time};

    #[test]
    fn subjects_tell_what_a_message_is() {
        assert_eq!(kind("readings.north.pump-1"), Kind::Readings);
        assert_eq!(kind("spBv1.0.plant"), Kind::Readings);
        assert_eq!(kind("tick"), Kind::Tick);
        assert_eq!(kind("tick.minute"), Kind::Tick);
        assert_eq!(kind("raw-sensor-data.north-pump-1-1f3a9c02"), Kind::Nudge(Topic::Raw));
        assert_eq!(kind("alert-events.plant-0badcafe"), Kind::Nudge(Topic::Alerts));
    }

    #[test]
    fn a_tick_may_bring_its_time() {
        assert_eq!(time(b""), Ok(None));
        assert_eq!(time(b" 17\n"), Ok(Some(17)));
        assert!(time(b"noon").is_err() && time(&[0xff]).is_err());
    }
}
