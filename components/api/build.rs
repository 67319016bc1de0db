//! Takes the built dashboard in, packed, where it was built (`cargo xtask compose` does so first, where Node.js is).

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
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&fs::read(dist.join(name))?)?;
        fs::write(Path::new(&out).join(format!("{name}.gz")), packed.finish()?)?;
        list.push_str(&format!("    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\"))),\n"));
    }
    list.push(']');
    fs::write(Path::new(&out).join("dashboard.rs"), list)?;
    Ok(())
}
