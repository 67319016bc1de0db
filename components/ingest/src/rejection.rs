//! Why something was refused.

/// The kinds of reason that this stage gives; the contracts' `reason` has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Not of the format it claims.
    Malformed,
    /// Larger than is taken.
    Oversize,
    /// NaN or infinite.
    NonFinite,
    /// Before the earliest time that is taken.
    TooOld,
    /// Later than its arrival by more than is taken.
    InFuture,
    /// Not configured, and unknown sensors are refused.
    UnknownSensor,
    /// Outside what the sensor can read.
    OutOfRange,
}

/// A reason and what to tell the sender: what was expected, what came, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The sensor that it is about, as far as one was named.
    pub sensor: Option<String>,
    /// The kind.
    pub reason: Reason,
    /// The words.
    pub message: String,
}

impl Rejection {
    /// A reason with its words.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { sensor: None, reason, message: message.into() }
    }

    /// What is not of its format.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(Reason::Malformed, message)
    }
}

/// At most the first 60 characters of what came, for a message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(240)).unwrap_or_default());
    let mut short: String = text.chars().take(60).map(|each| if each.is_control() { ' ' } else { each }).collect();
    if text.chars().nth(60).is_some() || bytes.len() > 240 {
        short.push('…');
    }
    short
}
