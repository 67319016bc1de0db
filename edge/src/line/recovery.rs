//! Snapshots on disk.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::stages::StageSnapshots;

/// The folder of one partition's snapshots: `<partition>-<offset>-<stage>.snap`.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFolder {
    folder: PathBuf,
    prefix: String,
}

impl SnapshotFolder {
    pub(super) fn open(folder: &Path, owner: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), prefix: format!("{owner}-") })
    }

    fn path(&self, offset: u64, stage: &str) -> PathBuf {
        self.folder.join(format!("{}{offset}-{stage}.snap", self.prefix))
    }

    pub(super) fn write_one(&self, offset: u64, stage: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(offset, stage);
        let mut file = File::create(&path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        File::open(&self.folder)?.sync_all()
    }

    pub(super) fn read_one(&self, offset: u64, stage: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(offset, stage))
    }

    pub(super) fn write(&self, offset: u64, snapshots: &StageSnapshots) -> io::Result<()> {
        self.write_one(offset, "featurize", &snapshots.featurize)?;
        self.write_one(offset, "detect", &snapshots.detect)?;
        self.write_one(offset, "alert", &snapshots.alert)
    }

    pub(super) fn read(&self, offset: u64) -> io::Result<StageSnapshots> {
        Ok(StageSnapshots {
            featurize: self.read_one(offset, "featurize")?,
            detect: self.read_one(offset, "detect")?,
            alert: self.read_one(offset, "alert")?,
        })
    }

    /// Deletes the snapshots at all other offsets. What cannot be deleted now is deleted next time.
    pub(super) fn keep_only(&self, offset: u64) {
        let kept = format!("{}{offset}-", self.prefix);
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&self.prefix) && !name.starts_with(&kept) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
