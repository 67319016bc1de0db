//! The task of one route: follows the findings and delivers its notifications.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use wheeltapper_store::Store;

use super::{
    channels::Channels,
    delivery::{Deliverer, DeliveryOutcome, RouteNotification},
    health::HealthCell,
    route::Route,
};
use crate::{
    components::wit::types::{Alert, AlertState},
    metrics::Metrics,
    rows::{alert_row, severity_name},
    supervisor::TaskContext,
    topics::{Finding, NextStep, PublishedTopic, ReadOutcome, follow},
};

/// The prefix of the keys under which the routes' checkpoints are stored.
pub(crate) const CHECKPOINT_PREFIX: &str = "notifier/";
/// Bytes of a partition per read.
const READ_BYTES: usize = 1 << 18;
/// The pause after a failed attempt doubles from the first to the second value.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// If a receiver has not accepted anything for this long, each further notification is tried only once, so that the log
/// need not be kept for it without limit.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The interval at which the checkpoint is saved when it only moved over events that concern no route.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(30);

/// The offsets that a route would resume at after a restart, by partition.
pub(super) type DurableOffsets = Arc<Mutex<Vec<u64>>>;

/// The progress of a route, as stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RouteCheckpoint {
    /// The offset in each partition's anomaly-events.
    pub(super) offsets: Vec<u64>,
    /// For each open alert, the severity of the last notification, by alert id.
    notified: BTreeMap<String, String>,
}

/// A notification that the receiver has not accepted yet.
#[derive(Debug)]
struct PendingNotification {
    alert: Alert,
    event: &'static str,
    body: String,
    /// The same key for each attempt, so that a receiver recognises a repetition.
    key: String,
    partition: usize,
    next: u64,
    pause: Duration,
}

/// Follows the findings for one route.
pub(super) struct RouteTask {
    route: Route,
    findings: PublishedTopic,
    store: Store,
    metrics: Arc<Metrics>,
    health: Arc<HealthCell>,
    durable: DurableOffsets,
    /// The offsets at which a route without a stored checkpoint begins.
    start_offsets: Vec<u64>,
    /// `None` until it is loaded, and after a failure.
    checkpoint: Option<RouteCheckpoint>,
    pending: Option<PendingNotification>,
    deliverer: Deliverer,
    /// Since when the receiver has accepted nothing.
    failing_since: Option<Instant>,
    saved_at: Instant,
}

impl RouteTask {
    pub(super) fn new(
        route: Route,
        findings: PublishedTopic,
        store: Store,
        metrics: Arc<Metrics>,
        channels: Arc<Channels>,
        durable: DurableOffsets,
        health: Arc<HealthCell>,
    ) -> Self {
        Self {
            start_offsets: findings.ends(),
            checkpoint: None,
            pending: None,
            deliverer: Deliverer::new(channels),
            failing_since: None,
            saved_at: Instant::now(),
            route,
            findings,
            store,
            metrics,
            health,
            durable,
        }
    }

    /// Loads the checkpoint from the store, and delivers notifications until the task is stopped.
    ///
    /// # Errors
    /// If log or store cannot be read or written; nothing is lost, and the task can be run again.
    pub(super) fn run(&mut self, task: &TaskContext) -> anyhow::Result<()> {
        self.checkpoint = None;
        self.pending = None;
        let signal = self.findings.signal().clone();
        // The rest is delivered after the next start.
        follow(task, &signal, || if task.is_stopping() { Ok(NextStep::WhenSignalled) } else { self.step() })?;
        if let Err(error) = self.save_checkpoint() {
            tracing::warn!(route = self.route.name, %error, "the last notification may be sent again");
        }
        Ok(())
    }

