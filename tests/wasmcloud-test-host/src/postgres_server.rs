//! A PostgreSQL server for a test.

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
use wheeltapper_test_hosts::free_port;

/// The timeout for the server to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server with a database `wheeltapper`, which is stopped when this value is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    server: Child,
    port: u16,
    _folder: TempDir,
}

impl PostgresServer {
    /// Starts a server on a free port. Needs PostgreSQL's programs (Debian's package postgresql).
    ///
    /// # Errors
    /// If the programs are missing or the server does not start.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        // PostgreSQL does not run as root, so then it runs as the user that its package created.
        let user = if is_root() { Some(user_ids("postgres")?) } else { None };
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let mut command = postgres_command("initdb", user, folder.path())?;
        command.arg("-D").arg(&data).args([
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
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("initdb: {}", String::from_utf8_lossy(&output.stderr))));
        }
        let port = free_port()?;
        let mut serve = postgres_command("postgres", user, folder.path())?;
        serve.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off"]);
        let log = fs::File::create(folder.path().join("log"))?;
        let server = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut postgres = Self { server, port, _folder: folder };
        postgres.wait_until_ready()?;
        postgres.create_database("wheeltapper")?;
        Ok(postgres)
    }

    /// Creates another database and returns its URL.
    ///
    /// # Errors
    /// If a database of that name exists.
    pub fn create_database(&self, name: &str) -> io::Result<String> {
        let mut command = postgres_command("createdb", None, Path::new("/"))?;
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "wheeltapper", name]);
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!("createdb: {}", String::from_utf8_lossy(&output.stderr))));
        }
        Ok(format!("{}/{name}", self.server_url()))
    }

    /// Waits until the server accepts connections.
    fn wait_until_ready(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let port = self.port.to_string();
        loop {
            if let Some(status) = self.server.try_wait()? {
                return Err(io::Error::other(format!("PostgreSQL exited during its start: {status}")));
            }
            let mut ready = postgres_command("pg_isready", None, Path::new("/"))?;
            ready.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() && ready.status()?.success() {
                return Ok(());
            }
            if started.elapsed() > START_TIMEOUT {
                return Err(io::Error::other("PostgreSQL does not accept connections"));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the server's URL, without a database.
    pub fn server_url(&self) -> String {
        format!("postgres://wheeltapper@127.0.0.1:{}", self.port)
    }

    /// Returns the URL of the first database.
    pub fn database_url(&self) -> String {
        format!("{}/wheeltapper", self.server_url())
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // SIGINT is a fast but orderly shutdown, which leaves no shared memory behind.
        let _ = Command::new("kill").args(["-INT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// Returns a command for one of PostgreSQL's programs, from the path or from Debian's folder of the newest version.
fn postgres_command(name: &str, user: Option<(u32, u32)>, folder: &Path) -> io::Result<Command> {
    let mut folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    let path = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("{name} is missing; install PostgreSQL (Debian: postgresql)"))
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

/// Returns the ids of a user and its group.
fn user_ids(name: &str) -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| (fields.nth(1), fields.next()))
    });
    match ids {
        Some((Some(user), Some(group))) => match (user.parse(), group.parse()) {
            (Ok(user), Ok(group)) => Ok((user, group)),
            _ => Err(io::Error::other("/etc/passwd has invalid ids")),
        },
        _ => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the user {name} does not exist; PostgreSQL needs it because it does not run as root"),
        )),
    }
}
