//! Rows of the store for the component, and what the line holds that is not stored yet.

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
        bindings::wheeltapper::pipeline::front::{self, FrontError, Table as Asked},
    },
    history,
};
use crate::{
    line::{Fresh, Question, Wanted},
    registry::Place,
};

/// Rows that may be passed over, at most: as far as the component lets a cursor go, and one look whether there are more.
const DEEPEST: u32 = Filter::DEEPEST + Filter::MOST;
/// A partition's worker answers between two of its steps, at the latest after so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A sensor's course has about so many readings at most, least and greatest of each stretch.
const COURSE: usize = 40_000;

/// A sensor's readings as one chunk. Written straight to text, as there may be many.
#[derive(Serialize)]
struct Course<'a> {
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
        let table = match wheeltapper_front::table!(table, Asked => Table) {
            Table::Readings => return self.readings(caller, filter).await,
            Table::Windows => return self.windows(caller, filter).await,
            Table::Waveforms => return self.waveforms(caller, filter).await,
            table => table,
        };
        let front::Filter { id, asset, sensor, kind, after, before, limit, offset, points } = filter;
        let filter = Filter { id, asset, sensor, kind, after, before, limit, offset, points };
        self.rows(table, filter, caller.sites.clone()).await
    }

    /// As [`Self::rows_now`], on a thread that may wait for the disk.
    pub(super) async fn rows(
        self: &Arc<Self>,
        table: Table,
        filter: Filter,
        sites: Option<Vec<String>>,
    ) -> Result<String, FrontError> {
        self.apart(move |desk| desk.rows_now(table, &filter, sites.as_deref())).await
    }

    /// Rows of a table that the line on other platforms has as well, in its words; where sites are given, those of them only.
    fn rows_now(&self, table: Table, filter: &Filter, sites: Option<&[String]>) -> Result<String, FrontError> {
        let (statement, parameters) = question(table, filter, sites);
        let parameters = parameters.into_iter().map(cell).collect();
        let rows = self.host.store.ask(&statement, parameters).map_err(unreadable)?;
        Ok(answer(table, rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect()))
    }

    /// One row as the API gives it, where sites are given of those only.
    ///
    /// # Errors
    /// When the store cannot be read.
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
    /// When the store cannot be read.
    pub(crate) fn letter(&self, caller: &Caller, id: &str) -> anyhow::Result<Option<DeadLetter>> {
        let own = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        match self.item(Table::DeadLetters, &own, caller.sites.as_deref())? {
            Some(_) => Ok(self.host.store.dead_letter(id)?),
            None => Ok(None),
        }
    }

    /// The sensor and its asset, if the caller may see it.
    pub(crate) fn sensor(&self, caller: &Caller, name: &str) -> Option<(Place, String)> {
        let (place, asset) = self.host.registry.find(name)?;
        caller.sees(&asset).then(|| (place, asset.to_string()))
    }

    /// What the line holds that is not in the store yet.
    async fn fresh(&self, partition: u16, wanted: Wanted) -> Result<Fresh, FrontError> {
        // Of a worker that stopped what is stored is still worth showing.
        Ok(self.ask(partition, |answer| Question::Fresh(wanted, answer)).await?.unwrap_or_default())
    }

    /// Asks the worker of a partition; none where it stopped.
    ///
    /// # Errors
    /// [`FrontError::Unavailable`] where it does not answer.
    pub(super) async fn ask<T>(
        &self,
        partition: u16,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<Option<T>, FrontError> {
        let (sender, receiver) = oneshot::channel();
        if let Some(worker) = self.host.worker(partition) {
            worker.ask(question(sender));
        }
        match timeout(PATIENCE, receiver).await {
            Ok(answer) => Ok(answer.ok()),
            Err(_) => Err(FrontError::Unavailable(format!(
                "the line of partition {partition} did not answer within {} s; /ready tells whether it runs",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// As [`Self::fresh`] of several partitions, which are asked at once.
    async fn fresh_of(&self, partitions: Range<u16>, wanted: &Wanted) -> Result<Vec<Fresh>, FrontError> {
        try_join_all(partitions.map(|partition| self.fresh(partition, wanted.clone()))).await
    }

    fn partitions(&self) -> Range<u16> {
        0..u16::try_from(self.host.workers().len()).unwrap_or(u16::MAX)
    }

    /// Whether the caller may see a sensor, by number.
    fn sees(&self, caller: &Caller, sensor: u32) -> bool {
        let mut seen = false;
        self.host.registry.describe(&[sensor], |_, _, asset| seen = caller.sees(asset));
        seen
    }

    /// A sensor's readings as one chunk.
    async fn readings(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        let Some(name) = &filter.sensor else {
            return Err(FrontError::Invalid("readings are asked for by sensor; name one".into()));
        };
        let Some((place, _)) = self.sensor(caller, name) else { return Ok("[]".into()) };
        if filter.offset > 0 {
            return Ok("[]".into());
        }
        let after = filter.after.unwrap_or(i64::MIN);
        let before = filter.before.unwrap_or(i64::MAX);
        // First the fresh, then the stored: what moves from one to the other meanwhile is met twice, not missed.
        let fresh =
            self.fresh(place.partition, Wanted { readings: vec![(place.sensor, after)], ..Wanted::default() }).await?;
        let most = filter.points.and_then(|points| usize::try_from(points).ok()).unwrap_or(COURSE).clamp(2, COURSE);
        let from = after.saturating_add(1);
        let stored = self.apart(move |desk| {
            history::thinned(&desk.host.store, place.sensor, from, before, most).map_err(unreadable)
        });
        let history::Thinned { count, mut readings } = stored.await?;
        let stored = readings.len();
        for column in &fresh.readings {
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
        let (times, vals) = history::extremes(readings, most).into_iter().unzip();
        let course = Course { sensor: name, start_time, end_time, count, times, vals };
        serde_json::to_string(&[course]).map_err(|error| FrontError::Broken(error.to_string()))
    }

    async fn windows(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        shallow(&filter)?;
        let mut span = Span { asset: filter.asset, after: filter.after, before: filter.before, sensor: None };
        if let Some(name) = &filter.sensor {
            let Some((place, asset)) = self.sensor(caller, name) else { return Ok("[]".into()) };
            if span.asset.as_ref().is_some_and(|wanted| *wanted != asset) {
                return Ok("[]".into());
            }
            (span.sensor, span.asset) = (Some(place.sensor), Some(asset));
        }
        if filter.id.is_some() || filter.kind.is_some() || span.asset.as_ref().is_some_and(|asset| !caller.sees(asset))
        {
            return Ok("[]".into());
        }
        let wanted = Wanted { windows: Some(span.asset.clone().unwrap_or_default()), ..Wanted::default() };
        let mut found = Vec::new();
        match &span.asset {
            Some(asset) => {
                let partition = self.host.partition_of(asset);
                found.extend(self.fresh(partition, wanted).await?.windows_in(&span));
            }
            None => {
                for fresh in self.fresh_of(self.partitions(), &wanted).await? {
                    found.extend(fresh.windows_in(&span));
                }
            }
        }
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MOST) as usize);
        let looker = caller.clone();
        let stored = self.apart(move |desk| {
            let seen = |asset: &str| looker.sees(asset);
            desk.host.store.newest_windows(&span, offset + limit, seen).map_err(unreadable)
        });
        found.extend(stored.await?);
        found.retain(|window| caller.sees(&window.asset));
        found.sort_by(|a, b| b.start.cmp(&a.start).then(a.sensor.cmp(&b.sensor)));
        found.dedup_by(|a, b| a.start == b.start && a.sensor == b.sensor && a.features.len() == b.features.len());
        let rows = found.iter().skip(offset).take(limit).map(|window| self.window(window)).collect();
        Ok(Json::Array(rows).to_string())
    }

    fn window(&self, window: &FeatureWindow) -> Json {
        // A feature that is not defined for its window is null.
        let features: serde_json::Map<String, Json> =
            window.features.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "sensor": self.host.registry.name(window.sensor).as_deref(), "asset": window.asset,
            "start_time": window.start, "end_time": window.end, "count": window.count, "features": features,
        })
    }

    async fn waveforms(self: &Arc<Self>, caller: &Caller, filter: front::Filter) -> Result<String, FrontError> {
        shallow(&filter)?;
        let mut span = Span { after: filter.after, before: filter.before, ..Span::default() };
        let mut partitions = self.partitions();
        if let Some(name) = &filter.sensor {
            let Some((place, _)) = self.sensor(caller, name) else { return Ok("[]".into()) };
            span.sensor = Some(place.sensor);
            partitions = place.partition..place.partition + 1;
        }
        let (offset, limit) = (filter.offset as usize, filter.limit.min(Filter::MOST) as usize);
        let mut found: Vec<WaveformRow> = Vec::new();
        let wanted = Wanted { waveforms: Some(span.sensor), ..Wanted::default() };
        for fresh in self.fresh_of(partitions, &wanted).await? {
            found.extend(fresh.waveforms);
        }
        found.retain(|waveform| {
            self.sees(caller, waveform.sensor)
                && span.after.is_none_or(|after| waveform.start > after)
                && span.before.is_none_or(|before| waveform.start < before)
        });
        let looker = caller.clone();
        let stored = self.apart(move |desk| {
            let seen = |sensor| desk.sees(&looker, sensor);
            desk.host.store.newest_waveforms(&span, offset + limit, seen).map_err(unreadable)
        });
        found.extend(stored.await?);
        found.sort_by_key(|waveform| (std::cmp::Reverse(waveform.start), waveform.sensor));
        found.dedup_by_key(|waveform| (waveform.start, waveform.sensor));
        let rows = found.iter().skip(offset).take(limit).map(|waveform| {
            json!({
                "sensor": self.host.registry.name(waveform.sensor).as_deref(), "start_time": waveform.start,
                "rate": waveform.rate, "count": waveform.samples.len(), "samples": waveform.samples,
            })
        });
        Ok(Json::Array(rows.collect()).to_string())
    }
}

/// What is passed over has to be read and put in order first.
fn shallow(filter: &front::Filter) -> Result<(), FrontError> {
    match filter.offset {
        0..=DEEPEST => Ok(()),
        offset => Err(FrontError::Invalid(format!(
            "{offset} rows are to be passed over, at most {DEEPEST} can be; narrow the question by its times"
        ))),
    }
}

fn cell(value: Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Integer(integer) => Cell::Integer(integer),
        Value::Real(real) => Cell::Real(real),
        Value::Text(text) => Cell::Text(text),
        Value::Blob(bytes) => Cell::Blob(bytes),
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(integer) => Value::Integer(integer),
        Cell::Real(real) => Value::Real(real),
        Cell::Text(text) => Value::Text(text),
        Cell::Blob(bytes) => Value::Blob(bytes),
    }
}
