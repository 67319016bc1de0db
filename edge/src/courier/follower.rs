//! One route: follows the findings and delivers, step by step.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use wheeltapper_store::Store;

use super::{
    Durable, PLACES, Source,
    delivery::{self, Outcome},
    health::HealthCell,
    route::Route,
};
use crate::{
    components::wit::types::{Alert, AlertState},
    line::{Finding, Read, alert_row, read, severity_name},
    metrics::Metrics,
    supervisor::TaskContext,
};

const READ_BYTES: usize = 1 << 18;
/// Between two looks for new findings.
const IDLE: Duration = Duration::from_millis(50);
/// Pauses between attempts double from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// When a receiver has not taken anything for so long, each further notification is tried once only, so that the log
/// need not be kept for it for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// A place that moved only over events that concern nobody is written this seldom.
const KEEP_PLACE: Duration = Duration::from_secs(30);

/// How far a route has come, as it lies in the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// Offset in each partition's anomaly-events.
    pub(super) offsets: Vec<u64>,
    /// The severity that was last told of each open alert.
    told: BTreeMap<String, String>,
}

/// A notification that waits to be taken.
#[derive(Debug)]
struct Pending {
    alert: Alert,
    event: &'static str,
    body: String,
    /// The same for each attempt, so that a receiver can tell a repetition.
    key: String,
    partition: usize,
    next: u64,
    pause: Duration,
}

/// Follows the findings for one route.
pub(super) struct Follower {
    route: Route,
    sources: Vec<Source>,
    store: Store,
    metrics: Arc<Metrics>,
    health: Arc<HealthCell>,
    durable: Durable,
    /// Where a route begins that the store does not know.
    begin: Vec<u64>,
    /// None until it is read, and after a failure.
    place: Option<Place>,
    pending: Option<Pending>,
    agent: ureq::Agent,
    /// Since when the receiver takes nothing.
    down: Option<Instant>,
    kept: Instant,
}

/// How far each source is committed now.
pub(super) fn committed(sources: &[Source]) -> Vec<u64> {
    sources.iter().map(|(_, end)| end.load(Ordering::Acquire)).collect()
}

impl Follower {
    pub(super) fn new(
        route: Route,
        sources: Vec<Source>,
        store: Store,
        metrics: Arc<Metrics>,
        durable: Durable,
        health: Arc<HealthCell>,
    ) -> Self {
        Self {
            begin: committed(&sources),
            place: None,
            pending: None,
            agent: delivery::agent(),
            down: None,
            kept: Instant::now(),
            route,
            sources,
            store,
            metrics,
            health,
            durable,
        }
    }

    /// Steps until the task is stopped, from what the store has.
    ///
    /// # Errors
    /// See [`Self::step`].
    pub(super) fn run(&mut self, task: &TaskContext) -> anyhow::Result<()> {
        self.place = None;
        self.pending = None;
        let mut wait = Duration::ZERO;
        while task.sleep(wait) {
            wait = self.step()?;
            task.healthy();
        }
        if let Err(error) = self.keep_place() {
            tracing::warn!(route = self.route.name, %error, "the last notification may be sent again");
        }
        Ok(())
    }

    /// Tries the notification that waits, or else goes through what is new up to the first that is not taken. Returns how
    /// long to wait before the next step.
    ///
    /// # Errors
    /// When log or store cannot be read or written; nothing is lost, the step can be taken again.
    pub(super) fn step(&mut self) -> anyhow::Result<Duration> {
        if self.place.is_none() {
            self.place = Some(self.open()?);
        }
        if let Some(pending) = self.pending.take() {
            if let Some(pause) = self.attempt(pending)? {
                return Ok(pause);
            }
        } else if self.down.is_none() {
            self.health.delivering();
        }
        let mut moved = false;
        for partition in 0..self.sources.len() {
            let offset = self.place.as_ref().and_then(|place| place.offsets.get(partition)).copied();
            let (Some((reader, end)), Some(offset)) = (self.sources.get_mut(partition), offset) else { continue };
            let records = match read(reader, offset, end.load(Ordering::Acquire), READ_BYTES)? {
                Read::Records(records) => records,
                // The planner reports it; the alerts are in the store.
                Read::Lost(resume) => {
                    moved = true;
                    self.advance(partition, resume);
                    continue;
                }
            };
            for record in records {
                moved = true;
                // What the planner cannot read either is told of there.
                let pending = match serde_json::from_slice(&record.payload) {
                    Ok(Finding::Alert(alert)) => self.news(alert, partition, record.next),
                    _ => None,
                };
                match pending {
                    Some(pending) => {
                        if let Some(pause) = self.attempt(pending)? {
                            return Ok(pause);
                        }
                    }
                    None => self.advance(partition, record.next),
                }
            }
        }
        if moved && self.kept.elapsed() >= KEEP_PLACE {
            self.keep_place()?;
        }
        Ok(if moved { Duration::ZERO } else { IDLE })
    }