    /// Retries the pending notification, or processes new findings up to the first that is not accepted.
    fn step(&mut self) -> anyhow::Result<NextStep> {
        if self.checkpoint.is_none() {
            self.checkpoint = Some(self.load_checkpoint()?);
        }
        if let Some(pending) = self.pending.take() {
            if let Some(pause) = self.attempt(pending)? {
                return Ok(NextStep::After(pause));
            }
        } else if self.failing_since.is_none() {
            self.health.set_delivering();
        }
        let mut has_advanced = false;
        for partition in 0..self.findings.partitions() {
            let offset = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.offsets.get(partition)).copied();
            let Some(offset) = offset else { continue };
            let records = match self.findings.read(partition, offset, u64::MAX, READ_BYTES)? {
                ReadOutcome::Records(records) => records,
                // The planner reports the loss; the alerts are in the store.
                ReadOutcome::Lost(resume) => {
                    has_advanced = true;
                    self.advance(partition, resume);
                    continue;
                }
            };
            for record in records {
                has_advanced = true;
                // The planner reports records that cannot be parsed.
                let pending = match serde_json::from_slice(&record.payload) {
                    Ok(Finding::Alert(alert)) => self.notification_for(alert, partition, record.next_offset),
                    _ => None,
                };
                match pending {
                    Some(pending) => {
                        if let Some(pause) = self.attempt(pending)? {
                            return Ok(NextStep::After(pause));
                        }
                    }
                    None => self.advance(partition, record.next_offset),
                }
            }
        }
        if has_advanced && self.saved_at.elapsed() >= CHECKPOINT_INTERVAL {
            self.save_checkpoint()?;
        }
        Ok(if has_advanced { NextStep::Now } else { NextStep::WhenSignalled })
    }

    /// The stored checkpoint; a new route begins at the offsets of the time when it was prepared.
    fn load_checkpoint(&self) -> anyhow::Result<RouteCheckpoint> {
        let key = state_key(&self.route.name);
        let mut checkpoint: RouteCheckpoint = match self.store.state_get(&key)? {
            Some(bytes) => serde_json::from_slice(&bytes).context("parsing the stored checkpoint of the route")?,
            None => {
                let checkpoint = RouteCheckpoint { offsets: self.start_offsets.clone(), notified: BTreeMap::new() };
                self.store.state_put(&key, &serde_json::to_vec(&checkpoint)?)?;
                checkpoint
            }
        };
        checkpoint.offsets.resize(self.findings.partitions(), 0);
        // A route that was away for longer than the log's retention continues with what is left.
        self.findings.skip_expired(&mut checkpoint.offsets);
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&checkpoint.offsets);
        Ok(checkpoint)
    }

    /// The notification for an alert, if the receiver has not been notified of this state yet.
    fn notification_for(&self, alert: Alert, partition: usize, next: u64) -> Option<PendingNotification> {
        if !self.route.matches(&alert) {
            return None;
        }
        let notified = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.notified.get(&alert.id));
        let event = match (alert.state, notified) {
            (AlertState::Open, None) => "opened",
            (AlertState::Open, Some(notified)) if notified != severity_name(alert.severity) => "raised",
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
        Some(PendingNotification { alert, event, body, key, partition, next, pause: RETRY_PAUSES.0 })
    }

    /// Posts once. `None`: the notification is done, and the checkpoint has advanced; otherwise the pause before the
    /// next attempt.
    fn attempt(&mut self, mut pending: PendingNotification) -> anyhow::Result<Option<Duration>> {
        let notification =
            RouteNotification { alert: &pending.alert, event: pending.event, body: &pending.body, key: &pending.key };
        let outcome = self.deliverer.attempt(&self.route, &notification)?;
        match outcome {
            DeliveryOutcome::Delivered => {
                self.failing_since = None;
                self.health.set_delivering();
                self.metrics.notifications("delivered").inc();
            }
            DeliveryOutcome::Rejected(why) => self.abandon(&pending, &why),
            DeliveryOutcome::Failed { why, retry_after } => {
                self.metrics.notifications("failed").inc();
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() < GIVE_UP_AFTER {
                    tracing::warn!(
                        route = self.route.name,
                        alert = pending.alert.id,
                        event = pending.event,
                        why,
                        "a notification was not accepted; it is sent again"
                    );
                    self.health.set_waiting(&why);
                    let pause = retry_after.unwrap_or_default().max(pending.pause);
                    pending.pause = (pending.pause * 2).min(RETRY_PAUSES.1);
                    self.pending = Some(pending);
                    return Ok(Some(pause));
                }
                self.abandon(&pending, &why);
            }
        }
        self.mark_done(pending)?;
        Ok(None)
    }

    /// Records in the checkpoint what the receiver knows now.
    fn mark_done(&mut self, pending: PendingNotification) -> anyhow::Result<()> {
        let PendingNotification { alert, partition, next, .. } = pending;
        if let Some(checkpoint) = &mut self.checkpoint {
            match alert.state {
                AlertState::Open => checkpoint.notified.insert(alert.id, severity_name(alert.severity).to_owned()),
                AlertState::Resolved => checkpoint.notified.remove(&alert.id),
            };
        }
        self.advance(partition, next);
        self.save_checkpoint()
    }

    fn advance(&mut self, partition: usize, next: u64) {
        if let Some(offset) = self.checkpoint.as_mut().and_then(|checkpoint| checkpoint.offsets.get_mut(partition)) {
            *offset = next;
        }
    }

    fn save_checkpoint(&mut self) -> anyhow::Result<()> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        self.store.state_put(&state_key(&self.route.name), &serde_json::to_vec(checkpoint)?)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&checkpoint.offsets);
        self.saved_at = Instant::now();
        Ok(())
    }

    fn abandon(&self, pending: &PendingNotification, why: &str) {
        self.metrics.notifications("given_up").inc();
        tracing::error!(
            route = self.route.name,
            alert = pending.alert.id,
            title = pending.alert.title,
            why,
            "a notification was abandoned"
        );
    }
}

fn state_key(route: &str) -> String {
    format!("{CHECKPOINT_PREFIX}{route}")
}
