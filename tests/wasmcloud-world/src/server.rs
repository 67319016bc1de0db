//! A PostgreSQL server of the test's own.

use std::{
    env, fs, io,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use wheeltapper_worlds::free_port;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a database `wheeltapper`; gone with this value.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    port: u16,
    _folder: TempDir,
}

impl Postgres {
    /// Starts it on a port of its own. Needs PostgreSQL's programs (Debian's package postgresql).
    ///
    /// # Errors
    /// When they are not there, or the server does not start.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        // Started by root, PostgreSQL refuses to work; then it runs as the user that its package made.
        let user = if is_root() { Some(user("postgres")?) } else { None };
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let mut make = program("initdb", user, folder.path())?;
        make.arg("-D").arg(&data).args([
            "-U",
            "wheeltapper",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        let made = make.stdin(Stdio::null()).output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&made.stderr))));
        }
        let port = free_port()?;
        let mut serve = program("postgres", user, folder.path())?;
        serve.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"]);
        let log = fs::File::create(folder.path().join("log"))?;
        let server = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut postgres = Self { server, port, _folder: folder };
        postgres.wait()?;
        postgres.database("wheeltapper")?;
        Ok(postgres)
    }

    /// Makes one more database; gives its URL.
    ///
    /// # Errors
    /// When there is one of that name.
    pub fn database(&self, name: &str) -> io::Result<String> {
        let mut make = program("createdb", None, Path::new("/"))?;
        make.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "wheeltapper", name]);
        let made = make.stdin(Stdio::null()).output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("createdb: {}", String::from_utf8_lossy(&made.stderr))));
        }
        Ok(format!("{}/{name}", self.server()))
    }

    /// Until it takes connections.
    fn wait(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let port = self.port.to_string();
        loop {
            if let Some(status) = self.server.try_wait()? {
                return Err(io::Error::other(format!("PostgreSQL ended at once: {status}")));
            }
            let mut ready = program("pg_isready", None, Path::new("/"))?;
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && ready.status()?.success() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(io::Error::other("PostgreSQL does not take connections"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The server's URL, without a database.
    pub fn server(&self) -> String {
        format!("postgres://wheeltapper@127.0.0.1:{}", self.port)
    }

    /// The first database's URL.
    pub fn url(&self) -> String {
        format!("{}/wheeltapper", self.server())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: at once, but in order, so that it leaves no shared memory behind.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// One of PostgreSQL's programs, from the path or from where Debian keeps them, by the newest version.
fn program(name: &str, user: Option<(u32, u32)>, folder: &Path) -> io::Result<Command> {
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let path = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{name} is not there; install PostgreSQL (Debian: postgresql)"))
    })?;
    let mut command = Command::new(path);
    command.current_dir(folder);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    Ok(command)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A user's and its group's number.
fn user(name: &str) -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let numbers = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| (fields.nth(1), fields.next()))
    });
    match numbers {
        Some((Some(user), Some(group))) => match (user.parse(), group.parse()) {
            (Ok(user), Ok(group)) => Ok((user, group)),
            _ => Err(io::Error::other("/etc/passwd has no numbers where they belong")),
        },
        _ => Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no user {name} to run PostgreSQL as"))),
    }
}
