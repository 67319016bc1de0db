//! `wheeltapper query` and `export`: reads from the store.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    ops::ControlFlow,
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use wheeltapper_store::{Filter, Store, Table};

use super::{GlobalArgs, format_time};

/// Selects rows.
#[derive(Clone, Debug, Default, clap::Args)]
struct RowFilter {
    /// From this time, such as 2026-03-01T12:00:00Z
    #[arg(long, value_parser = super::parse_time)]
    from: Option<i64>,
    /// Before this time
    #[arg(long, value_parser = super::parse_time)]
    to: Option<i64>,
    /// Only this sensor
    #[arg(long)]
    sensor: Option<String>,
    /// Only this machine
    #[arg(long)]
    asset: Option<String>,
    /// Maximum number of rows; the newest are kept
    #[arg(long)]
    limit: Option<usize>,
}

impl RowFilter {
    /// The selected range: from (inclusive), to (exclusive), in nanoseconds since 1970.
    fn time_range(&self) -> (i64, i64) {
        (self.from.unwrap_or(i64::MIN), self.to.unwrap_or(i64::MAX))
    }

    fn filter(&self) -> Filter {
        Filter {
            from: self.from,
            to: self.to,
            sensor: self.sensor.clone(),
            asset: self.asset.clone(),
            limit: self.limit,
            ..Filter::default()
        }
    }
}

/// Prints rows of the store, one JSON object per line.
#[derive(Debug, clap::Args)]
pub(super) struct Query {
    #[command(subcommand)]
    target: QueryTarget,
}

#[derive(Debug, Subcommand)]
enum QueryTarget {
    /// Number of readings, waveform samples and windows stored so far, and of rows in the other tables
    Counts,
    /// Sensors and their machines
    Sensors,
    /// Raw readings of one sensor
    Readings(RowFilter),
    /// Hourly avg, min, max, std and count of one sensor
    Hourly(RowFilter),
    /// Anomalies, newest first
    Anomalies(RowFilter),
    /// Alerts, newest first
    Alerts(RowFilter),
    /// Baseline drifts of machines, newest first
    Drifts(RowFilter),
    /// Prognoses of remaining useful life, newest first
    Prognoses(RowFilter),
    /// Work orders, newest first
    WorkOrders(RowFilter),
    /// Any SELECT; the store is one SQLite file
    Sql {
        /// The statement
        statement: String,
    },
}

impl Query {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let store = global.open_store()?;
        let mut out = BufWriter::new(io::stdout().lock());
        self.print(&store, &mut out)?;
        out.flush()?;
        Ok(())
    }

    fn print(self, store: &Store, out: &mut impl io::Write) -> anyhow::Result<()> {
        let mut line = |value: Value| writeln!(out, "{value}");
        match self.target {
            QueryTarget::Counts => line(serde_json::to_value(store.counts()?)?)?,
            QueryTarget::Sensors => {
                for sensor in store.sensors()? {
                    line(
                        json!({ "id": sensor.name, "asset": sensor.asset, "kind": sensor.kind, "unit": sensor.unit }),
                    )?;
                }
            }
            QueryTarget::Readings(select) => {
                let number = selected_sensor_number(store, &select)?;
                let (from, to) = select.time_range();
                let mut reading = |time: i64, value: f64| line(json!({ "time": format_time(time), "value": value }));
                match select.limit {
                    Some(limit) => {
                        for (time, value) in store.newest_readings(number, from, to, limit)? {
                            reading(time, value)?;
                        }
                    }
                    None => store.for_each_reading(number, from, to, |time, value| {
                        reading(time, value)?;
                        Ok(ControlFlow::Continue(()))
                    })?,
                }
            }
            QueryTarget::Hourly(select) => {
                let number = selected_sensor_number(store, &select)?;
                let (from, to) = select.time_range();
                let hours = store.hourly_aggregates(number, from, to)?;
                let older = hours.len().saturating_sub(select.limit.unwrap_or(usize::MAX));
                for hour in hours.into_iter().skip(older) {
                    line(serde_json::to_value(hour)?)?;
                }
            }
            QueryTarget::Anomalies(select) => print_rows(store.anomalies(&select.filter())?, &mut line)?,
            QueryTarget::Alerts(select) => print_rows(store.alerts(&select.filter())?, &mut line)?,
            QueryTarget::Drifts(select) => print_rows(store.drifts(&select.filter())?, &mut line)?,
            QueryTarget::Prognoses(select) => print_rows(store.prognoses(&select.filter())?, &mut line)?,
            QueryTarget::WorkOrders(select) => print_rows(store.work_orders(&select.filter())?, &mut line)?,
            QueryTarget::Sql { statement } => {
                let (columns, found) = store.query_sql(&statement)?;
                for row in found {
                    line(Value::Object(columns.iter().cloned().zip(row).collect()))?;
                }
            }
        }
        Ok(())
    }
}

fn print_rows<T: serde::Serialize>(rows: Vec<T>, line: &mut impl FnMut(Value) -> io::Result<()>) -> anyhow::Result<()> {
    for row in rows {
        line(serde_json::to_value(row)?)?;
    }
    Ok(())
}

fn selected_sensor_number(store: &Store, select: &RowFilter) -> anyhow::Result<u32> {
    let Some(name) = &select.sensor else {
        bail!("name the sensor with --sensor; `wheeltapper query sensors` lists them")
    };
    sensor_number(store, name)
}

