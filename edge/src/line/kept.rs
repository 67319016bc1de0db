//! Decides which dead letters can be replayed.

use wheeltapper_front::Reason;
use wheeltapper_store::DeadLetter;

use super::DeadLetterEvent;

/// Whether a dead letter can be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is stored completely and unchanged.
    Whole,
    /// Its payload is truncated or missing: a replay would be rejected for another reason.
    Part,
    /// It is not an event with readings.
    Other,
}

impl Kept {
    /// Classifies a dead letter by its source, reason, format and payload.
    pub(crate) fn of(letter: &DeadLetter) -> Self {
        let encoded = letter.format.as_deref().is_some_and(|format| format.starts_with(DeadLetterEvent::ENCODED));
        if letter.source == "planner" {
            Self::Other
        } else if letter.payload.is_empty() || letter.reason == Reason::Oversize.name() || encoded {
            Self::Part
        } else {
            Self::Whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_not_sent_again() {
        let letter = |source: &str, reason: &str, payload: &[u8], format: Option<&str>| DeadLetter {
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
            ("/api/v1/ingest", "malformed", b"{".as_slice(), Some("application/json"), Kept::Whole),
            ("/api/v1/ingest", "oversize", b"{", None, Kept::Part),
            ("/api/v1/ingest", "malformed", b"", None, Kept::Part),
            ("/api/v1/ingest", "malformed", b"no gzip", Some("encoding gzip"), Kept::Part),
            ("planner", "stage-failure", b"{}", None, Kept::Other),
        ] {
            assert_eq!(Kept::of(&letter(source, reason, payload, format)), kept, "{source} {reason}");
        }
    }
}
