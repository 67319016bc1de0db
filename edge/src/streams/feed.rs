//! Anomalies, alerts, drifts and work orders of all partitions as one stream of events, each with its place.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::broadcast;
use wheeltapper_front::{Filter, Table};
use wheeltapper_log::Reader;

use super::announcer::Announcer;
use crate::{
    api::Desk,
    host::Host,
    line::{Finding, Read, read},
    supervisor::TaskHandle,
};

/// How often is looked for something new.
const PAUSE: Duration = Duration::from_millis(50);
/// Events that a listener may be behind before it reads them from the log.
const KEPT: usize = 1_024;
/// Bytes of one partition's log that are read at once.
const READ_BYTES: usize = 256 << 10;

/// A place in the stream: where in each partition's anomaly-events, and which plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    offsets: Vec<u64>,
    plan: u64,
}

impl Place {
    /// Whether what ends at `other` lies before this place.
    fn covers(&self, other: &Self) -> bool {
        self.plan >= other.plan && self.offsets.iter().zip(&other.offsets).all(|(own, other)| own >= other)
    }
}

/// Dots between the numbers, the plan last.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for offset in &self.offsets {
            write!(out, "{offset}.")?;
        }
        write!(out, "{}", self.plan)
    }
}

impl FromStr for Place {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut offsets = text.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let plan = offsets.pop().unwrap_or_default();
        Ok(Self { offsets, plan })
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `anomaly`, `alert`, `drift` or `work-order`.
    pub kind: &'static str,
    /// The machine.
    pub asset: String,
    /// The row as the API gives it, as it is now.
    pub data: String,
    /// Where the stream goes on after it.
    pub place: Place,
}

/// The stream.
pub struct Feed {
    desk: Arc<Desk>,
    sources: Vec<(Reader, Arc<AtomicU64>)>,
    announcer: Announcer<Place, Event>,
    task: Mutex<Option<TaskHandle>>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Feed").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Feed {
    /// Starts to follow the line from now on.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(desk: Arc<Desk>) -> std::io::Result<Arc<Self>> {
        let host = desk.host();
        let sources = host.workers().iter().map(|worker| (worker.findings_reader(), worker.findings_end())).collect();
        let feed = Arc::new(Self { announcer: Announcer::new(end(host), KEPT), sources, task: Mutex::default(), desk });
        let follower = Arc::clone(&feed);
        let task = feed.desk.host().supervisor.spawn("feed", move |task| {
            while !task.stopping() {
                let more = follower.step()?;
                task.healthy();
                if !more {
                    task.sleep(PAUSE);
                }
            }
            Ok(())
        })?;
        *feed.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(feed)
    }

    /// Ends the thread.
    pub fn stop(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.request_stop();
        }
    }

    /// How far it has been told.
    pub fn place(&self) -> Place {
        self.announcer.place()
    }

    /// Events from now on, and where now is.
    pub fn listen(&self) -> (broadcast::Receiver<Arc<Event>>, Place) {
        self.announcer.listen()
    }

    /// A place that a listener names, if it is one of this host's. What is no longer kept is passed over.
    pub fn resume(&self, text: &str) -> Option<Place> {
        let mut place: Place = text.parse().ok()?;
        let now = self.place();
        let fits = place.offsets.len() == now.offsets.len() && now.covers(&place);
        for (offset, (reader, _)) in place.offsets.iter_mut().zip(&self.sources) {
            *offset = (*offset).max(reader.start());
        }
        fits.then_some(place)
    }

    /// Tells some of what is new; returns whether there is more.
    ///
    /// # Errors
    /// When log or store cannot be read; the next step begins at the same place.
    fn step(&self) -> anyhow::Result<bool> {
        let (mut at, until) = (self.place(), end(self.desk.host()));
        if at == until || self.announcer.skip_unheard(&until) {
            return Ok(false);
        }
        let events = self.read(&mut at, &until)?;
        self.announcer.announce(events, &at);
        Ok(at != until)
    }

    /// Some of the events from `at` to `until`, in their order; `at` moves on, and is `until` once there are no more.
    ///
    /// # Errors
    /// When log or store cannot be read.
    pub fn read(&self, at: &mut Place, until: &Place) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        for (partition, (reader, _)) in self.sources.iter().enumerate() {
            let (Some(&from), Some(&end)) = (at.offsets.get(partition), until.offsets.get(partition)) else { continue };
            let mut reader = reader.clone();
            let records = match read(&mut reader, from, end, READ_BYTES)? {
                Read::Records(records) => records,
                Read::Lost(resume) => {
                    if let Some(offset) = at.offsets.get_mut(partition) {
                        *offset = resume;
                    }
                    continue;
                }
            };
            for record in records {
                if let Some(offset) = at.offsets.get_mut(partition) {
                    *offset = record.next;
                }
                // One that cannot be read has been told in the log by the planner.
                if let Ok(finding) = serde_json::from_slice(&record.payload) {
                    events.extend(self.event(&finding, at)?);
                }
            }
        }
        let behind = at.offsets.iter().zip(&until.offsets).any(|(at, until)| at < until);
        // A repair follows from an alert: it is told after it.
        if !behind && at.plan < until.plan {
            for (id, asset) in self.desk.host().store.orders_of_plans(at.plan, until.plan)? {
                events.extend(self.row("work-order", Table::WorkOrders, &id, &asset, at)?);
            }
            at.plan = until.plan;
            if let Some(last) = events.last_mut().filter(|last| last.kind == "work-order") {
                last.place.plan = until.plan;
            }
        }
        Ok(events)
    }

    fn event(&self, finding: &Finding, place: &Place) -> anyhow::Result<Option<Event>> {
        match finding {
            Finding::Anomaly(found) => self.row("anomaly", Table::Anomalies, &found.id, &found.asset, place),
            Finding::Alert(alert) => self.row("alert", Table::Alerts, &alert.id, &alert.asset, place),
            Finding::Drift(drift) => self.row("drift", Table::Drifts, &drift.id, &drift.asset, place),
            // One a window: whoever wants them asks for the newest.
            Finding::Prognosis(_) => Ok(None),
        }
    }

    /// None where the row has gone meanwhile.
    fn row(
        &self,
        kind: &'static str,
        table: Table,
        id: &str,
        asset: &str,
        place: &Place,
    ) -> anyhow::Result<Option<Event>> {
        let filter = Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() };
        let data = self.desk.item(table, &filter, None)?;
        Ok(data.map(|data| Event { kind, asset: asset.to_owned(), data, place: place.clone() }))
    }
}

/// Where the line is now.
fn end(host: &Host) -> Place {
    let offset = |worker: &crate::line::WorkerHandle| worker.findings_end().load(Ordering::Acquire);
    Place { offsets: host.workers().iter().map(offset).collect(), plan: host.plan() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { offsets: vec![12, 0, 7], plan: 3 };
        assert_eq!(place.to_string(), "12.0.7.3");
        assert_eq!("12.0.7.3".parse(), Ok(place.clone()));
        assert!("12.x".parse::<Place>().is_err());
        assert!(place.covers(&Place { offsets: vec![12, 0, 6], plan: 3 }));
        assert!(!place.covers(&Place { offsets: vec![12, 1, 6], plan: 3 }));
    }
}
