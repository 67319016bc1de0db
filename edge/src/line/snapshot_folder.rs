//! The stages' snapshots on disk.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltapper_log::storage::Storage;

use super::stages::StageSnapshots;

/// The folder of one partition's snapshots: `<partition>-<offset>-<stage>.snap`.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFolder {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    prefix: String,
}

impl SnapshotFolder {
    pub(super) fn open(storage: Arc<dyn Storage>, folder: &Path, owner: &str) -> io::Result<Self> {
        storage.create_dir_all(folder)?;
        Ok(Self { storage, folder: folder.to_owned(), prefix: format!("{owner}-") })
    }

    fn path(&self, offset: u64, stage: &str) -> PathBuf {
        self.folder.join(format!("{}{offset}-{stage}.snap", self.prefix))
    }

    fn write_stage(&self, offset: u64, stage: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(offset, stage);
        let file = self.storage.open(&path)?;
        // An earlier attempt at the same offset may have left a partial file.
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()
    }

    pub(super) fn read_stage(&self, offset: u64, stage: &str) -> io::Result<Vec<u8>> {
        let file = self.storage.open_existing(&self.path(offset, stage))?;
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Writes the snapshots; they are durable when this returns.
    pub(super) fn write(&self, offset: u64, snapshots: &StageSnapshots) -> io::Result<()> {
        self.write_stage(offset, "featurize", &snapshots.featurize)?;
        self.write_stage(offset, "detect", &snapshots.detect)?;
        self.write_stage(offset, "alert", &snapshots.alert)?;
        self.storage.sync_dir(&self.folder)
    }

    pub(super) fn read(&self, offset: u64) -> io::Result<StageSnapshots> {
        Ok(StageSnapshots {
            featurize: self.read_stage(offset, "featurize")?,
            detect: self.read_stage(offset, "detect")?,
            alert: self.read_stage(offset, "alert")?,
        })
    }

    /// Deletes the snapshots at all other offsets. A file that cannot be deleted is left for the next call.
    pub(super) fn keep_only(&self, offset: u64) {
        let prefix_to_keep = format!("{}{offset}-", self.prefix);
        let Ok(names) = self.storage.list(&self.folder) else { return };
        for name in names {
            if name.starts_with(&self.prefix) && !name.starts_with(&prefix_to_keep) {
                let _ = self.storage.remove_file(&self.folder.join(&name));
            }
        }
    }
}
