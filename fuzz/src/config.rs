//! `wheeltapper.toml`.

use wheeltapper_alert::Alerter;
use wheeltapper_featurize::Featurizer;
use wheeltapper_ingest::Ingester;
use wheeltapper_schedule::Scheduler;

use crate::bounds;

/// A configuration, or errors that say what to do.
///
/// # Panics
/// When an error says nothing, or a configuration that was taken cannot be told to the stages.
pub fn toml(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match bounds::linear(bytes, |bytes| wheeltapper_config::parse(&String::from_utf8_lossy(bytes), "fuzz.toml")) {
        Ok(config) => {
            for warning in wheeltapper_config::warnings(&config) {
                assert!(!warning.to_string().is_empty());
            }
            // What is taken here must not stop a stage at the start.
            let opened = [
                ("ingest", Ingester::open(&config.ingest_json()).err().map(|error| error.to_string())),
                ("featurize", Featurizer::open(&config.featurize_json()).err().map(|error| error.to_string())),
                ("alert", Alerter::open(&config.alert_json()).err().map(|error| error.to_string())),
                ("schedule", Scheduler::open(&config.schedule_json()).err().map(|error| error.to_string())),
            ];
            for (stage, error) in opened {
                assert_eq!(error, None, "{stage} refuses the configuration");
            }
            // The same text is the same configuration.
            assert_eq!(wheeltapper_config::parse(text, "fuzz.toml").ok(), Some(config));
        }
        Err(errors) => {
            let told = errors.to_string();
            assert!(told.contains("fuzz.toml"), "an error that names no file: {told}");
        }
    }
}
