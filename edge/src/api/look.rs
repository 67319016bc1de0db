//! Rows for the component: from the store, and from the line as far as they are not stored yet.

use std::{ops::Range, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::{sync::oneshot, time::timeout};
use wheeltapper_front::{Filter, Table};
use wheeltapper_line::{Value, answer, question};
use wheeltapper_store::{Cell, DeadLetter, FeatureWindow, Span, WaveformRow};

use super::{
    desk::{Desk, unreadable},
    guest::{
        Caller,
        bindings::wheeltapper::pipeline::front::{self, FrontError, Table as WitTable},
    },
    history,
};
use crate::{
    line::{Fresh, Question, Wanted},
    registry::Place,
};

/// The maximum offset: as far as the component lets a cursor go, and one page more to see whether there are further
/// rows.
const MAX_OFFSET: u32 = Filter::DEEPEST + Filter::MOST;
/// The maximum time that a worker takes to answer; it answers between two of its steps.
const WORKER_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of points of a series, which are the minima and maxima of its buckets.
const MAX_SERIES_POINTS: usize = 40_000;

/// A sensor's readings as one chunk. Serialised directly, without a JSON value, as there may be many.
#[derive(Serialize)]
struct ReadingSeries<'a> {
    sensor: &'a str,
    start_time: i64,
    end_time: i64,
    count: usize,
    times: Vec<i64>,
    vals: Vec<f64>,
}

impl Desk {
    pub(super) async fn look(
        self: &Arc<Self>,
        caller: &Caller,
        table: front::Table,
        filter: front::Filter,
    ) -> Result<String, FrontError> {
        let table = match wheeltapper_front::table!(table, WitTable => Table) {
            Table::Readings => return self.readings(caller, filter).await,
            Table::Windows => return self.windows(caller, filter).await,
            Table::Waveforms => return self.waveforms(caller, filter).await,
            table => table,
        };
        let front::Filter { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        self.rows(table, filter, caller.sites.clone()).await
    }

    /// As [`Self::query_rows_blocking`], on a thread that may wait for the disk.
    pub(super) async fn rows(
        self: &Arc<Self>,
        table: Table,
        filter: Filter,
        sites: Option<Vec<String>>,
    ) -> Result<String, FrontError> {
        self.apart(move |service| service.rows_now(table, &filter, sites.as_deref())).await
    }

    /// Rows of a table that the line on other platforms has as well, with the same statements; limited to these sites,
    /// if any are given.
    fn rows_now(&self, table: Table, filter: &Filter, sites: Option<&[String]>) -> Result<String, FrontError> {
        let (statement, parameters) = question(table, filter, sites);
        let parameters = parameters.into_iter().map(to_cell).collect();
        let rows = self.host.store.ask(&statement, parameters).map_err(unreadable)?;
        Ok(answer(table, rows.into_iter().map(|row| row.into_iter().map(to_value).collect()).collect()))
    }

    /// One row in the API's format; limited to these sites, if any are given.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn item(
        &self,
        table: Table,
        filter: &Filter,
        sites: Option<&[String]>,
    ) -> anyhow::Result<Option<String>> {
        let rows = self.rows_now(table, filter, sites).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let rows: Vec<serde_json::Map<String, Json>> = serde_json::from_str(&rows)?;
        Ok(rows.into_iter().next().map(|row| wheeltapper_api::item(row).to_string()))
    }

