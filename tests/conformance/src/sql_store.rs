//! Queries a store by SQL.

use std::path::Path;

use anyhow::{Context as _, bail};
use rusqlite::{Connection, OpenFlags, types::Value as Sql};

/// The value of a column in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// Text. Also a number, or `\x` and hexadecimal digits, if the client returns every value as text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl SqlValue {
    pub(crate) fn integer(&self) -> anyhow::Result<i64> {
        match self {
            Self::Integer(integer) => Ok(*integer),
            Self::Text(text) => text.parse().with_context(|| format!("{text:?} is not an integer")),
            other => bail!("expected an integer; got {other:?}"),
        }
    }

    pub(crate) fn real(&self) -> anyhow::Result<f64> {
        match self {
            Self::Real(real) => Ok(*real),
            Self::Text(text) => text.parse().with_context(|| format!("{text:?} is not a number")),
            other => bail!("expected a double; got {other:?}"),
        }
    }

    pub(crate) fn text(&self) -> anyhow::Result<&str> {
        match self {
            Self::Text(text) => Ok(text),
            other => bail!("expected text; got {other:?}"),
        }
    }

    pub(crate) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Blob(bytes) => Ok(bytes.clone()),
            Self::Text(text) => {
                let digits = text.strip_prefix("\\x").with_context(|| format!("{text:?} does not begin with \\x"))?;
                let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
                anyhow::ensure!(rest.is_empty(), "an odd number of hexadecimal digits");
                pairs.iter().map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?)).collect()
            }
            other => bail!("expected bytes; got {other:?}"),
        }
    }
}

/// A store that can be queried.
pub trait SqlStore {
    /// Returns the rows of a statement.
    ///
    /// # Errors
    /// The store's error.
    fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<SqlValue>>>;
}

impl<F: FnMut(&str) -> anyhow::Result<Vec<Vec<SqlValue>>>> SqlStore for F {
    fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<SqlValue>>> {
        self(sql)
    }
}

/// A SQLite file.
#[derive(Debug)]
pub struct Sqlite(Connection);

impl Sqlite {
    /// Opens the file read-only. A host may be writing to it.
    ///
    /// # Errors
    /// If the file does not exist.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        Ok(Self(connection.with_context(|| format!("opening {}", path.display()))?))
    }
}

impl From<Connection> for Sqlite {
    fn from(connection: Connection) -> Self {
        Self(connection)
    }
}

impl SqlStore for Sqlite {
    fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Vec<SqlValue>>> {
        let mut statement = self.0.prepare(sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..width)
                .map(|index| {
                    Ok(match row.get(index)? {
                        Sql::Null => SqlValue::Null,
                        Sql::Integer(integer) => SqlValue::Integer(integer),
                        Sql::Real(real) => SqlValue::Real(real),
                        Sql::Text(text) => SqlValue::Text(text),
                        Sql::Blob(bytes) => SqlValue::Blob(bytes),
                    })
                })
                .collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_read_from_text_too() {
        assert_eq!(SqlValue::Text("-7".into()).integer().unwrap(), -7);
        assert_eq!(SqlValue::Text("0.30000000000000004".into()).real().unwrap(), 0.1 + 0.2);
        assert_eq!(SqlValue::Text("\\x00fF".into()).bytes().unwrap(), [0, 255]);
        assert!(SqlValue::Text("\\x0".into()).bytes().is_err());
        assert!(SqlValue::Text("00".into()).bytes().is_err());
        assert!(SqlValue::Null.integer().is_err() && SqlValue::Integer(1).real().is_err());
    }
}
