//! The errors and warnings of `wheeltapper config check` for invalid or harmful configurations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod channels;
mod machine;
mod messages;
mod network;
mod sizes;
mod stages;
mod topics;

fn errors_of(text: &str) -> String {
    match wheeltapper_config::parse(text, "wheeltapper.toml") {
        Ok(_) => "nothing".into(),
        Err(errors) => errors.to_string(),
    }
}

/// Asserts that each text has exactly one error, at this position and with this text in its message or help.
fn assert_single_errors(cases: &[(&str, &str, &str)]) {
    for (text, position, expected) in cases {
        let errors = errors_of(text);
        assert!(errors.contains(&format!("wheeltapper.toml:{position}\n")), "{position} of\n{text}\n{errors}");
        assert!(errors.contains(expected), "{expected} of\n{text}\n{errors}");
        assert!(errors.contains("  help: "), "{text}\n{errors}");
        assert_eq!(errors.matches("error:").count(), 1, "{text}\n{errors}");
    }
}