    /// A dead letter, if the caller may see it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn letter(&self, caller: &Caller, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        match self.item(Table::DeadLetters, &filter, caller.sites.as_deref())? {
            Some(_) => Ok(self.host.store.dead_letter(id)?),
            None => Ok(None),
        }
    }

    /// The location of the sensor and its asset, if the caller may see it.
    pub(crate) fn sensor(&self, caller: &Caller, name: &str) -> Option<(Place, String)> {
        let (location, asset) = self.host.registry.find(name)?;
        caller.sees(&asset).then(|| (location, asset.to_string()))
    }

    /// The rows of a partition that are not in the store yet.
    async fn unstored(&self, partition: u16, query: Wanted) -> Result<Fresh, FrontError> {
        // If the worker has stopped, the stored rows are still useful.
        Ok(self.ask(partition, |answer| Question::Fresh(query, answer)).await?.unwrap_or_default())
    }

    /// Sends a query to the worker of a partition; `None` if the worker has stopped.
    ///
    /// # Errors
    /// [`FrontError::Unavailable`] if it does not answer in time.
    pub(super) async fn ask<T>(
        &self,
        partition: u16,
        make_query: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<Option<T>, FrontError> {
        let (sender, receiver) = oneshot::channel();
        if let Some(worker) = self.host.worker(partition) {
            worker.ask(make_query(sender));
        }
        match timeout(WORKER_TIMEOUT, receiver).await {
            Ok(answer) => Ok(answer.ok()),
            Err(_) => Err(FrontError::Unavailable(format!(
                "the line of partition {partition} did not answer within {} s; see /ready for its state",
                WORKER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// As [`Self::unstored`], for several partitions at once.
    async fn unstored_of(&self, partitions: Range<u16>, query: &Wanted) -> Result<Vec<Fresh>, FrontError> {
        try_join_all(partitions.map(|partition| self.unstored(partition, query.clone()))).await
    }

    fn partitions(&self) -> Range<u16> {
        0..u16::try_from(self.host.workers().len()).unwrap_or(u16::MAX)
    }

    /// Whether the caller may see a sensor, by number.
    fn sees(&self, caller: &Caller, sensor: u32) -> bool {
        let mut can_see = false;
        self.host.registry.describe(&[sensor], |_, _, asset| can_see = caller.sees(asset));
        can_see
    }

    /// A sensor's readings as one chunk.
    async fn readings(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        let Some(name) = &filter.sensor else {
            return Err(FrontError::Invalid("readings are read by sensor; name one".into()));
        };
        let Some((location, _)) = self.sensor(caller, name) else { return Ok("[]".into()) };
        if filter.offset > 0 {
            return Ok("[]".into());
        }
        let after = filter.after.unwrap_or(i64::MIN);
        let before = filter.before.unwrap_or(i64::MAX);
        // The unstored rows are read first: rows that are stored in between are then read twice, not missed.
        let unstored = self
            .unstored(location.partition, Wanted { readings: vec![(location.sensor, after)], ..Wanted::default() })
            .await?;
        let max_points = filter
            .points
            .and_then(|points| usize::try_from(points).ok())
            .unwrap_or(MAX_SERIES_POINTS)
            .clamp(2, MAX_SERIES_POINTS);
        let from = after.saturating_add(1);
        let stored = self.apart(move |service| {
            history::downsampled(&service.host.store, location.sensor, from, before, max_points).map_err(unreadable)
        });
        let history::Downsampled { count, mut readings } = stored.await?;
        let stored = readings.len();
        for column in &unstored.readings {
            let pairs = column.times.iter().copied().zip(column.values.iter().copied());
            readings.extend(pairs.filter(|&(time, _)| time < before));
        }
        if readings.len() > stored {
            readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
        }
        let (Some(&(start_time, _)), Some(&(end_time, _))) = (readings.first(), readings.last()) else {
            return Ok("[]".into());
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).saturating_add(readings.len().saturating_sub(stored));
        let (times, vals) = history::extremes(readings, max_points).into_iter().unzip();
        let series = ReadingSeries { sensor: name, start_time, end_time, count, times, vals };
        serde_json::to_string(&[series]).map_err(|error| FrontError::Broken(error.to_string()))
    }

    async fn windows(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        check_offset(&filter)?;
        let mut span = Span { asset: filter.asset, after: filter.after, before: filter.before, sensor: None };
        if let Some(name) = &filter.sensor {
            let Some((location, asset)) = self.sensor(caller, name) else { return Ok("[]".into()) };
            if span.asset.as_ref().is_some_and(|asset_filter| *asset_filter != asset) {
                return Ok("[]".into());
            }
            (span.sensor, span.asset) = (Some(location.sensor), Some(asset));
        }
        if filter.id.is_some() || filter.kind.is_some() || span.asset.as_ref().is_some_and(|asset| !caller.sees(asset))
        {
            return Ok("[]".into());
        }
        let query = Wanted { windows: Some(span.asset.clone().unwrap_or_default()), ..Wanted::default() };
        let mut matching = Vec::new();
        match &span.asset {
            Some(asset) => {
                let partition = self.host.partition_of(asset);
                matching.extend(self.unstored(partition, query).await?.windows_in(&span));
            }
            None => {
                for unstored in self.unstored_of(self.partitions(), &query).await? {
                    matching.extend(unstored.windows_in(&span));
                }
            }
        }
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MOST) as usize);
        let viewer = caller.clone();
        let stored = self.apart(move |service| {
            let is_visible = |asset: &str| viewer.sees(asset);
            service.host.store.newest_windows(&span, offset + limit, is_visible).map_err(unreadable)
        });
        matching.extend(stored.await?);
        matching.retain(|window| caller.sees(&window.asset));
        matching.sort_by(|a, b| b.start.cmp(&a.start).then(a.sensor.cmp(&b.sensor)));
        matching.dedup_by(|a, b| a.start == b.start && a.sensor == b.sensor && a.features.len() == b.features.len());
        let rows = matching.iter().skip(offset).take(limit).map(|window| self.window(window)).collect();
        Ok(Json::Array(rows).to_string())
    }

    fn window(&self, window: &FeatureWindow) -> Json {
        // A feature that is undefined for its window is null.
        let features: serde_json::Map<String, Json> =
            window.features.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "sensor": self.host.registry.name(window.sensor).as_deref(), "asset": window.asset,
            "start_time": window.start, "end_time": window.end, "count": window.count, "features": features,
        })
    }

    async fn waveforms(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        check_offset(&filter)?;
        let mut span = Span { after: filter.after, before: filter.before, ..Span::default() };
        let mut partitions = self.partitions();
        if let Some(name) = &filter.sensor {
            let Some((location, _)) = self.sensor(caller, name) else { return Ok("[]".into()) };
            span.sensor = Some(location.sensor);
            partitions = location.partition..location.partition + 1;
        }
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MOST) as usize);
        let mut matching: Vec<WaveformRow> = Vec::new();
        let query = Wanted { waveforms: Some(span.sensor), ..Wanted::default() };
        for unstored in self.unstored_of(partitions, &query).await? {
            matching.extend(unstored.waveforms);
        }
        matching.retain(|waveform| {
            self.sees(caller, waveform.sensor)
                && span.after.is_none_or(|after| waveform.start > after)
                && span.before.is_none_or(|before| waveform.start < before)
        });
        let viewer = caller.clone();
        let stored = self.apart(move |service| {
            let is_visible = |sensor| service.sees(&viewer, sensor);
            service.host.store.newest_waveforms(&span, offset + limit, is_visible).map_err(unreadable)
        });
        matching.extend(stored.await?);
        matching.sort_by_key(|waveform| (std::cmp::Reverse(waveform.start), waveform.sensor));
        matching.dedup_by_key(|waveform| (waveform.start, waveform.sensor));
        let rows = matching.iter().skip(offset).take(limit).map(|waveform| {
            json!({
                "sensor": self.host.registry.name(waveform.sensor).as_deref(), "start_time": waveform.start,
                "rate": waveform.rate, "count": waveform.samples.len(), "samples": waveform.samples,
            })
        });
        Ok(Json::Array(rows.collect()).to_string())
    }
}

/// Rejects an offset that is too large, because skipped rows have to be read and sorted first.
fn check_offset(filter: &front::Filter) -> Result<(), FrontError> {
    match filter.offset {
        0..=MAX_OFFSET => Ok(()),
        offset => Err(FrontError::Invalid(format!(
            "the offset is {offset}, and the maximum is {MAX_OFFSET}; narrow the query by its times"
        ))),
    }
}

fn to_cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Integer(integer) => Cell::Integer(integer),
        Value::Real(real) => Cell::Real(real),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Blob(bytes),
    }
}

fn to_value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(integer) => Value::Integer(integer),
        Cell::Real(real) => Value::Real(real),
        Cell::Text(text) => Value::Text(text),
        Cell::Blob(bytes) => Value::Blob(bytes),
    }
}
