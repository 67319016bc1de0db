//! What the hosts for the tests have in common: `tests/spin-world` and `tests/wasmcloud-world` each add what one platform
//! offers.

mod imports;
mod instance;
pub mod plant;
mod world;

use std::{io, net::TcpListener, path::PathBuf};

pub use imports::Imports;
pub use instance::Instance;
pub use world::{load, open, respond};

/// A component that `cargo xtask compose` made for a host.
pub fn composed(host: &str, name: &str) -> PathBuf {
    let folder = std::env::var_os("WHEELTAPPER_COMPOSED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/composed")), PathBuf::from);
    folder.join(host).join(format!("{name}.wasm"))
}

/// A port of this machine that nobody listens on.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
