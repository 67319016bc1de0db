//! The imports that Spin supports.

use wheeltapper_test_hosts::SupportedImports;

/// The imports of Spin 4.1.
const SPIN_IMPORTS: SupportedImports = SupportedImports {
    max_patch: 6,
    additional: &[
        "fermyon:spin/llm@2.0.0",
        "fermyon:spin/redis@2.0.0",
        "fermyon:spin/mqtt@2.0.0",
        "fermyon:spin/postgres@2.0.0",
        "fermyon:spin/mysql@2.0.0",
        "fermyon:spin/sqlite@2.0.0",
        "fermyon:spin/key-value@2.0.0",
        "fermyon:spin/variables@2.0.0",
        "fermyon:spin/redis-types",
        "spin:mqtt-trigger/spin-mqtt-types@3.0.0",
        "spin:cron/cron-types@3.0.0",
        "wasi:keyvalue/store@0.2.0-draft2",
        "wasi:keyvalue/atomics@0.2.0-draft2",
        "wasi:keyvalue/batch@0.2.0-draft2",
        "wasi:config/store@0.2.0-draft-2024-09-27",
        "spin:sqlite/sqlite@3.0.0",
        "spin:postgres/postgres@4.0.0",
    ],
};

/// Returns the names of a component's imports that Spin does not support.
///
/// # Errors
/// If the bytes are not a component.
pub fn unsupported_imports(component: &[u8]) -> wasmtime::Result<Vec<String>> {
    SPIN_IMPORTS.unsupported(component)
}

#[cfg(test)]
mod tests {
    use super::SPIN_IMPORTS;

    #[test]
    fn unsupported_imports_are_recognised() {
        assert!(SPIN_IMPORTS.supports("wasi:http/types@0.2.6") && SPIN_IMPORTS.supports("wasi:cli/stderr@0.2.0"));
        for import in [
            "wasi:http/types@0.2.7",
            "wasi:http/types@0.3.0",
            "wasi:nn/graph@0.2.0-rc-2024-10-28",
            "wasi:keyvalue/store@0.2.0-draft",
            "wheeltapper:pipeline/types@0.1.0",
            "wasmcloud:messaging/types@0.2.0",
        ] {
            assert!(!SPIN_IMPORTS.supports(import), "{import}");
        }
    }
}
