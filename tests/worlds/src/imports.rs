//! Which imports a platform has, and which of a component's it lacks.

use wasmparser::{ComponentTypeRef, Parser, Payload};

/// Packages of WASI 0.2 that every component may import.
const WASI: [&str; 7] =
    ["wasi:io", "wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:random", "wasi:sockets", "wasi:http"];

/// What a platform offers.
#[derive(Clone, Copy, Debug)]
pub struct Imports {
    /// The newest patch of WASI 0.2.
    pub newest: u32,
    /// Everything else, by its exact name.
    pub others: &'static [&'static str],
}

impl Imports {
    /// Whether it has this one.
    pub fn has(&self, name: &str) -> bool {
        if self.others.contains(&name) {
            return true;
        }
        let Some((interface, version)) = name.split_once("@0.2.") else { return false };
        let package = interface.split('/').next().unwrap_or(interface);
        WASI.contains(&package) && version.parse::<u32>().is_ok_and(|patch| patch <= self.newest)
    }

    /// The imports of a component that it does not have, by name.
    ///
    /// # Errors
    /// When the bytes are no component.
    pub fn strangers(&self, component: &[u8]) -> wasmtime::Result<Vec<String>> {
        strangers(component, |name| self.has(name))
    }
}

fn strangers(component: &[u8], has: impl Fn(&str) -> bool) -> wasmtime::Result<Vec<String>> {
    let mut strangers = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // The components inside are joined with each other.
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import?;
                    // A world's own names for types of an interface ask for nothing.
                    let is_type = matches!(import.ty, ComponentTypeRef::Type(_));
                    if !is_type && !has(import.name.name) {
                        strangers.push(import.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(strangers)
}
