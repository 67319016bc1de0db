//! Tar archives whose bytes depend on the contents only.

use anyhow::Context as _;

/// An owner of files in an archive: the numbers of user and group.
pub(super) type Owner = (u64, u64);

/// The owner of the system's files.
pub(super) const ROOT: Owner = (0, 0);

/// A tar archive; all entries get one time.
pub(super) struct Archive {
    tar: tar::Builder<Vec<u8>>,
    /// Seconds since 1970.
    time: u64,
}

impl Archive {
    pub(super) fn new(time: u64) -> Self {
        Self { tar: tar::Builder::new(Vec::new()), time }
    }

    pub(super) fn add_folder(&mut self, path: &str, mode: u32, owner: Owner) -> anyhow::Result<()> {
        self.add(tar::EntryType::Directory, &format!("{path}/"), &[], mode, owner)
    }

    pub(super) fn add_file(&mut self, path: &str, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
        self.add(tar::EntryType::Regular, path, bytes, mode, ROOT)
    }

    /// Returns the bytes of the archive.
    pub(super) fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.tar.into_inner()?)
    }

    fn add(
        &mut self,
        kind: tar::EntryType,
        path: &str,
        bytes: &[u8],
        mode: u32,
        (user, group): Owner,
    ) -> anyhow::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(mode);
        header.set_mtime(self.time);
        header.set_uid(user);
        header.set_gid(group);
        self.tar.append_data(&mut header, path, bytes).with_context(|| format!("adding {path} to the archive"))
    }
}
