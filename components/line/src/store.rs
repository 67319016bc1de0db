//! Statements on tables and columns that are made when they are missed.

use crate::{PortError, Ports, Value, schema};

/// Runs a statement; where its table or a column is missing, all that is missing is made and it is run again.
pub(crate) async fn run<P: Ports>(
    ports: &P,
    statement: &str,
    parameters: &[Value],
) -> Result<Vec<Vec<Value>>, PortError> {
    match ports.sql(statement, parameters).await {
        Err(error) if is_missing(&error.0) => {
            for statement in schema::statements(ports.dialect()) {
                if let Err(error) = ports.sql(&statement, &[]).await
                    && !is_made_by_another(&error.0)
                {
                    return Err(error);
                }
            }
            ports.sql(statement, parameters).await
        }
        other => other,
    }
}

/// In SQLite's words, and in PostgreSQL's (42P01: a table, 42703: a column).
fn is_missing(words: &str) -> bool {
    ["no such table", "no such column", "has no column named", "42P01", "42703"].iter().any(|each| words.contains(each))
        || (["relation", "column"].iter().any(|each| words.contains(each)) && words.contains("does not exist"))
}

/// PostgreSQL's IF NOT EXISTS does not wait for another that makes the same table: it fails on the catalogue's key. SQLite has
/// none for columns.
fn is_made_by_another(words: &str) -> bool {
    ["already exists", "23505", "duplicate key", "duplicate column"].iter().any(|each| words.contains(each))
}
