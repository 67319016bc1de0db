//! Embeds the built dashboard, compressed with gzip, if there is one. `cargo xtask compose` builds it first if Node.js
//! is installed.

use std::{env, error::Error, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../dashboard/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let out = env::var("OUT_DIR")?;
    let mut names: Vec<String> = match fs::read_dir(&dist) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, Box<dyn Error>>>()?,
        Err(_) => Vec::new(),
    };
    names.sort();
    let mut list = String::from("&[\n");
    for name in &names {
        let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
        compressed.write_all(&fs::read(dist.join(name))?)?;
        fs::write(Path::new(&out).join(format!("{name}.gz")), compressed.finish()?)?;
        list.push_str(&format!("    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\"))),\n"));
    }
    list.push(']');
    fs::write(Path::new(&out).join("dashboard.rs"), list)?;
    Ok(())
}
