//! Queries, and writes of sensors and states.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params, types::ValueRef};
use serde::Serialize;
use serde_json::Value;

use crate::{
    AlertRow, AnomalyRow, PartitionProgress, SensorRow, SkippedRange, Store, StoreError, WindowBlock, WorkOrderRow,
    column_codec::decode_f32, window_chunks,
};

/// Chunks of windows per read.
const WINDOW_CHUNKS_PER_READ: i64 = 256;

/// A filter for rows. A field that is `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Earliest time, inclusive, in nanoseconds since 1970.
    pub from: Option<i64>,
    /// Latest time, exclusive.
    pub to: Option<i64>,
    /// The sensor's name.
    pub sensor: Option<String>,
    /// The asset.
    pub asset: Option<String>,
    /// The reason of a dead letter.
    pub reason: Option<String>,
    /// Maximum number of rows; the newest ones are returned.
    pub limit: Option<usize>,
}

/// Hourly aggregates of one sensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HourlyAggregate {
    /// Start of the hour.
    pub hour: i64,
    /// Mean.
    pub avg: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
    /// Population standard deviation.
    pub std: f64,
    /// Number of readings.
    pub count: u64,
}

/// The columns of a table that a filter refers to.
pub(crate) struct FilterColumns {
    pub(crate) time: &'static str,
    /// Orders rows of the same time.
    pub(crate) tie_breaker: &'static str,
    pub(crate) sensor: Option<&'static str>,
    pub(crate) asset: Option<&'static str>,
    pub(crate) reason: Option<&'static str>,
}

impl Filter {
    /// Returns the SQL clause and its parameters.
    pub(crate) fn to_clause(&self, columns: &FilterColumns) -> (String, Vec<Box<dyn ToSql>>) {
        let mut clause = String::new();
        let mut parameters: Vec<Box<dyn ToSql>> = Vec::new();
        let mut add_condition = |condition: String, parameter: Box<dyn ToSql>| {
            clause.push_str(if parameters.is_empty() { " WHERE " } else { " AND " });
            clause.push_str(&condition);
            parameters.push(parameter);
        };
        if let Some(from) = self.from {
            add_condition(format!("{} >= ?", columns.time), Box::new(from));
        }
        if let Some(to) = self.to {
            add_condition(format!("{} < ?", columns.time), Box::new(to));
        }
        for (column, value) in
            [(columns.sensor, &self.sensor), (columns.asset, &self.asset), (columns.reason, &self.reason)]
        {
            if let (Some(column), Some(value)) = (column, value) {
                add_condition(format!("{column} = ?"), Box::new(value.clone()));
            }
        }
        clause.push_str(&format!(" ORDER BY {} DESC, {}", columns.time, columns.tie_breaker));
        if let Some(limit) = self.limit {
            clause.push_str(&format!(" LIMIT {limit}"));
        }
        (clause, parameters)
    }
}

