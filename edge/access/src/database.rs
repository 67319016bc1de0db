//! `access.db`: its tables, and one connection each for looking and for writing.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::AccessError;

const VERSION: i64 = 2;

/// Times are nanoseconds since 1970; roles, scopes and sites are JSON. Only the sealed columns of an audit entry may
/// change, when they are sealed under a newer key.
const TABLES: &str = "
CREATE TABLE users (
    name TEXT PRIMARY KEY COLLATE NOCASE, password TEXT NOT NULL, roles TEXT NOT NULL, sites TEXT,
    disabled INTEGER NOT NULL DEFAULT 0, must_change INTEGER NOT NULL, generation INTEGER NOT NULL DEFAULT 1,
    created INTEGER NOT NULL, last_login INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, scopes TEXT NOT NULL, sites TEXT,
    created INTEGER NOT NULL, expires INTEGER, last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE revoked (id TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE refresh_tokens (
    hash BLOB PRIMARY KEY, family TEXT NOT NULL, user TEXT NOT NULL COLLATE NOCASE, generation INTEGER NOT NULL,
    expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families ON refresh_tokens (family);
-- address and detail are sealed; hash covers what they hold.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
    outcome TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL, key TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, key TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_stays_so BEFORE UPDATE OF seq, time, actor, action, target, outcome, key, hash ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
";

/// What version 2 adds: a number that goes up with each change of who may come in, and not with each sign-in or use.
const CHANGES: &str = "
CREATE TABLE changes (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO changes (one, number) VALUES (1, 1);
CREATE TRIGGER users_come AFTER INSERT ON users BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER users_go AFTER DELETE ON users BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER users_change AFTER UPDATE OF name, password, roles, sites, disabled, must_change, generation ON users
    BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER keys_come AFTER INSERT ON api_keys BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER keys_go AFTER DELETE ON api_keys BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER keys_change AFTER UPDATE OF id, name, hash, scopes, sites, expires ON api_keys
    BEGIN UPDATE changes SET number = number + 1; END;
CREATE TRIGGER tokens_end AFTER INSERT ON revoked BEGIN UPDATE changes SET number = number + 1; END;
";

/// The file; a host and commands may have it open at once.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Apart, so that nobody who looks waits for the disk.
    reader: Mutex<Connection>,
    /// Apart as well, as it is asked at each request and never reads for long.
    watch: Mutex<Watch>,
}

/// The number of changes, and SQLite's number for the state of the file in which it was read.
#[derive(Debug)]
struct Watch {
    connection: Connection,
    seen: Option<(i64, i64)>,
}

impl Database {
    /// Opens the file, or makes it; `begin` adds what a new one begins with.
    pub(crate) fn open(
        path: &Path,
        begin: impl FnOnce(&Transaction<'_>) -> Result<(), AccessError>,
    ) -> Result<Self, AccessError> {
        make_private(path)?;
        let mut writer = connect(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        prepare(&mut writer, begin)?;
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        let watch = connect(path)?;
        watch.pragma_update(None, "query_only", true)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            watch: Mutex::new(Watch { connection: watch, seen: None }),
        })
    }

    /// A number that has changed when users, keys or revoked tokens have, by whichever process. Costs a look at shared
    /// memory, and one row where something else was written.
    pub(crate) fn changes(&self) -> Result<i64, AccessError> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let Watch { connection, seen } = &mut *watch;
        let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        match seen {
            Some((of, number)) if *of == version => Ok(*number),
            _ => {
                let number =
                    connection.prepare_cached("SELECT number FROM changes")?.query_row([], |row| row.get(0))?;
                *seen = Some((version, number));
                Ok(number)
            }
        }
    }

    /// Runs `change` as one transaction, which is on the disk when this returns.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Immediate: the audit reads its last entry before it writes, and nobody may come between.
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    pub(crate) fn read<T, E>(&self, look: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        look(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection of its own, for looks that take long.
    pub(crate) fn apart(&self) -> Result<Connection, AccessError> {
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

fn connect(path: &Path) -> Result<Connection, AccessError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Only the owner may read the file; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> Result<(), AccessError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(AccessError::Settings(format!("{} cannot be made: {error}", path.display()))),
    }
}

fn prepare(
    connection: &mut Connection,
    begin: impl FnOnce(&Transaction<'_>) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    // Two that start at once: the second finds the tables of the first.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(CHANGES)?;
            begin(&transaction)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        1 => {
            transaction.execute_batch(CHANGES)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => {}
        found => return Err(AccessError::Version { found, known: VERSION }),
    }
    Ok(transaction.commit()?)
}

/// A list as a column holds it.
pub(crate) fn to_json<T: serde::Serialize>(list: &T) -> Result<String, AccessError> {
    serde_json::to_string(list).map_err(|error| AccessError::Damaged(error.to_string()))
}

/// A list out of a column.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AccessError> {
    serde_json::from_str(text).map_err(|error| AccessError::Damaged(error.to_string()))
}
