//! Decides which dead letters can be replayed.

use wheeltapper_line_api::RejectionReason;
use wheeltapper_store::DeadLetter;

use crate::topics::DeadLetterEvent;

/// Whether a dead letter can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayability {
    /// It is stored completely and unchanged.
    Replayable,
    /// Its payload is truncated or missing: a replay would be rejected for another reason.
    Truncated,
    /// It is not an event with readings.
    NotReadings,
}

impl Replayability {
    /// Classifies a dead letter by its source, reason, format and payload.
    pub(crate) fn of_dead_letter(dead_letter: &DeadLetter) -> Self {
        let encoded =
            dead_letter.format.as_deref().is_some_and(|format| format.starts_with(DeadLetterEvent::ENCODING_PREFIX));
        if dead_letter.source == "planner" {
            Self::NotReadings
        } else if dead_letter.payload.is_empty() || dead_letter.reason == RejectionReason::Oversize.name() || encoded {
            Self::Truncated
        } else {
            Self::Replayable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_dead_letters_are_not_replayed() {
        let dead_letter = |source: &str, reason: &str, payload: &[u8], format: Option<&str>| DeadLetter {
            id: String::new(),
            time: 0,
            source: source.into(),
            reason: reason.into(),
            message: String::new(),
            payload: payload.into(),
            readings: 1,
            sensor: None,
            format: format.map(str::to_owned),
        };
        for (source, reason, payload, format, kept) in [
            ("/api/v1/ingest", "malformed", b"{".as_slice(), Some("application/json"), Replayability::Replayable),
            ("/api/v1/ingest", "oversize", b"{", None, Replayability::Truncated),
            ("/api/v1/ingest", "malformed", b"", None, Replayability::Truncated),
            ("/api/v1/ingest", "malformed", b"no gzip", Some("encoding gzip"), Replayability::Truncated),
            ("planner", "stage-failure", b"{}", None, Replayability::NotReadings),
        ] {
            assert_eq!(
                Replayability::of_dead_letter(&dead_letter(source, reason, payload, format)),
                kept,
                "{source} {reason}"
            );
        }
    }
}
