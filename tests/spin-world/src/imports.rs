//! Which imports Spin has.

/// Packages of WASI 0.2 that every component of Spin may import, at 0.2.0 to 0.2.6.
const WASI: [&str; 7] =
    ["wasi:io", "wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:random", "wasi:sockets", "wasi:http"];
/// The newest patch of WASI 0.2 in Spin 4.1's world.
const NEWEST: u32 = 6;
/// Everything else, by its exact name.
const OTHERS: [&str; 17] = [
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
];

/// The imports of a component that lie outside of Spin's world, by name.
///
/// # Errors
/// When the bytes are no component.
pub fn strangers(component: &[u8]) -> wasmtime::Result<Vec<String>> {
    wheeltapper_worlds::strangers(component, known)
}

fn known(name: &str) -> bool {
    if OTHERS.contains(&name) {
        return true;
    }
    let Some((interface, version)) = name.split_once("@0.2.") else { return false };
    let package = interface.split('/').next().unwrap_or(interface);
    WASI.contains(&package) && version.parse::<u32>().is_ok_and(|patch| patch <= NEWEST)
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn what_spin_lacks_is_a_stranger() {
        assert!(known("wasi:http/types@0.2.6") && known("wasi:cli/stderr@0.2.0"));
        for stranger in [
            "wasi:http/types@0.2.7",
            "wasi:http/types@0.3.0",
            "wasi:nn/graph@0.2.0-rc-2024-10-28",
            "wasi:keyvalue/store@0.2.0-draft",
            "wheeltapper:pipeline/types@0.1.0",
            "wasmcloud:messaging/types@0.2.0",
        ] {
            assert!(!known(stranger), "{stranger}");
        }
    }
}
