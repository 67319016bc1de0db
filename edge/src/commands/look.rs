//! `wheeltapper query` and `export`: looking into the store.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use wheeltapper_store::{Filter, Store, Table};

use super::{Global, readable};

/// What to select.
#[derive(Clone, Debug, Default, clap::Args)]
struct Select {
    /// From this time on, such as 2026-03-01T12:00:00Z
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
    /// At most so many, the newest
    #[arg(long)]
    limit: Option<usize>,
}

impl Select {
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

/// Prints what the store knows, one JSON object a line.
#[derive(Debug, clap::Args)]
pub(super) struct Query {
    #[command(subcommand)]
    what: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// How much there is of everything
    Counts,
    /// Sensors and their machines
    Sensors,
    /// Raw readings of one sensor
    Readings(Select),
    /// Hourly avg, min, max, std and count of one sensor
    Hourly(Select),
    /// Anomalies, newest first
    Anomalies(Select),
    /// Alerts, newest first
    Alerts(Select),
    /// Where what is normal for a machine moved, newest first
    Drifts(Select),
    /// How long machines have left, newest first
    Prognoses(Select),
    /// Work orders, newest first
    WorkOrders(Select),
    /// Any SELECT; the store is one SQLite file
    Sql {
        /// The statement
        statement: String,
    },
}

impl Query {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let store = global.store()?;
        let mut out = BufWriter::new(io::stdout().lock());
        let mut line = |value: Value| writeln!(out, "{value}");
        match self.what {
            Asked::Counts => line(serde_json::to_value(store.counts()?)?)?,
            Asked::Sensors => {
                for sensor in store.sensors()? {
                    line(
                        json!({ "id": sensor.name, "asset": sensor.asset, "kind": sensor.kind, "unit": sensor.unit }),
                    )?;
                }
            }
            Asked::Readings(select) => {
                let number = number_of(&store, &select)?;
                let (times, values) =
                    store.readings(number, select.from.unwrap_or(i64::MIN), select.to.unwrap_or(i64::MAX))?;
                let skip = times.len().saturating_sub(select.limit.unwrap_or(usize::MAX));
                for (time, value) in times.into_iter().zip(values).skip(skip) {
                    line(json!({ "time": readable(time), "value": value }))?;
                }
            }
            Asked::Hourly(select) => {
                let number = number_of(&store, &select)?;
                for hour in store.hourly(number, select.from.unwrap_or(i64::MIN), select.to.unwrap_or(i64::MAX))? {
                    line(serde_json::to_value(hour)?)?;
                }
            }
            Asked::Anomalies(select) => rows(store.anomalies(&select.filter())?, &mut line)?,
            Asked::Alerts(select) => rows(store.alerts(&select.filter())?, &mut line)?,
            Asked::Drifts(select) => rows(store.drifts(&select.filter())?, &mut line)?,
            Asked::Prognoses(select) => rows(store.prognoses(&select.filter())?, &mut line)?,
            Asked::WorkOrders(select) => rows(store.work_orders(&select.filter())?, &mut line)?,
            Asked::Sql { statement } => {
                let (columns, found) = store.query_sql(&statement)?;
                for row in found {
                    line(Value::Object(columns.iter().cloned().zip(row).collect()))?;
                }
            }
        }
        out.flush()?;
        Ok(())
    }
}

fn rows<T: serde::Serialize>(rows: Vec<T>, line: &mut impl FnMut(Value) -> io::Result<()>) -> anyhow::Result<()> {
    for row in rows {
        line(serde_json::to_value(row)?)?;
    }
    Ok(())
}

fn number_of(store: &Store, select: &Select) -> anyhow::Result<u32> {
    let Some(wanted) = &select.sensor else {
        bail!("name the sensor with --sensor; `wheeltapper query sensors` lists them")
    };
    number(store, wanted)
}

fn number(store: &Store, wanted: &str) -> anyhow::Result<u32> {
    let sensors = store.sensors()?;
    match sensors.iter().find(|sensor| sensor.name == wanted) {
        Some(sensor) => Ok(sensor.id),
        None => bail!("there is no sensor {wanted:?}; `wheeltapper query sensors` lists them"),
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Exported {
    Readings,
    Windows,
    Anomalies,
    Alerts,
    WorkOrders,
    DeadLetters,
}

impl From<Exported> for Table {
    fn from(exported: Exported) -> Self {
        match exported {
            Exported::Readings => Self::Readings,
            Exported::Windows => Self::Windows,
            Exported::Anomalies => Self::Anomalies,
            Exported::Alerts => Self::Alerts,
            Exported::WorkOrders => Self::WorkOrders,
            Exported::DeadLetters => Self::DeadLetters,
        }
    }
}

/// Writes a table to a file.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// What to write
    table: Exported,
    /// Where to; the ending .csv or .parquet decides the format, `-` is standard output as CSV
    file: PathBuf,
    #[command(flatten)]
    select: Select,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let store = global.store()?;
        // A dead letter may name a sensor that there is not.
        if let Some(wanted) = self.select.sensor.as_deref().filter(|_| !matches!(self.table, Exported::DeadLetters)) {
            number(&store, wanted)?;
        }
        let (table, filter) = (self.table.into(), self.select.filter());
        let rows = match self.file.extension().and_then(|ending| ending.to_str()) {
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
