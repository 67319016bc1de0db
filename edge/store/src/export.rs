//! Export of tables as CSV and Parquet.

use std::{cmp::Reverse, collections::HashMap, fs::File, io::Write, ops::ControlFlow, path::Path, sync::Arc};

use parquet::{
    basic::{Compression, Repetition, Type as Physical, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use serde::Serialize;
use serde_json::Value;

use crate::{Filter, SensorRow, Store, StoreError, WindowFilter, WindowRow};

/// Rows per Parquet row group.
const ROW_GROUP_SIZE: usize = 100_000;

/// The tables that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Raw readings: time, sensor, value.
    Readings,
    /// Windows: asset, sensor, start, end, count, feature, value (one row per feature).
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
enum ColumnType {
    Integer,
    Real,
    Text,
}

fn export_columns(table: Table) -> &'static [(&'static str, ColumnType)] {
    use ColumnType::{Integer, Real, Text};
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
            ("pinned", Text),
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

type RowVisitor<'a> = &'a mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>;

impl Store {
    /// Calls `visit` with each row, as values in the order of the table's columns.
    fn for_each_row(&self, table: Table, filter: &Filter, visit: RowVisitor<'_>) -> Result<(), StoreError> {
        match table {
            Table::Readings => self.for_each_exported_reading(filter, visit),
            Table::Windows => self.for_each_exported_window(filter, visit),
            Table::Anomalies => visit_rows(table, self.anomalies(filter)?, visit),
            Table::Alerts => visit_rows(table, self.alerts(filter)?, visit),
            Table::WorkOrders => visit_rows(table, self.work_orders(filter)?, visit),
            Table::DeadLetters => visit_rows(table, self.dead_letters_without_payload(filter)?, visit),
        }
    }

    fn for_each_exported_reading(&self, filter: &Filter, visit: RowVisitor<'_>) -> Result<(), StoreError> {
        let (from, to) = (filter.from.unwrap_or(i64::MIN), filter.to.unwrap_or(i64::MAX));
        let is_selected = |sensor: &SensorRow| {
            filter.sensor.as_ref().is_none_or(|name| *name == sensor.name)
                && filter.asset.as_ref().is_none_or(|asset| *asset == sensor.asset)
        };
        let sensors: Vec<SensorRow> = self.sensors()?.into_iter().filter(is_selected).collect();
        let Some(limit) = filter.limit else {
            for sensor in sensors {
                self.for_each_reading(sensor.id, from, to, |time, value| {
                    visit(vec![time.into(), sensor.name.clone().into(), value.into()])?;
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            return Ok(());
        };
        // The newest readings of all sensors. Readings older than the oldest of them need not be read.
        let mut newest: Vec<(i64, usize, f64)> = Vec::new();
        let mut since = from;
        for (index, sensor) in sensors.iter().enumerate() {
            let readings = self.newest_readings(sensor.id, since, to, limit)?;
            newest.extend(readings.into_iter().map(|(time, value)| (time, index, value)));
            newest.sort_by_key(|&(time, index, _)| (Reverse(time), index));
            newest.truncate(limit);
            if newest.len() == limit {
                since = newest.last().map_or(from, |last| last.0);
            }
        }
        newest.sort_by_key(|&(time, index, _)| (index, time));
        for (time, index, value) in newest {
            let name = sensors.get(index).map(|sensor| sensor.name.clone()).unwrap_or_default();
            visit(vec![time.into(), name.into(), value.into()])?;
        }
        Ok(())
    }

    fn for_each_exported_window(&self, filter: &Filter, visit: RowVisitor<'_>) -> Result<(), StoreError> {
        let sensors = self.sensors()?;
        let names: HashMap<u32, &str> = sensors.iter().map(|sensor| (sensor.id, sensor.name.as_str())).collect();
        let name = |sensor: u32| names.get(&sensor).copied().unwrap_or_default();
        let is_selected = |sensor: u32| filter.sensor.as_ref().is_none_or(|selected| selected == name(sensor));
        let mut write = |asset: &str, row: WindowRow, feature: &str, value: f64| {
            visit(vec![
                asset.into(),
                name(row.sensor).into(),
                row.start.into(),
                row.end.into(),
                row.count.into(),
                feature.into(),
                value.into(),
            ])
        };
        let Some(limit) = filter.limit else {
            return self.for_each_window_block(filter, |block| {
                for (row, values) in block.rows.iter().zip(block.values.chunks(block.features.len().max(1))) {
                    for (feature, value) in block.features.iter().zip(values).filter(|_| is_selected(row.sensor)) {
                        write(&block.asset, *row, feature, *value)?;
                    }
                }
                Ok(())
            });
        };
        // The newest windows; each has at least one row. `after` excludes windows that end at it.
        let span = WindowFilter {
            asset: filter.asset.clone(),
            sensor: filter
                .sensor
                .as_ref()
                .and_then(|name| sensors.iter().find(|row| row.name == *name))
                .map(|row| row.id),
            after: filter.from,
            before: filter.to,
        };
        if filter.sensor.is_some() && span.sensor.is_none() {
            return Ok(());
        }
        let mut remaining = limit;
        for window in self.newest_windows(&span, limit, |_| true)? {
            let row = WindowRow { sensor: window.sensor, start: window.start, end: window.end, count: window.count };
            // A window that starts before `from` is excluded.
            if filter.from.is_some_and(|from| row.start < from) {
                continue;
            }
            for (feature, value) in window.features {
                if remaining == 0 {
                    return Ok(());
                }
                remaining -= 1;
                write(&window.asset, row, &feature, value)?;
            }
        }
        Ok(())
    }

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

/// Keeps the system's I/O error, so that a closed pipe can be recognised.
fn csv_error(error: csv::Error) -> StoreError {
    let text = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) => StoreError::Io(error),
        _ => StoreError::Export(text),
    }
}

/// Converts rows to values by the names of their fields.
fn visit_rows<T: Serialize>(table: Table, rows: Vec<T>, visit: RowVisitor<'_>) -> Result<(), StoreError> {
    for row in rows {
        let row = serde_json::to_value(row).map_err(|error| StoreError::Export(error.to_string()))?;
        visit(export_columns(table).iter().map(|(name, _)| row.get(name).cloned().unwrap_or(Value::Null)).collect())?;
    }
    Ok(())
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

fn to_text(value: &Value) -> String {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::{AlertRow, AnomalyRow, Commit, DeadLetter, SensorReadings, WindowBlock, WorkOrderRow};

    fn work_order() -> WorkOrderRow {
        WorkOrderRow {
            id: "=cmd|' /C calc'!A0".into(),
            alert: "@SUM(1)".into(),
            asset: "\tm".into(),
            kind: "-1".into(),
            priority: 2,
            status: "planned".into(),
            scheduled: Some(-5),
            duration_minutes: 60,
            technician: Some("+49".into()),
            skills: vec!["=x".into()],
            after: Vec::new(),
            cost: -1.5,
            notes: "\rnote".into(),
            pinned: true,
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        store.register_sensors(&[("a", "m", "", ""), ("b", "m", "", "")]).unwrap();
        (folder, store)
    }

    fn csv(store: &Store, table: Table, filter: &Filter) -> Vec<Vec<String>> {
        let mut bytes = Vec::new();
        let rows = store.export_csv(&mut bytes, table, filter).unwrap();
        let read: Vec<Vec<String>> = csv::Reader::from_reader(bytes.as_slice())
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert_eq!(read.len() as u64, rows);
        read
    }

    #[test]
    fn exported_text_is_never_a_formula_and_numbers_stay_numbers() {
        let (_folder, store) = store();
        store.commit(&Commit { work_orders: &[work_order()], ..Commit::default() }).unwrap();
        let rows = csv(&store, Table::WorkOrders, &Filter::default());
        let expected =
            ["'=cmd|' /C calc'!A0", "'@SUM(1)", "'\tm", "'-1", "2", "planned", "-5", "60", "'+49", "[\"=x\"]"];
        assert_eq!(rows[0][..10], expected);
        assert_eq!(rows[0][10..], ["[]", "-1.5", "'\rnote", "true"]);
    }

    #[test]
    fn every_field_of_a_row_is_exported() {
        fn fields(row: impl Serialize) -> Vec<String> {
            let mut names: Vec<String> =
                serde_json::to_value(row).unwrap().as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        }
        fn exported(table: Table) -> Vec<String> {
            let mut names: Vec<String> = export_columns(table).iter().map(|(name, _)| (*name).to_owned()).collect();
            names.sort();
            names
        }
        let text = String::new;
        let anomaly = AnomalyRow {
            id: text(),
            detection_time: 0,
            sensor: text(),
            asset: text(),
            start_time: 0,
            end_time: 0,
            score: 0.0,
            model: text(),
            severity: text(),
            handled: false,
            threshold: 0.0,
            confidence: 0.0,
            fault_mode: None,
            message: text(),
            metadata: text(),
        };
        let alert = AlertRow {
            id: text(),
            asset: text(),
            sensor: text(),
            severity: text(),
            state: text(),
            opened: 0,
            updated: 0,
            resolved: None,
            anomalies: 0,
            peak_score: 0.0,
            anomaly: text(),
            fault_mode: None,
            title: text(),
            message: text(),
            recommendation: text(),
        };
        let dead_letter = DeadLetter {
            id: text(),
            time: 0,
            source: text(),
            reason: text(),
            message: text(),
            payload: Vec::new(),
            readings: 0,
            sensor: None,
            format: None,
        };
        assert_eq!(fields(anomaly), exported(Table::Anomalies));
        assert_eq!(fields(alert), exported(Table::Alerts));
        assert_eq!(fields(work_order()), exported(Table::WorkOrders));
        assert_eq!(fields(dead_letter), exported(Table::DeadLetters));
    }

    #[test]
    fn a_limit_holds_for_all_tables_and_takes_the_newest() {
        let (_folder, store) = store();
        let readings = [0_u32, 1].map(|sensor| SensorReadings {
            sensor,
            times: (0..100).map(|at| at * 10 + i64::from(sensor)).collect(),
            values: vec![1.0; 100],
        });
        let row = |start: i64| WindowRow { sensor: 1, start, end: start + 30, count: 3 };
        let windows = [WindowBlock {
            asset: "m".into(),
            features: vec!["mean".into(), "rms".into()],
            rows: (0..50).map(row).collect(),
            values: (0..100).map(f64::from).collect(),
        }];
        store.commit(&Commit { readings: &readings, windows: &windows, ..Commit::default() }).unwrap();
        let limit = |limit| Filter { limit: Some(limit), ..Filter::default() };
        let rows = csv(&store, Table::Readings, &limit(3));
        assert_eq!(rows, [["990", "a", "1.0"], ["981", "b", "1.0"], ["991", "b", "1.0"]]);
        let rows = csv(&store, Table::Windows, &limit(3));
        let expected = [
            ["m", "b", "49", "79", "3", "mean", "98.0"],
            ["m", "b", "49", "79", "3", "rms", "99.0"],
            ["m", "b", "48", "78", "3", "mean", "96.0"],
        ];
        assert_eq!(rows, expected);
        assert_eq!(csv(&store, Table::Windows, &Filter::default()).len(), 100);
        let other = Filter { sensor: Some("a".into()), ..limit(3) };
        assert!(csv(&store, Table::Windows, &other).is_empty());
        let early = Filter { from: Some(45), to: Some(48), ..limit(100) };
        assert_eq!(csv(&store, Table::Windows, &early).len(), 6);
    }
}
