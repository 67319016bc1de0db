//! `cargo xtask size`: how large the components are.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use flate2::{Compression, write::GzEncoder};

use crate::{
    components::{STAGES, build},
    compose,
};

/// Bytes of a stage, at most: it has to be pulled and compiled on small machines.
const STAGE: usize = 1_000_000;

/// Tells the bytes of every component, plain and packed with gzip; fails when one is over its limit
#[derive(Debug, clap::Args)]
pub(crate) struct Size {}

struct Row {
    name: String,
    bytes: usize,
    packed: usize,
    limit: Option<usize>,
}

impl Size {
    #[allow(clippy::unused_self, reason = "a task like the others")]
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for stage in STAGES {
            rows.push(Row::of(stage.to_owned(), &build(&format!("wheeltapper-{stage}"), None)?, Some(STAGE))?);
        }
        compose::Compose::all().run()?;
        for name in compose::names() {
            let path = compose::folder().join(format!("{name}.wasm"));
            rows.push(Row::of(name, &path, None)?);
        }
        println!("{:<24} {:>10} {:>10} {:>10}", "component", "bytes", "gzip", "limit");
        for row in &rows {
            let limit = row.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            let mark = if row.over() { "  over" } else { "" };
            println!("{:<24} {:>10} {:>10} {limit:>10}{mark}", row.name, row.bytes, row.packed);
        }
        let over: Vec<&str> = rows.iter().filter(|row| row.over()).map(|row| row.name.as_str()).collect();
        if !over.is_empty() {
            bail!("over the limit: {}", over.join(", "));
        }
        Ok(())
    }
}

impl Row {
    fn of(name: String, path: &Path, limit: Option<usize>) -> anyhow::Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&bytes)?;
        Ok(Self { name, bytes: bytes.len(), packed: packer.finish()?.len(), limit })
    }

    fn over(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes > limit)
    }
}
