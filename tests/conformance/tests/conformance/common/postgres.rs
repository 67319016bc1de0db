//! Converts PostgreSQL's rows to the rows of the cases.

use anyhow::bail;
use wheeltapper_conformance::SqlValue;
use wheeltapper_wasmcloud_test_host::Row;

/// Converts rows.
pub fn to_sql_values(rows: &[Row]) -> anyhow::Result<Vec<Vec<SqlValue>>> {
    rows.iter().map(|row| (0..row.len()).map(|index| to_sql_value(row, index)).collect()).collect()
}

fn to_sql_value(row: &Row, index: usize) -> anyhow::Result<SqlValue> {
    let value = match row.columns()[index].type_().name() {
        "int8" => row.try_get::<_, Option<i64>>(index)?.map(SqlValue::Integer),
        "float8" => row.try_get::<_, Option<f64>>(index)?.map(SqlValue::Real),
        "text" => row.try_get::<_, Option<String>>(index)?.map(SqlValue::Text),
        "bytea" => row.try_get::<_, Option<Vec<u8>>>(index)?.map(SqlValue::Blob),
        other => bail!("unexpected column type {other}"),
    };
    Ok(value.unwrap_or(SqlValue::Null))
}
