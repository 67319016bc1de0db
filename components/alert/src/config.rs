//! Configuration of the stage.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Severity, StageError, open_alert::OpenAlert};

/// When alerts open and close.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Number of anomalous windows that open an alert, 1 to `within`.
    pub open_after: u32,
    /// Number of newest windows of the asset that are considered, 1 to 1,000.
    pub within: u32,
    /// Number of consecutive quiet windows that resolve an alert, 1 to 100,000.
    pub close_after: u32,
    /// A window is quiet when its score is below this share of the newest anomaly's threshold; above 0, at most 1.
    pub close_below: f64,
    /// Seconds of event time after the end of an alert during which the same alert opens again instead of a new one; 0
    /// to 31,622,400 (366 days).
    pub cooldown_seconds: f64,
    /// Milder anomalies open no alert; they only prevent an open one from resolving.
    pub minimum_severity: Severity,
    /// Alerts that are open at the start, by asset. The host sets them when the store is older than the stage, as after
    /// the restore of a backup.
    pub(crate) open: BTreeMap<String, OpenAlert>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            open_after: 2,
            within: 3,
            close_after: 6,
            close_below: 0.9,
            cooldown_seconds: 600.0,
            minimum_severity: Severity::Low,
            open: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Parses a JSON object; an empty string means the defaults.
    ///
    /// # Errors
    /// [`StageError::Config`] that names the key, for an unknown key, a value of the wrong type or a value out of
    /// range.
    pub fn parse(text: &str) -> Result<Self, StageError> {
        let config: Self = if text.trim().is_empty() {
            Self::default()
        } else {
            serde_json::from_str(text)
                .map_err(|error| StageError::Config(format!("expected a JSON object: {error}")))?
        };
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), StageError> {
        let reject = |key: &str, rule: &str, value: &dyn std::fmt::Display| {
            Err(StageError::Config(format!("{key} must be {rule}, but is {value}; change it or leave it out")))
        };
        if !(1..=1_000).contains(&self.within) {
            return reject("within", "1 to 1000 windows", &self.within);
        }
        if !(1..=self.within).contains(&self.open_after) {
            return reject("open_after", &format!("1 to {} windows (`within`)", self.within), &self.open_after);
        }
        if !(1..=100_000).contains(&self.close_after) {
            return reject("close_after", "1 to 100000 windows", &self.close_after);
        }
        if !(self.close_below > 0.0 && self.close_below <= 1.0) {
            return reject("close_below", "above 0 and at most 1", &self.close_below);
        }
        if !(0.0..=31_622_400.0).contains(&self.cooldown_seconds) {
            return reject("cooldown_seconds", "0 to 31622400 (366 days)", &self.cooldown_seconds);
        }
        Ok(())
    }

    /// Returns the cooldown in nanoseconds.
    pub(crate) fn cooldown_nanoseconds(&self) -> i64 {
        // 366 days are 3.2e16 ns, far inside an i64.
        (self.cooldown_seconds * 1e9) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_string_means_the_defaults() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
        assert_eq!(Config::parse(" {} ").unwrap(), Config::default());
    }

    #[test]
    fn every_key_is_read() {
        let config = Config::parse(r#"{"open_after":1,"within":5,"close_after":2,"close_below":0.8,"cooldown_seconds":1.5,"minimum_severity":"high"}"#).unwrap();
        assert_eq!((config.open_after, config.within, config.close_after), (1, 5, 2));
        assert_eq!((config.close_below, config.cooldown_nanoseconds()), (0.8, 1_500_000_000));
        assert_eq!(config.minimum_severity, Severity::High);
    }

    #[test]
    fn errors_name_the_key() {
        for (text, key) in [
            (r#"{"open_afterr":1}"#, "open_afterr"),
            (r#"{"open_after":4}"#, "open_after"),
            (r#"{"open_after":0}"#, "open_after"),
            (r#"{"within":0}"#, "within"),
            (r#"{"within":1001}"#, "within"),
            (r#"{"close_after":0}"#, "close_after"),
            (r#"{"close_below":0}"#, "close_below"),
            (r#"{"close_below":1.1}"#, "close_below"),
            (r#"{"cooldown_seconds":-1}"#, "cooldown_seconds"),
            (r#"{"minimum_severity":"severe"}"#, "severe"),
            (r#"{"open":{"p":{"sensor":"p/a"}}}"#, "missing field `id`"),
        ] {
            let Err(StageError::Config(message)) = Config::parse(text) else { panic!("{text} was accepted") };
            assert!(message.contains(key), "{text}: {message}");
        }
    }
}
