//! `access.db`: the schema, and separate connections for reading, writing and change detection.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::AccessError;

const SCHEMA_VERSION: i64 = 2;

/// Schema of version 1. Times are nanoseconds since 1970; roles, scopes and sites are JSON. Only the encrypted columns
/// of an audit entry may change, when they are re-encrypted with a newer key.
const SCHEMA_V1: &str = "
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
-- address and detail are encrypted; hash covers their plain text.
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

/// Schema that version 2 adds: a counter of all changes that affect authentication. Logins and uses of API keys do not
/// count.
const SCHEMA_V2: &str = "
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

/// An open `access.db`. The host and the command line tool can have it open at the same time.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// A connection of its own, so that reads do not wait for writes to disk.
    reader: Mutex<Connection>,
    /// A connection of its own, because each request uses it for a very short read.
    change_counter: Mutex<ChangeCounter>,
}

/// Reads the change counter. `last_read` is SQLite's `data_version` at the last read, and the counter read then.
#[derive(Debug)]
struct ChangeCounter {
    connection: Connection,
    last_read: Option<(i64, i64)>,
}

impl Database {
    /// Opens or creates the file. `begin` writes the first rows of a new file.
    pub(crate) fn open(
        path: &Path,
        begin: impl FnOnce(&Transaction<'_>) -> Result<(), AccessError>,
    ) -> Result<Self, AccessError> {
        create_private(path)?;
        let mut writer = open_connection(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut writer, begin)?;
        let reader = open_connection(path)?;
        reader.pragma_update(None, "query_only", true)?;
        let change_counter = open_connection(path)?;
        change_counter.pragma_update(None, "query_only", true)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            change_counter: Mutex::new(ChangeCounter { connection: change_counter, last_read: None }),
        })
    }

    /// Returns a counter that increases with each change of users, keys or revoked tokens by any process. Costs a read
    /// of shared memory, and of one row if any other process has written to the file.
    pub(crate) fn change_count(&self) -> Result<i64, AccessError> {
        let mut change_counter = self.change_counter.lock().unwrap_or_else(PoisonError::into_inner);
        let ChangeCounter { connection, last_read } = &mut *change_counter;
        let version: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        match last_read {
            Some((at, number)) if *at == version => Ok(*number),
            _ => {
                let number =
                    connection.prepare_cached("SELECT number FROM changes")?.query_row([], |row| row.get(0))?;
                *last_read = Some((version, number));
                Ok(number)
            }
        }
    }

    /// Runs `change` in one transaction. The transaction is synced to disk when this returns.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Immediate: the audit log reads its last entry before it appends, and no other writer may come in between.
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = change(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    pub(crate) fn read<T, E>(&self, query: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        query(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens another read-only connection, for queries that take long.
    pub(crate) fn open_reader(&self) -> Result<Connection, AccessError> {
        let connection = open_connection(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}

fn open_connection(path: &Path) -> Result<Connection, AccessError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Creates the file with mode 0600; SQLite gives its WAL and shared memory files the same mode.
fn create_private(path: &Path) -> Result<(), AccessError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(AccessError::Settings(format!("{} cannot be created: {error}", path.display()))),
    }
}

fn migrate(
    connection: &mut Connection,
    begin: impl FnOnce(&Transaction<'_>) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    // If two processes start at the same time, the second waits and finds the tables of the first.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(SCHEMA_V1)?;
            transaction.execute_batch(SCHEMA_V2)?;
            begin(&transaction)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        1 => {
            transaction.execute_batch(SCHEMA_V2)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        found => return Err(AccessError::Version { found, known: SCHEMA_VERSION }),
    }
    Ok(transaction.commit()?)
}

/// Encodes a list for a column.
pub(crate) fn to_json<T: serde::Serialize>(list: &T) -> Result<String, AccessError> {
    serde_json::to_string(list).map_err(|error| AccessError::DamagedRow(error.to_string()))
}

/// Decodes a list from a column.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AccessError> {
    serde_json::from_str(text).map_err(|error| AccessError::DamagedRow(error.to_string()))
}
