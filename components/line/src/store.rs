//! Runs statements, and creates missing tables and columns on demand.

use crate::{PortError, Ports, Value, schema};

/// Runs a statement. If a table or column is missing, creates everything that is missing and runs the statement again.
pub(crate) async fn execute<P: Ports>(
    ports: &P,
    statement: &str,
    parameters: &[Value],
) -> Result<Vec<Vec<Value>>, PortError> {
    match ports.sql(statement, parameters).await {
        Err(error) if is_missing_table_or_column(&error.0) => {
            for statement in schema::statements(ports.dialect()) {
                if let Err(error) = ports.sql(&statement, &[]).await
                    && !is_already_created(&error.0)
                {
                    return Err(error);
                }
            }
            ports.sql(statement, parameters).await
        }
        other => other,
    }
}

/// Recognises the messages of SQLite and PostgreSQL (42P01: a table, 42703: a column).
fn is_missing_table_or_column(message: &str) -> bool {
    ["no such table", "no such column", "has no column named", "42P01", "42703"]
        .iter()
        .any(|pattern| message.contains(pattern))
        || (["relation", "column"].iter().any(|pattern| message.contains(pattern))
            && message.contains("does not exist"))
}

/// PostgreSQL's IF NOT EXISTS does not wait for a concurrent creation of the same table: it fails on the catalogue's
/// key. SQLite has no IF NOT EXISTS for columns.
fn is_already_created(message: &str) -> bool {
    ["already exists", "23505", "duplicate key", "duplicate column"].iter().any(|pattern| message.contains(pattern))
}