fn sensor_number(store: &Store, name: &str) -> anyhow::Result<u32> {
    let sensors = store.sensors()?;
    match sensors.iter().find(|sensor| sensor.name == name) {
        Some(sensor) => Ok(sensor.id),
        None => bail!("there is no sensor {name:?}; `wheeltapper query sensors` lists them"),
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ExportTable {
    Readings,
    Windows,
    Anomalies,
    Alerts,
    WorkOrders,
    DeadLetters,
}

impl From<ExportTable> for Table {
    fn from(exported: ExportTable) -> Self {
        match exported {
            ExportTable::Readings => Self::Readings,
            ExportTable::Windows => Self::Windows,
            ExportTable::Anomalies => Self::Anomalies,
            ExportTable::Alerts => Self::Alerts,
            ExportTable::WorkOrders => Self::WorkOrders,
            ExportTable::DeadLetters => Self::DeadLetters,
        }
    }
}

/// Writes a table to a file.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The table to export
    table: ExportTable,
    /// Target; the extension .csv or .parquet decides the format, `-` is standard output as CSV
    file: PathBuf,
    #[command(flatten)]
    select: RowFilter,
}

impl Export {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let store = global.open_store()?;
        // A dead letter may name an unknown sensor.
        if let Some(name) = self.select.sensor.as_deref().filter(|_| !matches!(self.table, ExportTable::DeadLetters)) {
            sensor_number(&store, name)?;
        }
        let (table, filter) = (self.table.into(), self.select.filter());
        let rows = match self.file.extension().and_then(|extension| extension.to_str()) {
            _ if self.file.as_os_str() == "-" => store.export_csv(io::stdout().lock(), table, &filter)?,
            Some("csv") => {
                let file = File::create(&self.file).with_context(|| format!("writing {}", self.file.display()))?;
                store.export_csv(BufWriter::new(file), table, &filter)?
            }
            Some("parquet") => store.export_parquet(&self.file, table, &filter)?,
            _ => bail!("expected a file that ends in .csv or .parquet, got {}", self.file.display()),
        };
        eprintln!("{rows} rows written");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use clap::{Args as _, Command, FromArgMatches as _};
    use wheeltapper_store::{Commit, DeadLetter, PrognosisRow, SensorReadings};

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("wheeltapper.db")).unwrap();
        store.register_sensors(&[("pump/vibration", "pump", "mm/s", "velocity")]).unwrap();
        let readings = [SensorReadings { sensor: 0, times: vec![1, 2, 3], values: vec![1.0, 2.0, 3.0] }];
        let prognosis = |time| PrognosisRow {
            asset: "pump".into(),
            time,
            health: 0.5,
            p10_hours: None,
            p50_hours: Some(7.0),
            p90_hours: None,
            model: "library".into(),
        };
        let dead_letter = DeadLetter {
            id: "a".into(),
            time: 1,
            source: "test".into(),
            reason: "late".into(),
            message: String::new(),
            payload: Vec::new(),
            readings: 1,
            sensor: None,
            format: None,
        };
        let (prognoses, dead_letters) = ([prognosis(1), prognosis(2)], [dead_letter]);
        let commit =
            Commit { readings: &readings, prognoses: &prognoses, dead_letters: &dead_letters, ..Commit::default() };
        store.commit(&commit).unwrap();
        (folder, store)
    }

    fn printed(store: &Store, arguments: &[&str]) -> Vec<Value> {
        let command = Query::augment_args(Command::new("query"));
        let matches = command.try_get_matches_from([&["query"], arguments].concat()).unwrap();
        let mut out = Vec::new();
        let query = Query::from_arg_matches(&matches).unwrap();
        query.print(store, &mut out).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_table_that_the_command_offers_can_be_queried() {
        let (_folder, store) = store();
        let command = Query::augment_args(Command::new("query"));
        let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert!(names.len() >= 10 && names.contains(&"prognoses"), "{names:?}");
        for name in names {
            let arguments: &[&str] = match name {
                "sql" => &["SELECT 1"],
                "counts" | "sensors" => &[],
                _ => {
                    // With all filters, and with only the sensor.
                    let all =
                        [name, "--sensor=pump/vibration", "--asset=pump", "--from=1970-01-01T00:00:00Z", "--limit=1"];
                    assert!(printed(&store, &all).len() <= 1, "{name}");
                    &["--sensor=pump/vibration"]
                }
            };
            printed(&store, &[&[name], arguments].concat());
        }
        assert_eq!(printed(&store, &["prognoses"])[0]["time"], 2);
        assert_eq!(printed(&store, &["readings", "--sensor=pump/vibration", "--limit=2"])[0]["value"], 2.0);
        assert_eq!(printed(&store, &["readings", "--sensor=pump/vibration"]).len(), 3);
    }

    #[test]
    fn every_table_that_the_command_offers_can_be_exported() {
        let (folder, store) = store();
        for exported in ExportTable::value_variants() {
            let table = Table::from(*exported);
            let filter = Filter { limit: Some(1), ..Filter::default() };
            assert!(store.export_csv(Vec::new(), table, &filter).unwrap() <= 1, "{exported:?}");
            store.export_parquet(&folder.path().join("out.parquet"), table, &Filter::default()).unwrap();
        }
    }
}