pub(crate) fn select<T>(
    from: &Connection,
    columns: &str,
    (clause, parameters): (String, Vec<Box<dyn ToSql>>),
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = from.prepare(&format!("{columns}{clause}"))?;
    let rows = statement.query_map(rusqlite::params_from_iter(parameters), row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn parse_names(json: &str) -> Vec<String> {
    serde_json::from_str(json).unwrap_or_default()
}

impl Store {
    /// Registers sensors (name, asset, unit, kind). Returns their ids. A known sensor keeps its id; a unit or kind that
    /// is not empty replaces the stored one.
    ///
    /// # Errors
    /// [`StoreError`]; no sensor was registered.
    pub fn register_sensors(&self, sensors: &[(&str, &str, &str, &str)]) -> Result<Vec<u32>, StoreError> {
        self.write(|to| {
            let mut ids = Vec::with_capacity(sensors.len());
            let mut upsert = to.prepare_cached(
                "INSERT INTO sensors (id, name, asset, unit, kind)
                 VALUES ((SELECT coalesce(max(id), -1) + 1 FROM sensors), ?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET
                    unit = CASE excluded.unit WHEN '' THEN unit ELSE excluded.unit END,
                    kind = CASE excluded.kind WHEN '' THEN kind ELSE excluded.kind END
                 RETURNING id",
            )?;
            for (name, asset, unit, kind) in sensors {
                ids.push(upsert.query_row(params![name, asset, unit, kind], |row| row.get(0))?);
            }
            Ok(ids)
        })
    }

    /// The number of registered sensors.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sensor_count(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let count: i64 = connection
                .prepare_cached("SELECT coalesce(max(id), -1) + 1 FROM sensors")?
                .query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }

    /// All sensors, in order of id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn sensors(&self) -> Result<Vec<SensorRow>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT id, name, asset, unit, kind FROM sensors ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                Ok(SensorRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    asset: row.get(2)?,
                    unit: row.get(3)?,
                    kind: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The progress of all partitions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoints(&self) -> Result<Vec<PartitionProgress>, StoreError> {
        let offset = |value: i64| u64::try_from(value).unwrap_or(0);
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT partition, snapshot_offset, applied_offset, snapshot, topic_ends FROM partitions ORDER BY partition")?;
            let rows = statement.query_map([], |row| {
                Ok(PartitionProgress {
                    partition: row.get(0)?,
                    snapshot_offset: offset(row.get(1)?),
                    applied_offset: offset(row.get(2)?),
                    snapshot: row.get(3)?,
                    topic_ends: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Ranges of a partition's log that were skipped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn skipped_ranges(&self, partition: u16) -> Result<Vec<SkippedRange>, StoreError> {
        let offset = |value: i64| u64::try_from(value).unwrap_or(0);
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT start, stop, asset FROM skipped WHERE partition = ?1 ORDER BY start, asset")?;
            let rows = statement.query_map([partition], |row| {
                let asset: String = row.get(2)?;
                let asset = (!asset.is_empty()).then_some(asset);
                Ok(SkippedRange { start: offset(row.get(0)?), stop: offset(row.get(1)?), asset })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the state stored under `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state_get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|connection| {
            Ok(connection.query_row("SELECT value FROM state WHERE key = ?1", [key], |row| row.get(0)).optional()?)
        })
    }

    /// Stores a state under `key`. It is durable on return.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn state_put(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(|to| {
            to.prepare_cached("INSERT OR REPLACE INTO state VALUES (?1, ?2)")?.execute(params![key, value])?;
            Ok(())
        })
    }

    /// Deletes the states whose keys start with `prefix`, except that of `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_other_states(&self, prefix: &str, key: &str) -> Result<(), StoreError> {
        let statement = "DELETE FROM state WHERE substr(key, 1, length(?1)) = ?1 AND key <> ?2";
        self.write(|to| {
            to.prepare_cached(statement)?.execute(params![prefix, key])?;
            Ok(())
        })
    }

    /// Start, rate and samples of one sensor's waveforms.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn waveforms(&self, sensor: u32, from: i64, to: i64) -> Result<Vec<(i64, f64, Vec<f32>)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT start_time, rate, samples FROM waveform_chunks WHERE sensor = ?1 AND start_time >= ?2 AND start_time < ?3
                 ORDER BY start_time",
            )?;
            let mut found = Vec::new();
            let mut rows = statement.query(params![sensor, from, to])?;
            while let Some(row) = rows.next()? {
                let samples = decode_f32(row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?)?;
                found.push((row.get(0)?, row.get(1)?, samples));
            }
            Ok(found)
        })
    }

    /// Hourly aggregates of one sensor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn hourly_aggregates(&self, sensor: u32, from: i64, to: i64) -> Result<Vec<HourlyAggregate>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT hour, mean, min, max, max(m2, 0) / count, count FROM reading_hourly_sums
                 WHERE sensor = ?1 AND hour >= ?2 AND hour < ?3 ORDER BY hour",
            )?;
            let rows = statement.query_map(params![sensor, from, to], |row| {
                Ok(HourlyAggregate {
                    hour: row.get(0)?,
                    avg: row.get(1)?,
                    min: row.get(2)?,
                    max: row.get(3)?,
                    std: row.get::<_, f64>(4)?.sqrt(),
                    count: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Windows of the filter's asset (or of all assets) that start in its time range, in order of asset and checkpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn windows(&self, filter: &Filter) -> Result<Vec<WindowBlock>, StoreError> {
        let mut found = Vec::new();
        self.for_each_window_block(filter, |block| {
            found.push(block);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` with each block of [`Self::windows`]. Blocks are read in pages; `visit` may be slow, because no
    /// snapshot is held during the call.
    ///
    /// # Errors
    /// [`StoreError`], or the error of `visit`.
    pub fn for_each_window_block(
        &self,
        filter: &Filter,
        mut visit: impl FnMut(WindowBlock) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (from, to) = (filter.from.unwrap_or(i64::MIN), filter.to.unwrap_or(i64::MAX));
        let mut last = (String::new(), i64::MIN, String::new());
        loop {
            let page = self.read(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT asset, features, sensors, starts, ends, counts, vals, start_time FROM window_chunks
                     WHERE (asset, start_time, features) > (?1, ?2, ?3) AND (?4 IS NULL OR asset = ?4)
                        AND start_time < ?6 AND end_time >= ?5 ORDER BY asset, start_time, features LIMIT ?7",
                )?;
                let narrowed = params![last.0, last.1, last.2, filter.asset, from, to, WINDOW_CHUNKS_PER_READ];
                let mut page = Vec::new();
                let mut chunks = statement.query(narrowed)?;
                while let Some(chunk) = chunks.next()? {
                    page.push((window_chunks::decode_block(chunk)?, chunk.get::<_, i64>(7)?));
                }
                Ok(page)
            })?;
            let Some((newest, start)) = page.last() else { return Ok(()) };
            last = (newest.asset.clone(), *start, newest.features.join(","));
            for (mut block, _) in page {
                let width = block.features.len().max(1);
                let inside: Vec<bool> = block.rows.iter().map(|row| row.start >= from && row.start < to).collect();
                let mut kept = inside.iter();
                block.rows.retain(|_| kept.next().is_some_and(|&kept| kept));
                let mut kept = inside.iter().flat_map(|kept| std::iter::repeat_n(kept, width));
                block.values.retain(|_| kept.next().is_some_and(|&kept| kept));
                visit(block)?;
            }
        }
    }

    /// Anomalies, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn anomalies(&self, filter: &Filter) -> Result<Vec<AnomalyRow>, StoreError> {
        let columns = FilterColumns {
            time: "detection_time",
            tie_breaker: "id",
            sensor: Some("sensor"),
            asset: Some("asset"),
            reason: None,
        };
        let what = "SELECT id, detection_time, sensor, asset, start_time, end_time, score, model, severity, handled, threshold, \
                    confidence, fault_mode, message, metadata FROM anomalies";
        self.read(|connection| {
            select(connection, what, filter.to_clause(&columns), |row| {
                Ok(AnomalyRow {
                    id: row.get(0)?,
                    detection_time: row.get(1)?,
                    sensor: row.get(2)?,
                    asset: row.get(3)?,
                    start_time: row.get(4)?,
                    end_time: row.get(5)?,
                    score: row.get(6)?,
                    model: row.get(7)?,
                    severity: row.get(8)?,
                    handled: row.get(9)?,
                    threshold: row.get(10)?,
                    confidence: row.get(11)?,
                    fault_mode: row.get(12)?,
                    message: row.get(13)?,
                    metadata: row.get(14)?,
                })
            })
        })
    }

    /// Alerts, in descending order of their last update.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn alerts(&self, filter: &Filter) -> Result<Vec<AlertRow>, StoreError> {
        let columns = FilterColumns {
            time: "updated",
            tie_breaker: "id",
            sensor: Some("sensor"),
            asset: Some("asset"),
            reason: None,
        };
        let what = "SELECT id, asset, sensor, severity, state, opened, updated, resolved, anomalies, peak_score, anomaly, \
                    fault_mode, title, message, recommendation FROM alerts";
        self.read(|connection| {
            select(connection, what, filter.to_clause(&columns), |row| {
                Ok(AlertRow {
                    id: row.get(0)?,
                    asset: row.get(1)?,
                    sensor: row.get(2)?,
                    severity: row.get(3)?,
                    state: row.get(4)?,
                    opened: row.get(5)?,
                    updated: row.get(6)?,
                    resolved: row.get(7)?,
                    anomalies: row.get(8)?,
                    peak_score: row.get(9)?,
                    anomaly: row.get(10)?,
                    fault_mode: row.get(11)?,
                    title: row.get(12)?,
                    message: row.get(13)?,
                    recommendation: row.get(14)?,
                })
            })
        })
    }

    /// Work orders, in descending order of their scheduled time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn work_orders(&self, filter: &Filter) -> Result<Vec<WorkOrderRow>, StoreError> {
        let columns = FilterColumns {
            time: "scheduled_time",
            tie_breaker: "id",
            sensor: None,
            asset: Some("asset"),
            reason: None,
        };
        let what = "SELECT id, alert, asset, type, priority, status, scheduled_time, estimated_duration_minutes, technician, \
                    skills, after, cost, notes, pinned FROM work_orders";
        self.read(|connection| {
            select(connection, what, filter.to_clause(&columns), |row| {
                Ok(WorkOrderRow {
                    id: row.get(0)?,
                    alert: row.get(1)?,
                    asset: row.get(2)?,
                    kind: row.get(3)?,
                    priority: row.get(4)?,
                    status: row.get(5)?,
                    scheduled: row.get(6)?,
                    duration_minutes: row.get(7)?,
                    technician: row.get(8)?,
                    skills: parse_names(&row.get::<_, String>(9)?),
                    after: parse_names(&row.get::<_, String>(10)?),
                    cost: row.get(11)?,
                    notes: row.get(12)?,
                    pinned: row.get(13)?,
                })
            })
        })
    }

    /// Runs one SELECT statement. Returns the names of the columns, and the rows.
    ///
    /// # Errors
    /// [`StoreError::NotSelect`] for any other statement; [`StoreError::Sqlite`] for an error of SQLite.
    pub fn query_sql(&self, statement: &str) -> Result<(Vec<String>, Vec<Vec<Value>>), StoreError> {
        self.read(|connection| {
            let mut prepared =
                connection.prepare(statement).map_err(|error| StoreError::InvalidStatement(error.to_string()))?;
            if !prepared.readonly() || prepared.column_count() == 0 {
                return Err(StoreError::NotSelect(statement.to_owned()));
            }
            let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
            let rows = prepared
                .query_map([], |row| (0..columns.len()).map(|index| Ok(json_value(row.get_ref(index)?))).collect())?;
            let rows = rows.collect::<Result<_, _>>()?;
            Ok((columns, rows))
        })
    }
}

fn json_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}
