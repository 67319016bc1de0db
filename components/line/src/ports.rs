//! What the line needs of a platform: the trait [`Ports`], which each adapter implements.

use std::fmt;

use wheeltapper_domain::Value;

/// The SQL dialect of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.35 and later.
    Sqlite,
    /// PostgreSQL 12 and later.
    Postgres,
}

impl Dialect {
    /// The column type of bytes.
    pub(crate) const fn blob_type(self) -> &'static str {
        match self {
            Self::Sqlite => "BLOB",
            Self::Postgres => "BYTEA",
        }
    }

    /// The column type of doubles.
    pub(crate) const fn real_type(self) -> &'static str {
        match self {
            Self::Sqlite => "REAL",
            Self::Postgres => "DOUBLE PRECISION",
        }
    }
}

/// The topics between the stages. Each is a subject or channel of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Accepted readings and ticks, for featurize.
    Raw,
    /// Features, for detect.
    Processed,
    /// Scores and anomalies, for alert.
    Anomalies,
    /// Alerts that opened, changed or resolved, for schedule.
    Alerts,
    /// Notifications of new dead letters, keyed by asset or source. No stage reads them; other subscribers may.
    DeadLetters,
}

impl Topic {
    /// All topics, in the order in which a reading passes them.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Processed, Self::Anomalies, Self::Alerts, Self::DeadLetters];

    /// The name of the subject or channel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw-sensor-data",
            Self::Processed => "processed-data",
            Self::Anomalies => "anomaly-events",
            Self::Alerts => "alert-events",
            Self::DeadLetters => "dlq-sensor-data",
        }
    }

    /// Returns the topic of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }
}

/// The error of a port, with the platform's message.
#[derive(Clone, Debug)]
pub struct PortError(pub String);

/// Messages with which SQLite and PostgreSQL reject values for good.
const PERMANENT_ERRORS: [&str; 7] = [
    "too big",
    "datatype mismatch",
    "constraint failed",
    "invalid byte sequence",
    "out of range",
    "violates",
    "program_limit_exceeded",
];
/// Classes of SQLSTATE for the same: data exception, integrity constraint violation, program limit exceeded.
/// Source: PostgreSQL 17, appendix A.
const PERMANENT_ERROR_CLASSES: [&str; 3] = ["22", "23", "54"];

/// The SQLSTATE that an error begins with (`22003: ...`, as wasmCloud's PostgreSQL provider writes it) or names
/// (`SQLSTATE 22003`).
fn sqlstate(message: &str) -> Option<&str> {
    let named = message.split_once("SQLSTATE").map(|(_, rest)| rest.trim_start_matches([' ', ':', '=', '(']));
    let leading = || message.split_once(':').map(|(code, _)| code);
    let code = match named {
        Some(named) => named.get(..5),
        None => leading(),
    }?;
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    is_code.then_some(code)
}

impl PortError {
    /// Returns whether the store rejected the values themselves, so that a retry would fail too. Any other error is
    /// an outage, which passes.
    pub(crate) fn is_permanent(&self) -> bool {
        let is_permanent = |code: &str| PERMANENT_ERROR_CLASSES.iter().any(|class| code.starts_with(class));
        sqlstate(&self.0).is_some_and(is_permanent) || PERMANENT_ERRORS.iter().any(|text| self.0.contains(text))
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for PortError {}

/// The store, the state and the bus of a platform.
#[allow(async_fn_in_trait, reason = "a component has one thread; no future is sent to another")]
pub trait Ports {
    /// The version of a loaded state, which [`Self::swap`] compares.
    type Version;

    /// Returns the SQL dialect of the store.
    fn dialect(&self) -> Dialect;

    /// Runs one statement and returns its rows. Parameters are written `$1`, `$2` and so on, in the order of their
    /// first use. The statement is durable when this returns.
    ///
    /// # Errors
    /// [`PortError`] with the store's message.
    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError>;

    /// Returns the value under `key`, `None` if there is no value, and its version.
    ///
    /// # Errors
    /// [`PortError`] if the state cannot be read.
    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, Self::Version), PortError>;

    /// Writes `body` under `key` if the value still has `version`. Returns false if another instance changed it.
    ///
    /// # Errors
    /// [`PortError`] if the state cannot be written.
    async fn swap(&self, key: &str, version: Self::Version, body: Vec<u8>) -> Result<bool, PortError>;

    /// Publishes on the platform's bus that `topic` has new events for `key`, with `body` as the message. The message
    /// need not be durable: if it is lost, the next message or tick leads to the same work.
    ///
    /// # Errors
    /// [`PortError`] if the bus does not answer.
    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_are_distinguished_from_permanent_errors() {
        let is_permanent = |text: &str| PortError(text.to_owned()).is_permanent();
        for text in [
            "22003: integer out of range",
            "54000: index row requires 8200 bytes",
            "db error: SQLSTATE 23505",
            "SQLSTATE(22P02)",
            "string or blob too big",
        ] {
            assert!(is_permanent(text), "{text}");
        }
        for text in [
            "connection refused: 127.0.0.1:54321",
            "57P01: terminating connection",
            "SQLSTATE 08006",
            "timed out after 22000 ms",
            "22 connections are open: try again",
            "",
        ] {
            assert!(!is_permanent(text), "{text}");
        }
    }
}
