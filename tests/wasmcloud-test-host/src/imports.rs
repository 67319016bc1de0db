//! The imports that wasmCloud supports.

use wheeltapper_test_hosts::SupportedImports;

/// The imports of wash 2.7's wasmtime. The additional ones are enabled by default.
const WASMCLOUD_IMPORTS: SupportedImports = SupportedImports {
    max_patch: 12,
    additional: &[
        "wasi:config/store@0.2.0-rc.1",
        "wasi:logging/logging@0.1.0-draft",
        "wasi:keyvalue/store@0.2.0-draft",
        "wasi:keyvalue/atomics@0.2.0-draft",
        "wasi:keyvalue/batch@0.2.0-draft",
        "wasi:blobstore/types@0.2.0-draft",
        "wasi:blobstore/container@0.2.0-draft",
        "wasi:blobstore/blobstore@0.2.0-draft",
        "wasmcloud:messaging/types@0.2.0",
        "wasmcloud:messaging/consumer@0.2.0",
        "wasmcloud:messaging/types@0.3.0",
        "wasmcloud:messaging/consumer@0.3.0",
        "wasmcloud:keyvalue/types@0.2.0",
        "wasmcloud:keyvalue/store@0.2.0",
        "wasmcloud:keyvalue/atomics@0.2.0",
        "wasmcloud:keyvalue/cas@0.2.0",
        "wasmcloud:keyvalue/batch@0.2.0",
        "wasmcloud:postgres/types@0.1.1-draft",
        "wasmcloud:postgres/query@0.1.1-draft",
        "wasmcloud:postgres/prepared@0.1.1-draft",
        "wasmcloud:postgres/types@0.2.0",
        "wasmcloud:postgres/query@0.2.0",
        "wasmcloud:postgres/prepared@0.2.0",
        "wasmcloud:secrets/store@2.1.0",
        "wasmcloud:secrets/reveal@2.1.0",
        "wasmcloud:blobstore/blobstore@0.1.0",
    ],
};

/// Returns the names of a component's imports that wasmCloud does not support.
///
/// # Errors
/// If the bytes are not a component.
pub fn unsupported_imports(component: &[u8]) -> wasmtime::Result<Vec<String>> {
    WASMCLOUD_IMPORTS.unsupported(component)
}

#[cfg(test)]
mod tests {
    use super::WASMCLOUD_IMPORTS;

    #[test]
    fn unsupported_imports_are_recognised() {
        assert!(
            WASMCLOUD_IMPORTS.supports("wasi:http/types@0.2.6")
                && WASMCLOUD_IMPORTS.supports("wasmcloud:keyvalue/cas@0.2.0")
        );
        for import in [
            "wasi:nn/graph@0.2.0-rc-2024-10-28",
            "wasi:keyvalue/store@0.2.0-draft2",
            "wasi:config/store@0.2.0-draft-2024-09-27",
            "wheeltapper:pipeline/types@0.1.0",
            "wheeltapper:pipeline/detect@0.1.0",
            "spin:sqlite/sqlite@3.0.0",
            "wasmcloud:messaging/types@0.4.0",
        ] {
            assert!(!WASMCLOUD_IMPORTS.supports(import), "{import}");
        }
    }
}
