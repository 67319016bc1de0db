//! The rows of the exported tables, as values in the order of the columns.

use std::{cmp::Reverse, collections::HashMap, ops::ControlFlow};

use serde::Serialize;
use serde_json::Value;

use super::columns::{Table, export_columns};
use crate::{Filter, SensorRow, Store, StoreError, WindowFilter, WindowRow};

/// Takes a row.
pub(super) type RowVisitor<'a> = &'a mut dyn FnMut(Vec<Value>) -> Result<(), StoreError>;

impl Store {
    /// Calls `visit` with each row, as values in the order of the table's columns.
    pub(super) fn for_each_row(&self, table: Table, filter: &Filter, visit: RowVisitor<'_>) -> Result<(), StoreError> {
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
}

/// Converts rows to values by the names of their fields.
fn visit_rows<T: Serialize>(table: Table, rows: Vec<T>, visit: RowVisitor<'_>) -> Result<(), StoreError> {
    for row in rows {
        let row = serde_json::to_value(row).map_err(|error| StoreError::Export(error.to_string()))?;
        visit(export_columns(table).iter().map(|(name, _)| row.get(name).cloned().unwrap_or(Value::Null)).collect())?;
    }
    Ok(())
}
