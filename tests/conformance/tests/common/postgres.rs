//! Rows of PostgreSQL as the cases read them.

use anyhow::bail;
use wheeltapper_conformance::Cell;
use wheeltapper_wasmcloud_world::Row;

/// Rows as cells.
pub fn cells(rows: &[Row]) -> anyhow::Result<Vec<Vec<Cell>>> {
    rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect()).collect()
}

fn cell(row: &Row, at: usize) -> anyhow::Result<Cell> {
    let found = match row.columns()[at].type_().name() {
        "int8" => row.try_get::<_, Option<i64>>(at)?.map(Cell::Integer),
        "float8" => row.try_get::<_, Option<f64>>(at)?.map(Cell::Real),
        "text" => row.try_get::<_, Option<String>>(at)?.map(Cell::Text),
        "bytea" => row.try_get::<_, Option<Vec<u8>>>(at)?.map(Cell::Blob),
        other => bail!("a column of the type {other}"),
    };
    Ok(found.unwrap_or(Cell::Null))
}
