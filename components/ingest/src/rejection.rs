//! The reason why something was rejected.

/// The reasons that this stage gives. The WIT enum `reason` has more, for other stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not valid in its format, or of an unknown format.
    Malformed,
    /// Larger than a limit.
    Oversize,
    /// NaN or infinite.
    NonFinite,
    /// Before the configured earliest time.
    TooOld,
    /// Later than its arrival by more than the configured maximum.
    InFuture,
    /// The sensor is not configured, and unknown sensors are rejected.
    UnknownSensor,
    /// Outside the configured range of the sensor.
    OutOfRange,
}

/// A reason, with a message for the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The sensor that is rejected, if it is known.
    pub sensor: Option<String>,
    /// The reason as a code.
    pub reason: Reason,
    /// What was expected, what was received, and what to do.
    pub message: String,
}

impl Rejection {
    /// Creates a rejection without a sensor.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { sensor: None, reason, message: message.into() }
    }

    /// Creates a rejection with [`Reason::Malformed`] and without a sensor.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, message)
    }
}

/// Returns at most the first 60 characters of the input, for a message. Control characters become spaces.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(240)).unwrap_or_default());
    let mut short: String = text.chars().take(60).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(60).is_some() || bytes.len() > 240 {
        short.push('…');
    }
    short
}
