//! `wheeltapper backup`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use wheeltapper_store::Store;

use super::GlobalArgs;
use crate::{data_folder, host, line, notifier};

/// Copies the store to a file, or the store and the users to a folder.
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// Target: a SQLite file; or an existing folder, or a path that ends with /
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let store = global.open_store()?;
        let is_folder = self.to.is_dir() || self.to.as_os_str().as_encoded_bytes().ends_with(b"/");
        if is_folder { to_folder(&store, &global.load_config()?.data, &self.to) } else { to_file(&store, &self.to) }
    }
}

fn to_file(store: &Store, to: &Path) -> anyhow::Result<()> {
    store.backup(
        to,
        &[
            notifier::CHECKPOINT_PREFIX,
            notifier::OUTBOX_PREFIX,
            line::RESTORED_ALERTS_KEY,
            host::PARTITIONS_KEY,
            host::LOG_IDENTITY_KEY,
        ],
        line::PLANNER_SNAPSHOT,
    )?;
    println!("the store was copied to {}", to.display());
    Ok(())
}

fn to_folder(store: &Store, data: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making the folder {}", to.display()))?;
    to_file(store, &data_folder::store_path(to))?;
    let users = data_folder::access_path(data);
    if users.exists() {
        let copy = data_folder::access_path(to);
        wheeltapper_store::copy_file(&users, &copy)?;
        println!("users and audit were copied to {}; keep access.key separate from it", copy.display());
    }
    Ok(())
}
