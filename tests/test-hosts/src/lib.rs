//! Code that the test hosts share. `tests/spin-test-host` and `tests/wasmcloud-test-host` each add the interfaces of
//! one platform.

mod any_state;
mod engine;
mod imports;
mod instance_state;
pub mod plant;

use std::{io, net::TcpListener, path::PathBuf};

pub use any_state::{AnyState, PlatformState};
pub use engine::{engine_and_linker, handle_request, load_component};
pub use imports::SupportedImports;
pub use instance_state::InstanceState;

/// Returns the path of a component that `cargo xtask compose` created for a host: in `target/composed`, or in the
/// folder named by the variable `WHEELTAPPER_COMPOSED`.
pub fn composed(host: &str, name: &str) -> PathBuf {
    let folder = std::env::var_os("WHEELTAPPER_COMPOSED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/composed")), PathBuf::from);
    folder.join(host).join(format!("{name}.wasm"))
}

/// Returns a free port of this computer.
///
/// # Errors
/// If no port is free.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
