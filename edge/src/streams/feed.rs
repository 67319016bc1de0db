//! Anomalies, alerts, drifts and work orders of all partitions as one stream of events, each with its position.

use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::broadcast;
use wheeltapper_line_api::{Filter, Table};

use super::broadcaster::Broadcaster;
use crate::{
    api::QueryService,
    host::Host,
    supervisor::TaskHandle,
    topics::{Finding, NextStep, PublishedTopic, ReadOutcome, follow},
};

/// The number of events that a listener may be behind before it reads them from the log.
const CHANNEL_CAPACITY: usize = 1_024;
/// The number of bytes of one partition's log that are read at once.
const READ_BYTES: usize = 256 << 10;

/// A position in the stream: the offset in each partition's anomaly-events, and the number of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPosition {
    offsets: Vec<u64>,
    plan: u64,
}

impl StreamPosition {
    /// Whether `other` does not lie after this position in any part.
    fn covers(&self, other: &Self) -> bool {
        self.plan >= other.plan && self.offsets.iter().zip(&other.offsets).all(|(own, other)| own >= other)
    }
}

/// The numbers separated by dots, the plan last.
impl fmt::Display for StreamPosition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for offset in &self.offsets {
            write!(out, "{offset}.")?;
        }
        write!(out, "{}", self.plan)
    }
}

impl FromStr for StreamPosition {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut offsets = text.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let plan = offsets.pop().unwrap_or_default();
        Ok(Self { offsets, plan })
    }
}

/// An event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `anomaly`, `alert`, `drift` or `work-order`.
    pub kind: &'static str,
    /// The asset id.
    pub asset: String,
    /// The row in the API's format, as it is now.
    pub data: String,
    /// The position after the event.
    pub position: StreamPosition,
}

/// The stream of events.
pub struct Feed {
    query_service: Arc<QueryService>,
    findings: PublishedTopic,
    announcer: Broadcaster<StreamPosition, Event>,
    task: Mutex<Option<TaskHandle>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Feed").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Feed {
    /// Starts to follow the line, with new events only.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(query_service: Arc<QueryService>) -> std::io::Result<Arc<Self>> {
        let host = query_service.host();
        let feed = Arc::new(Self {
            announcer: Broadcaster::new(current_position(host), CHANNEL_CAPACITY),
            findings: host.findings_topic().clone(),
            task: Mutex::default(),
            query_service,
        });
        let publisher = Arc::clone(&feed);
        let task = feed.query_service.host().supervisor.spawn("feed", move |task| {
            follow(task, publisher.findings.signal(), || {
                let has_more = !task.is_stopping() && publisher.step()?;
                Ok(if has_more { NextStep::Now } else { NextStep::WhenSignalled })
            })
        })?;
        *feed.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(feed)
    }

    /// Stops the thread.
    pub fn stop(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.request_stop();
        }
    }

    /// The position up to which events have been sent.
    pub fn position(&self) -> StreamPosition {
        self.announcer.position()
    }

    /// The events from now on, and the current position.
    pub fn subscribe(&self) -> (broadcast::Receiver<Arc<Event>>, StreamPosition) {
        self.announcer.subscribe()
    }

    /// Parses a position that a listener names, if it is one of this host's. Events that are no longer in the log are
    /// skipped.
    pub fn parse_position(&self, text: &str) -> Option<StreamPosition> {
        let mut position: StreamPosition = text.parse().ok()?;
        let now = self.position();
        let fits = position.offsets.len() == now.offsets.len() && now.covers(&position);
        self.findings.skip_expired(&mut position.offsets);
        fits.then_some(position)
    }

    /// Sends some of the new events; returns whether there are more.
    ///
    /// # Errors
    /// If log or store cannot be read; the next step begins at the same position.
    fn step(&self) -> anyhow::Result<bool> {
        let (mut at, until) = (self.position(), current_position(self.query_service.host()));
        if at == until || self.announcer.skip_if_unheard(&until) {
            return Ok(false);
        }
        let events = self.read(&mut at, &until)?;
        self.announcer.publish(events, &at);
        Ok(at != until)
    }

    /// Some of the events from `at` to `until`, in their order; `at` advances, and equals `until` once there are no
    /// more.
    ///
    /// # Errors
    /// If log or store cannot be read.
    pub fn read(&self, at: &mut StreamPosition, until: &StreamPosition) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        let mut findings = self.findings.clone();
        for partition in 0..findings.partitions() {
            let (Some(&from), Some(&end)) = (at.offsets.get(partition), until.offsets.get(partition)) else { continue };
            let records = match findings.read(partition, from, end, READ_BYTES)? {
                ReadOutcome::Records(records) => records,
                ReadOutcome::Lost(resume) => {
                    if let Some(offset) = at.offsets.get_mut(partition) {
                        *offset = resume;
                    }
                    continue;
                }
            };
            for record in records {
                if let Some(offset) = at.offsets.get_mut(partition) {
                    *offset = record.next_offset;
                }
                // The planner has already logged a record that cannot be parsed.
                if let Ok(finding) = serde_json::from_slice(&record.payload) {
                    events.extend(self.finding_event(&finding, at)?);
                }
            }
        }
        let is_behind = at.offsets.iter().zip(&until.offsets).any(|(at, until)| at < until);
        // A work order follows from an alert, so it is sent after it.
        if !is_behind && at.plan < until.plan {
            for (id, asset) in self.query_service.host().store.work_orders_of_plans(at.plan, until.plan)? {
                events.extend(self.row_event("work-order", Table::WorkOrders, &id, &asset, at)?);
            }
            at.plan = until.plan;
            if let Some(last) = events.last_mut().filter(|last| last.kind == "work-order") {
                last.position.plan = until.plan;
            }
        }
        Ok(events)
    }

    fn finding_event(&self, finding: &Finding, position: &StreamPosition) -> anyhow::Result<Option<Event>> {
        match finding {
            Finding::Anomaly(found) => self.row_event("anomaly", Table::Anomalies, &found.id, &found.asset, position),
            Finding::Alert(alert) => self.row_event("alert", Table::Alerts, &alert.id, &alert.asset, position),
            Finding::Drift(drift) => self.row_event("drift", Table::Drifts, &drift.id, &drift.asset, position),
            // There is one in each window, so listeners query the newest instead.
            Finding::Prognosis(_) => Ok(None),
        }
    }

    /// `None` if the row has been deleted meanwhile.
    fn row_event(
        &self,
        kind: &'static str,
        table: Table,
        id: &str,
        asset: &str,
        position: &StreamPosition,
    ) -> anyhow::Result<Option<Event>> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        let data = self.query_service.query_row(table, &filter, None)?;
        Ok(data.map(|data| Event { kind, asset: asset.to_owned(), data, position: position.clone() }))
    }
}

/// The current position of the line.
fn current_position(host: &Host) -> StreamPosition {
    StreamPosition { offsets: host.findings_topic().ends(), plan: host.plan_number() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_round_trips_as_text() {
        let position = StreamPosition { offsets: vec![12, 0, 7], plan: 3 };
        assert_eq!(position.to_string(), "12.0.7.3");
        assert_eq!("12.0.7.3".parse(), Ok(position.clone()));
        assert!("12.x".parse::<StreamPosition>().is_err());
        assert!(position.covers(&StreamPosition { offsets: vec![12, 0, 6], plan: 3 }));
        assert!(!position.covers(&StreamPosition { offsets: vec![12, 1, 6], plan: 3 }));
    }
}
