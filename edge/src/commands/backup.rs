//! `wheeltapper backup`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use wheeltapper_store::Store;

use super::Global;
use crate::{courier, folder};

/// Copies the store to a file, or the store and the users to a folder; the host may be running.
///
/// To restore, put the copy into an empty data folder as wheeltapper.db, or name the folder that was written with --data,
/// and start the host: all that was stored is there. The log and what the detectors learnt are not in a backup, so
/// machines are learnt anew, and what was open stays as it was.
///
/// Users, keys and the audit lie in access.db beside the store: a folder gets a copy of it, a file does not. It can be
/// read only with the keyring access.key (or WHEELTAPPER_KEY): keep that in another, safe place, and put it beside
/// access.db before the host starts. Without both, the host begins with a new admin.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Backup {
    /// The copy: one SQLite file; or a folder that is there, or ends with /
    to: PathBuf,
}

impl Backup {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let store = global.store()?;
        let is_folder = self.to.is_dir() || self.to.as_os_str().as_encoded_bytes().ends_with(b"/");
        if is_folder { to_folder(&store, &global.load()?.data, &self.to) } else { to_file(&store, &self.to) }
    }
}

fn to_file(store: &Store, to: &Path) -> anyhow::Result<()> {
    store.backup(to, &[courier::PLACES])?;
    println!("the store was copied to {}", to.display());
    Ok(())
}

fn to_folder(store: &Store, data: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making the folder {}", to.display()))?;
    to_file(store, &folder::store_path(to))?;
    let users = folder::access_path(data);
    if users.exists() {
        let copy = folder::access_path(to);
        wheeltapper_store::copy_file(&users, &copy)?;
        println!("users and audit were copied to {}; keep access.key apart from it", copy.display());
    }
    Ok(())
}
