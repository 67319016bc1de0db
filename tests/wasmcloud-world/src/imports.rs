//! Which imports wasmCloud has.

/// Packages of WASI 0.2 that every component may import, at 0.2.0 to 0.2.12.
const WASI: [&str; 7] =
    ["wasi:io", "wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:random", "wasi:sockets", "wasi:http"];
/// The newest patch of WASI 0.2 in wash 2.7's wasmtime.
const NEWEST: u32 = 12;
/// Everything else, by its exact name, as wash 2.7 has it without further switches.
const OTHERS: [&str; 26] = [
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
];

/// The imports of a component that lie outside of wasmCloud's world, by name.
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
    fn what_wasmcloud_lacks_is_a_stranger() {
        assert!(known("wasi:http/types@0.2.6") && known("wasmcloud:keyvalue/cas@0.2.0"));
        for stranger in [
            "wasi:nn/graph@0.2.0-rc-2024-10-28",
            "wasi:keyvalue/store@0.2.0-draft2",
            "wasi:config/store@0.2.0-draft-2024-09-27",
            "wheeltapper:pipeline/types@0.1.0",
            "wheeltapper:pipeline/detect@0.1.0",
            "spin:sqlite/sqlite@3.0.0",
            "wasmcloud:messaging/types@0.4.0",
        ] {
            assert!(!known(stranger), "{stranger}");
        }
    }
}
