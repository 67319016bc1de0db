//! Export as Parquet.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    basic::{Compression, Repetition, Type as Physical, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use serde_json::Value;

use super::columns::{ColumnType, Table, export_columns, to_text};
use crate::{Filter, Store, StoreError};

/// Rows per Parquet row group.
const ROW_GROUP_SIZE: usize = 100_000;

impl Store {
    /// Writes a table as Parquet, compressed with zstd. Returns the number of rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export_parquet(&self, to: &Path, table: Table, filter: &Filter) -> Result<u64, StoreError> {
        let failed = |error: parquet::errors::ParquetError| StoreError::Export(error.to_string());
        let mut fields = Vec::new();
        for (name, column_type) in export_columns(table) {
            let (physical, logical) = match column_type {
                ColumnType::Integer => (Physical::INT64, None),
                ColumnType::Real => (Physical::DOUBLE, None),
                ColumnType::Text => (Physical::BYTE_ARRAY, Some(parquet::basic::LogicalType::String)),
            };
            let field = Type::primitive_type_builder(name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            fields.push(Arc::new(field.build().map_err(failed)?));
        }
        let schema = Type::group_type_builder("row").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer =
            SerializedFileWriter::new(File::create(to)?, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        let mut group: Vec<Vec<Value>> = Vec::new();
        let mut rows = 0;
        self.for_each_row(table, filter, &mut |row| {
            rows += 1;
            group.push(row);
            if group.len() >= ROW_GROUP_SIZE {
                write_group(&mut writer, table, &group).map_err(failed)?;
                group.clear();
            }
            Ok(())
        })?;
        if !group.is_empty() {
            write_group(&mut writer, table, &group).map_err(failed)?;
        }
        writer.close().map_err(failed)?;
        Ok(rows)
    }
}

fn write_group(
    writer: &mut SerializedFileWriter<File>,
    table: Table,
    rows: &[Vec<Value>],
) -> Result<(), parquet::errors::ParquetError> {
    let mut group = writer.next_row_group()?;
    for (index, (_, column_type)) in export_columns(table).iter().enumerate() {
        let cells: Vec<&Value> = rows.iter().filter_map(|row| row.get(index)).collect();
        let Some(mut column) = group.next_column()? else { continue };
        let definition_levels =
            |present: &dyn Fn(&Value) -> bool| cells.iter().map(|cell| i16::from(present(cell))).collect::<Vec<i16>>();
        match column_type {
            ColumnType::Integer => {
                let values: Vec<i64> = cells.iter().filter_map(|cell| cell.as_i64()).collect();
                let levels = definition_levels(&|cell| cell.as_i64().is_some());
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            ColumnType::Real => {
                let values: Vec<f64> = cells.iter().filter_map(|cell| cell.as_f64()).collect();
                let levels = definition_levels(&|cell| cell.as_f64().is_some());
                column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
            }
            ColumnType::Text => {
                let values: Vec<ByteArray> = cells
                    .iter()
                    .filter(|cell| !cell.is_null())
                    .map(|cell| ByteArray::from(to_text(cell).into_bytes()))
                    .collect();
                let levels = definition_levels(&|cell| !cell.is_null());
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}
