//! Which imports a world lacks.

use wasmparser::{ComponentTypeRef, Parser, Payload};

/// The imports of a component that a world does not have, by name. `knows` tells what it has.
///
/// # Errors
/// When the bytes are no component.
pub fn strangers(component: &[u8], knows: impl Fn(&str) -> bool) -> wasmtime::Result<Vec<String>> {
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
                    if !is_type && !knows(import.name.name) {
                        strangers.push(import.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(strangers)
}
