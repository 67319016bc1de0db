//! The Debian package, built by `dpkg-deb`.
//!
//! `dpkg-deb` is on every Debian, and gives the same bytes for the same files. The helpers above it (debhelper,
//! cargo-deb) find out which libraries a program needs and write the scripts for a service. This program needs none, and
//! the scripts are in `infra/systemd/debian`, where they can be read.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};

use super::program::Program;
use crate::{
    package::{Commit, output},
    root, run, setup,
};

/// The architecture's name in Debian.
pub(super) const ARCHITECTURE: &str = "amd64";
/// The configuration that the package installs.
pub(super) const CONFFILE: &str = include_str!("../../../../infra/systemd/wheeltapper.toml");
const CONFFILE_PATH: &str = "etc/wheeltapper/wheeltapper.toml";
const UNIT: &str = include_str!("../../../../infra/systemd/wheeltapper.service");
const README: &str = include_str!("../../../../infra/systemd/README.md");
const SCRIPTS: [(&str, &str); 3] = [
    ("postinst", include_str!("../../../../infra/systemd/debian/postinst")),
    ("prerm", include_str!("../../../../infra/systemd/debian/prerm")),
    ("postrm", include_str!("../../../../infra/systemd/debian/postrm")),
];

/// What a Debian package is made of.
pub(super) struct Deb<'a> {
    pub(super) program: &'a Program,
    pub(super) commit: &'a Commit,
    /// The version, without a revision.
    pub(super) version: &'a str,
    pub(super) maintainer: &'a str,
    /// The text of the configuration.
    pub(super) conffile: &'a str,
}

impl Deb<'_> {
    /// Writes the package to the file `path`. `folder` is empty and gets the files of the package.
    pub(super) fn write(&self, folder: &Path, path: &Path) -> anyhow::Result<()> {
        setup::packages_of(&[("dpkg-deb", "dpkg")])?;
        let files = self.files()?;
        for (name, (bytes, mode)) in &files {
            write(&folder.join(name), bytes, *mode)?;
        }
        let size: usize = files.values().map(|(bytes, _)| bytes.len().div_ceil(1024)).sum();
        let control = folder.join("DEBIAN");
        write(&control.join("control"), self.control(size).as_bytes(), 0o644)?;
        write(&control.join("conffiles"), format!("/{CONFFILE_PATH}\n").as_bytes(), 0o644)?;
        write(&control.join("md5sums"), md5sums(folder, &files)?.as_bytes(), 0o644)?;
        for (name, script) in SCRIPTS {
            write(&control.join(name), script.as_bytes(), 0o755)?;
        }
        set_folder_modes(folder)?;
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.args(["--build", "--root-owner-group", "-Zxz"]).arg(folder).arg(path).stdout(Stdio::null());
        // The time of newer files. xz divides its input by the number of threads, and more than one needs more memory.
        dpkg.env("SOURCE_DATE_EPOCH", self.commit.epoch.to_string()).env("DPKG_DEB_THREADS_MAX", "1");
        run(&mut dpkg)
    }

    /// Returns contents and mode of each file, by its path.
    fn files(&self) -> anyhow::Result<BTreeMap<String, (Vec<u8>, u32)>> {
        let documents = "usr/share/doc/wheeltapper";
        let changes = fs::read(root().join("CHANGELOG.md")).context("reading CHANGELOG.md")?;
        let files = BTreeMap::from([
            ("usr/bin/wheeltapper".to_owned(), (self.program.bytes.clone(), 0o755)),
            ("usr/lib/systemd/system/wheeltapper.service".to_owned(), (UNIT.into(), 0o644)),
            (CONFFILE_PATH.to_owned(), (self.conffile.into(), 0o644)),
            ("usr/share/bash-completion/completions/wheeltapper".to_owned(), (self.program.completions.clone(), 0o644)),
            (format!("{documents}/copyright"), (copyright().into_bytes(), 0o644)),
            (format!("{documents}/README.md"), (README.into(), 0o644)),
            (format!("{documents}/changelog.gz"), (gzip(&changes)?, 0o644)),
        ]);
        Ok(files)
    }

    /// Returns the control file. `size` is in KiB.
    fn control(&self, size: usize) -> String {
        let homepage = self.commit.source.as_ref().map(|url| format!("Homepage: {url}\n")).unwrap_or_default();
        format!(
            "Package: wheeltapper\n\
             Version: {}\n\
             Architecture: {ARCHITECTURE}\n\
             Maintainer: {}\n\
             Installed-Size: {size}\n\
             Depends: adduser, init-system-helpers (>= 1.52)\n\
             Section: science\n\
             Priority: optional\n\
             {homepage}\
             Description: predictive maintenance of machines\n \
             Wheeltapper ingests sensor readings over HTTP, MQTT and NATS, detects faults of\n \
             machines such as pumps, motors and fans before they fail, explains each fault,\n \
             and plans the repair. It needs no other service.\n",
            self.version, self.maintainer
        )
    }
}

fn copyright() -> String {
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
     Upstream-Name: wheeltapper\n\
     \n\
     Files: *\n\
     Copyright: 2026 The Wheeltapper authors\n\
     License: Apache-2.0\n \
     On Debian systems, the text of the Apache License 2.0 is in\n \
     /usr/share/common-licenses/Apache-2.0. The bill of materials of this package\n \
     lists the libraries that the program contains, with their licenses.\n"
        .to_owned()
}

/// Compresses without a time.
fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

/// Returns the checksums with which `dpkg --verify` finds changed files. Configuration is not in them.
fn md5sums(folder: &Path, files: &BTreeMap<String, (Vec<u8>, u32)>) -> anyhow::Result<String> {
    let names = files.keys().filter(|name| name.as_str() != CONFFILE_PATH);
    Ok(output(Command::new("md5sum").args(names).current_dir(folder))? + "\n")
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, bytes)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// The modes of the folders must not depend on this user's umask.
fn set_folder_modes(folder: &Path) -> anyhow::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        let entries: Vec<PathBuf> =
            fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        folders.extend(entries.into_iter().filter(|path| path.is_dir()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_program_gives_the_same_package() {
        let program = Program { bytes: b"program".to_vec(), completions: b"complete".to_vec() };
        let commit = Commit::test(1_767_571_200);
        let folder = std::env::temp_dir().join(format!("wheeltapper-deb-{}", std::process::id()));
        let build = |name: &str, umask: u32| {
            let (tree, path) = (folder.join(name), folder.join(format!("{name}.deb")));
            fs::create_dir_all(&tree).unwrap();
            fs::set_permissions(&tree, fs::Permissions::from_mode(umask)).unwrap();
            let deb = Deb { program: &program, commit: &commit, version: "1", maintainer: "a <b@c>", conffile: "#\n" };
            deb.write(&tree, &path).unwrap();
            (fs::read(&path).unwrap(), path)
        };
        let (first, path) = build("first", 0o755);
        let list = output(Command::new("dpkg-deb").arg("--contents").arg(&path)).unwrap();
        let (second, _) = build("second", 0o700);
        fs::remove_dir_all(&folder).unwrap();
        assert!(first == second, "two builds differ");
        for line in list.lines() {
            assert!(line.contains("root/root") && line.contains("2026-01-05"), "{line}");
        }
        assert!(
            list.contains("./usr/bin/wheeltapper") && list.contains("./etc/wheeltapper/wheeltapper.toml"),
            "{list}"
        );
    }
}
