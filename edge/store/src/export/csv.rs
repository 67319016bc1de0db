//! Export as CSV.

use std::io::Write;

use serde_json::Value;

use super::columns::{ColumnType, Table, export_columns, to_text};
use crate::{Filter, Store, StoreError};

impl Store {
    /// Writes a table as CSV with a header. Returns the number of rows. A text that a spreadsheet would interpret as a
    /// formula gets an apostrophe as prefix.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export_csv(&self, to: impl Write, table: Table, filter: &Filter) -> Result<u64, StoreError> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(export_columns(table).iter().map(|(name, _)| name)).map_err(csv_error)?;
        let mut rows = 0;
        self.for_each_row(table, filter, &mut |row| {
            rows += 1;
            let cells =
                row.iter().zip(export_columns(table)).map(|(value, (_, column_type))| csv_field(value, *column_type));
            writer.write_record(cells).map_err(csv_error)
        })?;
        writer.flush()?;
        Ok(rows)
    }
}

/// Keeps the system's I/O error, so that a closed pipe can be recognised.
fn csv_error(error: csv::Error) -> StoreError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => StoreError::Io(error),
        _ => StoreError::Export(text),
    }
}

/// Formats a value as a CSV field.
fn csv_field(value: &Value, column_type: ColumnType) -> String {
    let mut text = to_text(value);
    // Texts come from devices and users. A spreadsheet evaluates a text with one of these prefixes (OWASP, "CSV
    // Injection").
    if column_type == ColumnType::Text
        && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
    {
        text.insert(0, '\'');
    }
    text
}
