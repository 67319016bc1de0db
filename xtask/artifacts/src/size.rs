//! `cargo xtask size`: prints the sizes of the components.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use flate2::{Compression, write::GzEncoder};

use crate::{
    components::{STAGES, build},
    compose, composed_folder,
};

/// The maximum size of a stage, because small computers have to pull and compile it.
const MAX_STAGE_BYTES: usize = 1_000_000;

/// Prints the size of every component in bytes, plain and compressed with gzip; fails if one exceeds its limit
#[derive(Debug, clap::Args)]
pub(crate) struct Size {}

struct Row {
    name: String,
    bytes: usize,
    gzip_bytes: usize,
    limit: Option<usize>,
}

impl Size {
    #[allow(clippy::unused_self, reason = "all tasks have the same signature")]
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for stage in STAGES {
            let path = build(&format!("wheeltapper-{stage}"), None)?;
            rows.push(Row::measure(stage.to_owned(), &path, Some(MAX_STAGE_BYTES))?);
        }
        compose::Compose::all().run()?;
        for name in compose::names() {
            let path = composed_folder().join(format!("{name}.wasm"));
            rows.push(Row::measure(name, &path, None)?);
        }
        println!("{:<24} {:>10} {:>10} {:>10}", "component", "bytes", "gzip", "limit");
        for row in &rows {
            let limit = row.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            let mark = if row.exceeds_limit() { "  over" } else { "" };
            println!("{:<24} {:>10} {:>10} {limit:>10}{mark}", row.name, row.bytes, row.gzip_bytes);
        }
        let too_large: Vec<&str> = rows.iter().filter(|row| row.exceeds_limit()).map(|row| row.name.as_str()).collect();
        if !too_large.is_empty() {
            bail!("over the limit: {}", too_large.join(", "));
        }
        Ok(())
    }
}

impl Row {
    fn measure(name: String, path: &Path, limit: Option<usize>) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        Ok(Self { name, bytes: bytes.len(), gzip_bytes: encoder.finish()?.len(), limit })
    }

    fn exceeds_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes > limit)
    }
}
