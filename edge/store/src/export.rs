//! Tables as CSV and Parquet.

use std::{fs::File, io::Write, path::Path, sync::Arc};

use parquet::{
    basic::{Compression, Repetition, Type as Physical, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use serde::Serialize;
use serde_json::Value;

use crate::{Filter, Store, StoreError};

/// Rows in a row group of Parquet.
const GROUP: usize = 100_000;

/// What can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Raw readings: time, sensor, value.
    Readings,
    /// Windows: asset, sensor, start, end, count, feature, value (one row a feature).
    Windows,
    /// Anomalies.
    Anomalies,
    /// Alerts.
    Alerts,
    /// Work orders.
    WorkOrders,
    /// Dead letters, without payload.
    DeadLetters,
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Integer,
    Real,
    Text,
}

fn columns(table: Table) -> &'static [(&'static str, Kind)] {
    use Kind::{Integer, Real, Text};
    match table {
        Table::Readings => &[("time", Integer), ("sensor", Text), ("value", Real)],
        Table::Windows => &[
            ("asset", Text),
            ("sensor", Text),
            ("start", Integer),
            ("end", Integer),
            ("count", Integer),
            ("feature", Text),
            ("value", Real),
        ],
        Table::Anomalies => &[
            ("id", Text),
            ("detection_time", Integer),
            ("sensor", Text),
            ("asset", Text),
            ("start_time", Integer),
            ("end_time", Integer),
            ("score", Real),
            ("model", Text),
            ("severity", Text),
            ("handled", Text),
            ("threshold", Real),
            ("confidence", Real),
            ("fault_mode", Text),
            ("message", Text),
            ("metadata", Text),
        ],
        Table::Alerts => &[
            ("id", Text),
            ("asset", Text),
            ("sensor", Text),
            ("severity", Text),
            ("state", Text),
            ("opened", Integer),
            ("updated", Integer),
            ("resolved", Integer),
            ("anomalies", Integer),
            ("peak_score", Real),
            ("anomaly", Text),
            ("fault_mode", Text),
            ("title", Text),
            ("message", Text),
            ("recommendation", Text),
        ],
        Table::WorkOrders => &[
            ("id", Text),
            ("alert", Text),
            ("asset", Text),
            ("kind", Text),
            ("priority", Integer),
            ("status", Text),
            ("scheduled", Integer),
            ("duration_minutes", Integer),
            ("technician", Text),
            ("skills", Text),
            ("after", Text),
            ("cost", Real),
            ("notes", Text),
        ],
        Table::DeadLetters => &[
            ("id", Text),
            ("time", Integer),
            ("source", Text),
            ("reason", Text),
            ("message", Text),
            ("readings", Integer),
            ("sensor", Text),
            ("format", Text),
        ],
    }
}

type Rows<'a> = &'a mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>;

impl Store {
    /// Hands each row to `take`, as values in the order of the table's columns.
    fn each(&self, table: Table, filter: &Filter, take: Rows<'_>) -> Result<(), StoreError> {
        match table {
            Table::Readings => self.each_reading(filter, take),
            Table::Windows => self.each_window(filter, take),
            Table::Anomalies => listed(table, self.anomalies(filter)?, take),
            Table::Alerts => listed(table, self.alerts(filter)?, take),
            Table::WorkOrders => listed(table, self.work_orders(filter)?, take),
            Table::DeadLetters => listed(table, self.dead_letters(filter)?, take),
        }
    }

    fn each_reading(&self, filter: &Filter, take: Rows<'_>) -> Result<(), StoreError> {
        let mut left = filter.limit.unwrap_or(usize::MAX);
        for sensor in self.sensors()? {
            let wanted = filter.sensor.as_ref().is_none_or(|name| *name == sensor.name)
                && filter.asset.as_ref().is_none_or(|asset| *asset == sensor.asset);
            if !wanted {
                continue;
            }
            let (times, values) =
                self.readings(sensor.id, filter.from.unwrap_or(i64::MIN), filter.to.unwrap_or(i64::MAX))?;
            for (time, value) in times.into_iter().zip(values) {
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                take(vec![time.into(), sensor.name.clone().into(), value.into()])?;
            }
        }
        Ok(())
    }

