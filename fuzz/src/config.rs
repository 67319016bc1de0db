//! `wheeltapper.toml`.

use wheeltapper_alert::Alerter;
use wheeltapper_featurize::Featurizer;
use wheeltapper_ingest::Ingester;
use wheeltapper_schedule::Scheduler;

use crate::bounds;

/// Parses a configuration.
///
/// # Panics
/// If an error does not name the file, or a stage rejects an accepted configuration.
pub fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match bounds::linear(bytes, |bytes| wheeltapper_config::parse(&String::from_utf8_lossy(bytes), "fuzz.toml")) {
        Ok(config) => {
            for warning in wheeltapper_config::warnings(&config) {
                assert!(!warning.to_string().is_empty());
            }
            // An accepted configuration must not prevent a stage from starting.
            let errors = [
                ("ingest", Ingester::open(&config.ingest_json()).err().map(|error| error.to_string())),
                ("featurize", Featurizer::open(&config.featurize_json()).err().map(|error| error.to_string())),
                ("alert", Alerter::open(&config.alert_json()).err().map(|error| error.to_string())),
                ("schedule", Scheduler::open(&config.schedule_json()).err().map(|error| error.to_string())),
            ];
            for (stage, error) in errors {
                assert_eq!(error, None, "{stage} rejects the configuration");
            }
            // The same text gives the same configuration.
            assert_eq!(wheeltapper_config::parse(text, "fuzz.toml").ok(), Some(config));
        }
        Err(errors) => {
            let message = errors.to_string();
            assert!(message.contains("fuzz.toml"), "the error does not name the file: {message}");
        }
    }
}
