//! `wheeltapper.toml`.

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
            for sensor in config.sensors() {
                let _ = sensor;
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
