//! What `wheeltapper config check` tells of configurations that would not run, or do harm.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;
mod network;
mod sizes;
mod stages;
mod topics;
mod words;

fn told(text: &str) -> String {
    match wheeltapper_config::parse(text, "wheeltapper.toml") {
        Ok(_) => "nothing".into(),
        Err(errors) => errors.to_string(),
    }
}

/// Each text has just one error, at this place and with these words in it.
fn each(cases: &[(&str, &str, &str)]) {
    for (text, place, words) in cases {
        let told = told(text);
        assert!(told.contains(&format!("wheeltapper.toml:{place}\n")), "{place} of\n{text}\n{told}");
        assert!(told.contains(words), "{words} of\n{text}\n{told}");
        assert!(told.contains("  help: "), "{text}\n{told}");
        assert_eq!(told.matches("error:").count(), 1, "{text}\n{told}");
    }
}
