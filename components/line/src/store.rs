//! Statements on tables that are made when they are missed.

use crate::{PortError, Ports, Value, schema};

/// Runs a statement; where its table is missing, all are made and it is run again.
pub(crate) async fn run<P: Ports>(
    ports: &P,
    statement: &str,
    parameters: &[Value],
) -> Result<Vec<Vec<Value>>, PortError> {
    match ports.sql(statement, parameters).await {
        Err(error) if is_missing_table(&error.0) => {
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

/// In SQLite's words, and in PostgreSQL's (42P01).
fn is_missing_table(words: &str) -> bool {
    words.contains("no such table")
        || words.contains("42P01")
        || (words.contains("relation") && words.contains("does not exist"))
}

/// PostgreSQL's IF NOT EXISTS does not wait for another that makes the same table: it fails on the catalogue's key.
fn is_made_by_another(words: &str) -> bool {
    words.contains("already exists") || words.contains("23505") || words.contains("duplicate key")
}