    fn each_window(&self, filter: &Filter, take: Rows<'_>) -> Result<(), StoreError> {
        let names: Vec<String> = self.sensors()?.into_iter().map(|sensor| sensor.name).collect();
        for block in self.windows(filter)? {
            for (index, row) in block.rows.iter().enumerate() {
                let name = names.get(row.sensor as usize).cloned().unwrap_or_default();
                if filter.sensor.as_ref().is_some_and(|wanted| *wanted != name) {
                    continue;
                }
                for (feature, value) in
                    block.features.iter().zip(block.values.iter().skip(index * block.features.len()))
                {
                    take(vec![
                        block.asset.clone().into(),
                        name.clone().into(),
                        row.start.into(),
                        row.end.into(),
                        row.count.into(),
                        feature.clone().into(),
                        (*value).into(),
                    ])?;
                }
            }
        }
        Ok(())
    }

    /// Writes a table as CSV with a header; tells how many rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export_csv(&self, to: impl Write, table: Table, filter: &Filter) -> Result<u64, StoreError> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(columns(table).iter().map(|(name, _)| name)).map_err(unwritten)?;
        let mut rows = 0;
        self.each(table, filter, &mut |row| {
            rows += 1;
            writer.write_record(row.iter().map(text)).map_err(unwritten)
        })?;
        writer.flush()?;
        Ok(rows)
    }

    /// Writes a table as Parquet, compressed with zstd; tells how many rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn export_parquet(&self, to: &Path, table: Table, filter: &Filter) -> Result<u64, StoreError> {
        let failed = |error: parquet::errors::ParquetError| StoreError::Export(error.to_string());
        let mut fields = Vec::new();
        for (name, kind) in columns(table) {
            let (physical, logical) = match kind {
                Kind::Integer => (Physical::INT64, None),
                Kind::Real => (Physical::DOUBLE, None),
                Kind::Text => (Physical::BYTE_ARRAY, Some(parquet::basic::LogicalType::String)),
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
        self.each(table, filter, &mut |row| {
            rows += 1;
            group.push(row);
            if group.len() >= GROUP {
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

/// Keeps the system's error, which tells a closed pipe.
fn unwritten(error: csv::Error) -> StoreError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => StoreError::Io(error),
        _ => StoreError::Export(text),
    }
}

/// Rows by way of their names.
fn listed<T: Serialize>(table: Table, rows: Vec<T>, take: Rows<'_>) -> Result<(), StoreError> {
    for row in rows {
        let row = serde_json::to_value(row).map_err(|error| StoreError::Export(error.to_string()))?;
        take(columns(table).iter().map(|(name, _)| row.get(name).cloned().unwrap_or(Value::Null)).collect())?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn write_group(
    writer: &mut SerializedFileWriter<File>,
    table: Table,
    rows: &[Vec<Value>],
) -> Result<(), parquet::errors::ParquetError> {
    let mut group = writer.next_row_group()?;
    for (index, (_, kind)) in columns(table).iter().enumerate() {
        let cells: Vec<&Value> = rows.iter().filter_map(|row| row.get(index)).collect();
        let Some(mut column) = group.next_column()? else { continue };
        let there =
            |present: &dyn Fn(&Value) -> bool| cells.iter().map(|cell| i16::from(present(cell))).collect::<Vec<i16>>();
        match kind {
            Kind::Integer => {
                let values: Vec<i64> = cells.iter().filter_map(|cell| cell.as_i64()).collect();
                let levels = there(&|cell| cell.as_i64().is_some());
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            Kind::Real => {
                let values: Vec<f64> = cells.iter().filter_map(|cell| cell.as_f64()).collect();
                let levels = there(&|cell| cell.as_f64().is_some());
                column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
            }
            Kind::Text => {
                let values: Vec<ByteArray> = cells
                    .iter()
                    .filter(|cell| !cell.is_null())
                    .map(|cell| ByteArray::from(text(cell).into_bytes()))
                    .collect();
                let levels = there(&|cell| !cell.is_null());
                column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
        }
        column.close()?;
    }
    group.close()?;
    Ok(())
}
