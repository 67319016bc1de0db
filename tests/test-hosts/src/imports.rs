//! The imports that a platform supports, and the unsupported imports of a component.

use wasmparser::{ComponentTypeRef, Parser, Payload};

/// Packages of WASI 0.2 that every component may import.
const WASI: [&str; 7] =
    ["wasi:io", "wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:random", "wasi:sockets", "wasi:http"];

/// The imports that a platform supports.
#[derive(Clone, Copy, Debug)]
pub struct SupportedImports {
    /// The newest patch release of WASI 0.2.
    pub max_patch: u32,
    /// All other supported interfaces, by their exact names.
    pub additional: &'static [&'static str],
}

impl SupportedImports {
    /// Returns whether the platform supports the import.
    pub fn supports(&self, name: &str) -> bool {
        if self.additional.contains(&name) {
            return true;
        }
        let Some((interface, version)) = name.split_once("@0.2.") else { return false };
        let package = interface.split('/').next().unwrap_or(interface);
        WASI.contains(&package) && version.parse::<u32>().is_ok_and(|patch| patch <= self.max_patch)
    }

    /// Returns the names of a component's imports that the platform does not support.
    ///
    /// # Errors
    /// If the bytes are not a component.
    pub fn unsupported(&self, component: &[u8]) -> wasmtime::Result<Vec<String>> {
        unsupported_imports(component, |name| self.supports(name))
    }
}

fn unsupported_imports(component: &[u8], is_supported: impl Fn(&str) -> bool) -> wasmtime::Result<Vec<String>> {
    let mut unsupported = Vec::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            // Only the outermost component: the components inside are linked with each other.
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import?;
                    // A type that a world uses from an interface is not a requirement of its own.
                    let is_type = matches!(import.ty, ComponentTypeRef::Type(_));
                    if !is_type && !is_supported(import.name.name) {
                        unsupported.push(import.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(unsupported)
}
