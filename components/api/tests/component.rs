//! The imports, exports and size of the built component.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use wasmparser::{Parser, Payload};
use wheeltapper_wasm::Build;

/// Maximum size in bytes: some hosts fetch and compile the component at the first request.
const MAX_COMPONENT_BYTES: usize = 3_200_000;

/// Builds the component as `cargo xtask compose` does, and returns its bytes.
fn build() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The folder of the test's own build.
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("components");
    let build = Build::new(&root, &target).unwrap();
    build.run(&["wheeltapper-api"], &[]).unwrap();
    fs::read(build.artifact("wheeltapper-api")).unwrap()
}

/// Returns the names of the imports and exports of the outermost component.
fn imports_and_exports(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn it_imports_only_the_line_and_common_wasi() {
    let bytes = build();
    let (imports, exports) = imports_and_exports(&bytes);
    assert_eq!(exports, ["wasi:http/incoming-handler@0.2.0"]);
    assert!(imports.iter().any(|import| import == "wheeltapper:pipeline/line-api@0.1.0"), "{imports:?}");
    for import in &imports {
        if import.starts_with("wheeltapper:pipeline/") {
            continue;
        }
        let (interface, version) = import.rsplit_once('@').unwrap();
        let patch: u32 = version.strip_prefix("0.2.").unwrap().parse().unwrap();
        assert!(patch <= 6, "Spin supports WASI up to 0.2.6, but the component imports {import}");
        let allowed = ["wasi:cli/", "wasi:clocks/", "wasi:io/", "wasi:random/", "wasi:http/types"];
        assert!(allowed.iter().any(|allowed| interface.starts_with(allowed)), "{import} is not an allowed import");
    }
    assert!(bytes.len() <= MAX_COMPONENT_BYTES, "{} bytes, at most {MAX_COMPONENT_BYTES} are allowed", bytes.len());
}
