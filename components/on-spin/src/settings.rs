//! The API's environment: its settings, from the component's variables.
//!
//! On Spin secrets are variables, which a component that does not know Spin cannot read; its environment contains
//! only what the manifest says. So this adapter exports an environment for the API, made of both.

use crate::platform::variable;

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/environment")]
mod bindings {
    wit_bindgen::generate!({ path: "wit/environment", world: "settings" });
}

use bindings::exports::wasi::cli::environment::Guest;

/// The component's variables, and the names of the API's settings.
const SETTINGS: [(&str, &str); 3] = [
    ("api_token", "WHEELTAPPER_API_TOKEN"),
    ("tick_token", "WHEELTAPPER_TICK_TOKEN"),
    ("cors_origins", "WHEELTAPPER_CORS_ORIGINS"),
];

struct Environment;

impl Guest for Environment {
    fn get_environment() -> Vec<(String, String)> {
        // A variable that is set overrides the manifest's environment.
        let mut environment: Vec<(String, String)> = std::env::vars().collect();
        for (name, setting) in SETTINGS {
            match variable(name) {
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    environment.retain(|(name, _)| name != setting);
                    environment.push((setting.to_owned(), value));
                }
                // If a token cannot be read, the API must not stay open.
                Err(error) => {
                    eprintln!("wheeltapper: {error}");
                    std::process::abort();
                }
            }
        }
        environment
    }

    fn get_arguments() -> Vec<String> {
        Vec::new()
    }

    fn initial_cwd() -> Option<String> {
        None
    }
}

bindings::export!(Environment with_types_in bindings);