    /// Where the store says that it left off; a new route begins where the line was when it was prepared.
    fn open(&self) -> anyhow::Result<Place> {
        let key = key(&self.route.name);
        let mut place: Place = match self.store.state_get(&key)? {
            Some(bytes) => serde_json::from_slice(&bytes).context("reading how far the route has come")?,
            None => {
                let place = Place { offsets: self.begin.clone(), told: BTreeMap::new() };
                self.store.state_put(&key, &serde_json::to_vec(&place)?)?;
                place
            }
        };
        place.offsets.resize(self.sources.len(), 0);
        // A route that was away for longer than the log is kept goes on with what is left.
        for (offset, (reader, _)) in place.offsets.iter_mut().zip(&self.sources) {
            *offset = (*offset).max(reader.start());
        }
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&place.offsets);
        Ok(place)
    }

    /// What there is to say of an alert that the receiver was not told yet.
    fn news(&self, alert: Alert, partition: usize, next: u64) -> Option<Pending> {
        if !self.route.wants(&alert) {
            return None;
        }
        let told = self.place.as_ref().and_then(|place| place.told.get(&alert.id));
        let event = match (alert.state, told) {
            (AlertState::Open, None) => "opened",
            (AlertState::Open, Some(told)) if told != severity_name(alert.severity) => "raised",
            (AlertState::Resolved, Some(_)) => "resolved",
            _ => return None,
        };
        let body = serde_json::json!({
            "event": event,
            "route": self.route.name,
            // Chat systems show this field.
            "text": format!("{} ({event}) {}: {}. {}", severity_name(alert.severity), alert.asset, alert.message, alert.recommendation),
            "alert": alert_row(&alert),
        })
        .to_string();
        let key = format!("{}-{}-{event}", alert.id, alert.updated);
        Some(Pending { alert, event, body, key, partition, next, pause: PAUSES.0 })
    }

    /// Posts once. None: it is done with, and the place has moved on; else the pause before the next attempt.
    fn attempt(&mut self, mut pending: Pending) -> anyhow::Result<Option<Duration>> {
        let outcome = delivery::post(&self.agent, &self.route.url, &pending.key, &pending.body);
        match outcome {
            Outcome::Delivered => {
                self.down = None;
                self.health.delivering();
                self.metrics.notifications("delivered").inc();
            }
            Outcome::Refused(why) => self.give_up(&pending, &why),
            Outcome::Failed { why, retry_after } => {
                self.metrics.notifications("failed").inc();
                let since = *self.down.get_or_insert_with(Instant::now);
                if since.elapsed() < PATIENCE {
                    tracing::warn!(
                        route = self.route.name,
                        alert = pending.alert.id,
                        event = pending.event,
                        why,
                        "an alert was not taken; it is sent again"
                    );
                    self.health.waiting(&why);
                    let pause = retry_after.unwrap_or_default().max(pending.pause);
                    pending.pause = (pending.pause * 2).min(PAUSES.1);
                    self.pending = Some(pending);
                    return Ok(Some(pause));
                }
                self.give_up(&pending, &why);
            }
        }
        self.finish(pending)?;
        Ok(None)
    }

    /// Notes what the receiver knows now.
    fn finish(&mut self, pending: Pending) -> anyhow::Result<()> {
        let Pending { alert, partition, next, .. } = pending;
        if let Some(place) = &mut self.place {
            match alert.state {
                AlertState::Open => place.told.insert(alert.id, severity_name(alert.severity).to_owned()),
                AlertState::Resolved => place.told.remove(&alert.id),
            };
        }
        self.advance(partition, next);
        self.keep_place()
    }

    fn advance(&mut self, partition: usize, next: u64) {
        if let Some(offset) = self.place.as_mut().and_then(|place| place.offsets.get_mut(partition)) {
            *offset = next;
        }
    }

    fn keep_place(&mut self) -> anyhow::Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        self.store.state_put(&key(&self.route.name), &serde_json::to_vec(place)?)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&place.offsets);
        self.kept = Instant::now();
        Ok(())
    }

    fn give_up(&self, pending: &Pending, why: &str) {
        self.metrics.notifications("given_up").inc();
        tracing::error!(
            route = self.route.name,
            alert = pending.alert.id,
            title = pending.alert.title,
            why,
            "an alert was not carried"
        );
    }
}

fn key(route: &str) -> String {
    format!("{PLACES}{route}")
}
