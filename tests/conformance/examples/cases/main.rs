//! Writes `cases/*/{case.toml,plant.toml,events.ndjson}`, with the same content in every run:
//! `cargo run --release -p wheeltapper-conformance --example cases`. The edge host writes the expected files:
//! `UPDATE_EXPECTED=1 cargo test --release -p wheeltapper-conformance edge::`.

mod bad;
mod bearing;
mod faults;
mod formats;
mod plant;
mod script;
mod signal;
mod sparkplug;
mod timing;

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let scripts = [faults::scripts(), formats::scripts(), timing::scripts(), bad::scripts()].into_iter().flatten();
    for script in scripts.chain([bearing::script(), sparkplug::script()]) {
        script.write(&folder)?;
    }
    Ok(())
}
