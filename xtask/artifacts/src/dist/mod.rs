//! `cargo xtask dist`: packages for users, each with a bill of materials, a checksum and a test that starts it.
//!
//! There is one program, which is linked statically and therefore runs on any Linux of its architecture. The Debian
//! package and the image contain the same bytes. The same program, commit and `SOURCE_DATE_EPOCH` give the same bytes
//! of each package.

mod archive;
mod deb;
mod image;
mod program;
mod smoke;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    components::STAGES,
    package::{Commit, sbom, sha256},
    root, target,
};
use program::Program;

/// Build a static binary, a Debian package and an OCI image, and test that each starts: target/dist
#[derive(Debug, clap::Args)]
pub(crate) struct Dist {
    /// Only build the packages; do not start them. The tests need root or sudo, systemd and Debian's package tools
    #[arg(long)]
    no_smoke: bool,
    /// The URL of the source code, for the packages' metadata
    #[arg(long)]
    source: Option<String>,
    /// Who answers for the Debian package: `Name <address>`
    #[arg(long, default_value = "Wheeltapper maintainers <wheeltapper@localhost>")]
    maintainer: String,
}

/// The files of the packages.
struct Packages {
    program: PathBuf,
    deb: PathBuf,
    image: PathBuf,
}

impl Dist {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let commit = Commit::current(self.source.clone())?;
        phase("build the static program");
        let program = Program::build()?;
        let folder = empty_folder("dist")?;
        let mut output = Output::new(folder)?;

        phase("write the packages");
        let packages = Packages {
            program: output.write_program(&program, &commit)?,
            deb: output.write_deb(&program, &commit, &self.maintainer)?,
            image: output.write_image(&program, &commit)?,
        };
        let checksums = output.write_checksums()?;
        if self.no_smoke {
            eprintln!("\nNOT TESTED: the packages were not started (--no-smoke)");
        } else {
            smoke::run(&packages, &program, &commit, &self.maintainer)?;
        }
        print!("\n{}:\n{checksums}", output.folder.display());
        Ok(())
    }
}

/// The output folder, and the checksums of what is in it.
struct Output {
    folder: PathBuf,
    lock: sbom::Checksums,
    trees: sbom::DependencyTrees,
    /// Names and SHA-256 of the files.
    checksums: Vec<(String, String)>,
}

impl Output {
    fn new(folder: PathBuf) -> anyhow::Result<Self> {
        let lock = sbom::checksums(&root().join("Cargo.lock"))?;
        Ok(Self { folder, lock, trees: sbom::DependencyTrees::default(), checksums: Vec::new() })
    }

    fn write_program(&mut self, program: &Program, commit: &Commit) -> anyhow::Result<PathBuf> {
        let name = format!("wheeltapper-{}-{}", commit.version, program::TARGET);
        let path = self.add(&name, &program.bytes)?;
        make_executable(&path)?;
        let hash = sha256(&program.bytes);
        let subject = sbom::Subject { kind: "application", name: "wheeltapper".to_owned(), hash, program: None };
        self.add_sbom(&name, &subject, commit)?;
        Ok(path)
    }

    fn write_deb(&mut self, program: &Program, commit: &Commit, maintainer: &str) -> anyhow::Result<PathBuf> {
        let name = format!("wheeltapper_{}_{}.deb", commit.version, deb::ARCHITECTURE);
        let path = self.folder.join(&name);
        deb::Deb { program, commit, version: &commit.version, maintainer, conffile: deb::CONFFILE }
            .write(&empty_folder("dist-deb")?, &path)?;
        let hash = sha256(&fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        self.checksums.push((name.clone(), hash.clone()));
        let subject = sbom::Subject {
            kind: "application",
            name: "wheeltapper-deb".to_owned(),
            hash,
            program: Some(sha256(&program.bytes)),
        };
        self.add_sbom(&name, &subject, commit)?;
        Ok(path)
    }

    fn write_image(&mut self, program: &Program, commit: &Commit) -> anyhow::Result<PathBuf> {
        let name = format!("wheeltapper-{}-{}-oci.tar", commit.version, image::ARCHITECTURE);
        let contents = image::contents(program, commit)?;
        let hash = contents.digest(commit)?.trim_start_matches("sha256:").to_owned();
        let subject = sbom::Subject {
            kind: "container",
            name: "wheeltapper-image".to_owned(),
            hash,
            program: Some(sha256(&program.bytes)),
        };
        let sbom = self.add_sbom(&name, &subject, commit)?;
        let archive = image::archive(contents, commit, &sbom)?;
        self.add(&name, &archive)
    }

    /// Writes the bill of materials of a file and returns it.
    fn add_sbom(&mut self, name: &str, subject: &sbom::Subject, commit: &Commit) -> anyhow::Result<Vec<u8>> {
        let sbom = self.trees.bill_of_materials(subject, &sources(), commit, &self.lock)?;
        self.add(&format!("{name}.cdx.json"), &sbom)?;
        Ok(sbom)
    }

    fn add(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        self.checksums.push((name.to_owned(), sha256(bytes)));
        Ok(path)
    }

    /// Writes the file for `sha256sum --check` and returns its text.
    fn write_checksums(&mut self) -> anyhow::Result<String> {
        self.checksums.sort();
        let text: String = self.checksums.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect();
        let path = self.folder.join("SHA256SUMS");
        fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        Ok(text)
    }
}

/// The packages from which the program is built: itself, and the components that it embeds.
fn sources() -> Vec<sbom::Package> {
    let package = |name: &str, target| sbom::Package { name: name.to_owned(), features: None, target };
    let components = STAGES.iter().chain(&["api"]);
    let components =
        components.map(|name| package(&format!("wheeltapper-{name}"), crate::components::TARGET)).collect::<Vec<_>>();
    [vec![package("wheeltapper", program::TARGET)], components].concat()
}

/// Prints what begins now.
fn phase(name: &str) {
    eprintln!("\n== {name}");
}

/// Returns an empty folder in the target folder.
fn empty_folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(target().join(name))?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

fn make_executable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}
