//! Converts PostgreSQL's rows to the rows of the cases.

use anyhow::bail;
use wheeltapper_conformance::Cell;
use wheeltapper_wasmcloud_world::Row;

/// Converts rows.
pub fn cells(rows: &[Row]) -> anyhow::Result<Vec<Vec<Cell>>> {
    rows.iter().map(|row| (0..row.len()).map(|index| cell(row, index)).collect()).collect()
}

fn cell(row: &Row, index: usize) -> anyhow::Result<Cell> {
    let value = match row.columns()[index].type_().name() {
        "int8" => row.try_get::<_, Option<i64>>(index)?.map(Cell::Integer),
        "float8" => row.try_get::<_, Option<f64>>(index)?.map(Cell::Real),
        "text" => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
        "bytea" => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Cell::Blob),
        other => bail!("unexpected column type {other}"),
    };
    Ok(value.unwrap_or(Cell::Null))
}
