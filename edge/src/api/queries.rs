//! Rows for the component: from the store, and from the line as far as they are not stored yet.

use std::{ops::Range, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::{Value as Json, json};
use tokio::{sync::oneshot, time::timeout};
use wheeltapper_line::{Value, rows_to_json, select_statement};
use wheeltapper_line_api::{Filter, Table};
use wheeltapper_store::{Cell, DeadLetter, FeatureWindow, WaveformRow, WindowFilter};

use super::{
    bindings::wheeltapper::pipeline::line_api::{self, LineApiError, Table as WitTable},
    caller::Caller,
    errors::store_error,
    history,
    query_service::QueryService,
};
use crate::{
    line::{Unstored, UnstoredQuery, WorkerQuery},
    registry::SensorLocation,
};

/// The maximum offset: as far as the component lets a cursor go, and one page more to see whether there are further
/// rows.
const MAX_OFFSET: u32 = Filter::MAX_OFFSET + Filter::MAX_ROWS;
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

impl QueryService {
    pub(super) async fn query(
        self: &Arc<Self>,
        caller: &Caller,
        table: line_api::Table,
        filter: line_api::Filter,
    ) -> Result<String, LineApiError> {
        let table = match wheeltapper_line_api::convert_table!(table, WitTable => Table) {
            Table::Readings => return self.readings(caller, filter).await,
            Table::Windows => return self.windows(caller, filter).await,
            Table::Waveforms => return self.waveforms(caller, filter).await,
            table => table,
        };
        let line_api::Filter { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        self.query_rows(table, filter, caller.sites.clone()).await
    }

    /// As [`Self::query_rows_blocking`], on a thread that may wait for the disk.
    pub(super) async fn query_rows(
        self: &Arc<Self>,
        table: Table,
        filter: Filter,
        sites: Option<Vec<String>>,
    ) -> Result<String, LineApiError> {
        self.run_blocking(move |service| service.query_rows_blocking(table, &filter, sites.as_deref())).await
    }

    /// Rows of a table that the line on other platforms has as well, with the same statements; limited to these sites,
    /// if any are given.
    fn query_rows_blocking(
        &self,
        table: Table,
        filter: &Filter,
        sites: Option<&[String]>,
    ) -> Result<String, LineApiError> {
        let (statement, parameters) = select_statement(table, filter, sites);
        let parameters = parameters.into_iter().map(to_cell).collect();
        let rows = self.host.store.query_rows(&statement, parameters).map_err(store_error)?;
        Ok(rows_to_json(table, rows.into_iter().map(|row| row.into_iter().map(to_value).collect()).collect()))
    }

    /// One row in the API's format; limited to these sites, if any are given.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn query_row(
        &self,
        table: Table,
        filter: &Filter,
        sites: Option<&[String]>,
    ) -> anyhow::Result<Option<String>> {
        let rows = self.query_rows_blocking(table, filter, sites).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let rows: Vec<serde_json::Map<String, Json>> = serde_json::from_str(&rows)?;
        Ok(rows.into_iter().next().map(|row| wheeltapper_api::row_to_json(row).to_string()))
    }

    /// A dead letter, if the caller may see it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn dead_letter(&self, caller: &Caller, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        match self.query_row(Table::DeadLetters, &filter, caller.sites.as_deref())? {
            Some(_) => Ok(self.host.store.dead_letter(id)?),
            None => Ok(None),
        }
    }

    /// The location of the sensor and its asset, if the caller may see it.
    pub(crate) fn find_sensor(&self, caller: &Caller, name: &str) -> Option<(SensorLocation, String)> {
        let (location, asset) = self.host.registry.find_with_asset(name)?;
        caller.can_see(&asset).then(|| (location, asset.to_string()))
    }

    /// The rows of a partition that are not in the store yet.
    async fn unstored(&self, partition: u16, query: UnstoredQuery) -> Result<Unstored, LineApiError> {
        // If the worker has stopped, the stored rows are still useful.
        Ok(self.query_worker(partition, |answer| WorkerQuery::Unstored(query, answer)).await?.unwrap_or_default())
    }

    /// Sends a query to the worker of a partition; `None` if the worker has stopped.
    ///
    /// # Errors
    /// [`LineApiError::Unavailable`] if it does not answer in time.
    pub(super) async fn query_worker<T>(
        &self,
        partition: u16,
        make_query: impl FnOnce(oneshot::Sender<T>) -> WorkerQuery,
    ) -> Result<Option<T>, LineApiError> {
        let (sender, receiver) = oneshot::channel();
        if let Some(worker) = self.host.worker(partition) {
            worker.query(make_query(sender));
        }
        match timeout(WORKER_TIMEOUT, receiver).await {
            Ok(answer) => Ok(answer.ok()),
            Err(_) => Err(LineApiError::Unavailable(format!(
                "the line of partition {partition} did not answer within {} s; see /ready for its state",
                WORKER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// As [`Self::unstored`], for several partitions at once.
    async fn unstored_of(&self, partitions: Range<u16>, query: &UnstoredQuery) -> Result<Vec<Unstored>, LineApiError> {
        try_join_all(partitions.map(|partition| self.unstored(partition, query.clone()))).await
    }

    fn partitions(&self) -> Range<u16> {
        0..u16::try_from(self.host.workers().len()).unwrap_or(u16::MAX)
    }

    /// Whether the caller may see a sensor, by number.
    fn can_see_sensor(&self, caller: &Caller, sensor: u32) -> bool {
        let mut can_see = false;
        self.host.registry.for_each_known(&[sensor], |_, _, asset| can_see = caller.can_see(asset));
        can_see
    }

    /// A sensor's readings as one chunk.
    async fn readings(self: &Arc<Self>, caller: &Caller, filter: line_api::Filter) -> Result<String, LineApiError> {
        let Some(name) = &filter.sensor else {
            return Err(LineApiError::Invalid("readings are read by sensor; name one".into()));
        };
        let Some((location, _)) = self.find_sensor(caller, name) else { return Ok("[]".into()) };
        if filter.offset > 0 {
            return Ok("[]".into());
        }
        let after = filter.after.unwrap_or(i64::MIN);
        let before = filter.before.unwrap_or(i64::MAX);
        // The unstored rows are read first: rows that are stored in between are then read twice, not missed.
        let unstored = self
            .unstored(
                location.partition,
                UnstoredQuery { readings: vec![(location.sensor, after)], ..UnstoredQuery::default() },
            )
            .await?;
        let max_points = filter
            .points
            .and_then(|points| usize::try_from(points).ok())
            .unwrap_or(MAX_SERIES_POINTS)
            .clamp(2, MAX_SERIES_POINTS);
        let from = after.saturating_add(1);
        let stored = self.run_blocking(move |service| {
            history::downsampled(&service.host.store, location.sensor, from, before, max_points).map_err(store_error)
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
        serde_json::to_string(&[series]).map_err(|error| LineApiError::Internal(error.to_string()))
    }

    async fn windows(self: &Arc<Self>, caller: &Caller, filter: line_api::Filter) -> Result<String, LineApiError> {
        check_offset(&filter)?;
        let mut span = WindowFilter { asset: filter.asset, after: filter.after, before: filter.before, sensor: None };
        if let Some(name) = &filter.sensor {
            let Some((location, asset)) = self.find_sensor(caller, name) else { return Ok("[]".into()) };
            if span.asset.as_ref().is_some_and(|asset_filter| *asset_filter != asset) {
                return Ok("[]".into());
            }
            (span.sensor, span.asset) = (Some(location.sensor), Some(asset));
        }
        if filter.id.is_some()
            || filter.kind.is_some()
            || span.asset.as_ref().is_some_and(|asset| !caller.can_see(asset))
        {
            return Ok("[]".into());
        }
        let query = UnstoredQuery { windows: Some(span.asset.clone().unwrap_or_default()), ..UnstoredQuery::default() };
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
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MAX_ROWS) as usize);
        let viewer = caller.clone();
        let stored = self.run_blocking(move |service| {
            let is_visible = |asset: &str| viewer.can_see(asset);
            service.host.store.newest_windows(&span, offset + limit, is_visible).map_err(store_error)
        });
        matching.extend(stored.await?);
        matching.retain(|window| caller.can_see(&window.asset));
        matching.sort_by(|a, b| b.start.cmp(&a.start).then(a.sensor.cmp(&b.sensor)));
        matching.dedup_by(|a, b| a.start == b.start && a.sensor == b.sensor && a.features.len() == b.features.len());
        let rows = matching.iter().skip(offset).take(limit).map(|window| self.window_json(window)).collect();
        Ok(Json::Array(rows).to_string())
    }

    fn window_json(&self, window: &FeatureWindow) -> Json {
        // A feature that is undefined for its window is null.
        let features: serde_json::Map<String, Json> =
            window.features.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "sensor": self.host.registry.name(window.sensor).as_deref(), "asset": window.asset,
            "start_time": window.start, "end_time": window.end, "count": window.count, "features": features,
        })
    }

    async fn waveforms(self: &Arc<Self>, caller: &Caller, filter: line_api::Filter) -> Result<String, LineApiError> {
        check_offset(&filter)?;
        let mut span = WindowFilter { after: filter.after, before: filter.before, ..WindowFilter::default() };
        let mut partitions = self.partitions();
        if let Some(name) = &filter.sensor {
            let Some((location, _)) = self.find_sensor(caller, name) else { return Ok("[]".into()) };
            span.sensor = Some(location.sensor);
            partitions = location.partition..location.partition + 1;
        }
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MAX_ROWS) as usize);
        let mut matching: Vec<WaveformRow> = Vec::new();
        let query = UnstoredQuery { waveforms: Some(span.sensor), ..UnstoredQuery::default() };
        for unstored in self.unstored_of(partitions, &query).await? {
            matching.extend(unstored.waveforms);
        }
        matching.retain(|waveform| {
            self.can_see_sensor(caller, waveform.sensor)
                && span.after.is_none_or(|after| waveform.start > after)
                && span.before.is_none_or(|before| waveform.start < before)
        });
        let viewer = caller.clone();
        let stored = self.run_blocking(move |service| {
            let is_visible = |sensor| service.can_see_sensor(&viewer, sensor);
            service.host.store.newest_waveforms(&span, offset + limit, is_visible).map_err(store_error)
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
fn check_offset(filter: &line_api::Filter) -> Result<(), LineApiError> {
    match filter.offset {
        0..=MAX_OFFSET => Ok(()),
        offset => Err(LineApiError::Invalid(format!(
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
