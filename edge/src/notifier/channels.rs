//! The channels of `[[alerts.channel]]`: one supervised thread each sends what its outbox says.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use wheeltapper_channels::{
    AlertMessage, AllowedHosts, BreakerState, Channel, Effect, OutboxSettings, Outcome, QuietTimes, Silences, Wording,
};
use wheeltapper_config::{AlertChannel, AlertSettings};
use wheeltapper_store::Store;

use super::outboxes::{self, Next, Outboxes};
use crate::{
    clock,
    metrics::Metrics,
    supervisor::{Supervisor, TaskContext, TaskHandle},
};

/// The maximum time between two looks into an outbox; a new message is seen that late.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How one channel sends, and when.
#[derive(Debug)]
struct Policy {
    channel: Channel,
    outbox: OutboxSettings,
    quiet: QuietTimes,
    fallback: Option<String>,
}

/// How all channels send. It is replaced as a whole when the configuration changes.
#[derive(Debug, Default)]
pub(super) struct Policies {
    channels: BTreeMap<String, Policy>,
    silences: Silences,
    wording: Wording,
}

/// The channels, shared by the routes and the threads.
pub(super) struct Channels {
    outboxes: Outboxes,
    policies: RwLock<Arc<Policies>>,
    metrics: Arc<Metrics>,
}

/// Opens a channel of the configuration, and what its messages need, for a message outside of the outboxes.
///
/// # Errors
/// If the channel cannot be used as it is configured.
pub(crate) fn open(alerts: &AlertSettings, channel: &AlertChannel) -> anyhow::Result<(Channel, Wording)> {
    let hosts = AllowedHosts::new(alerts.allowed_hosts.as_deref());
    let opened = Channel::open(channel, &hosts).with_context(|| format!("[[alerts.channel]] {}", channel.name))?;
    Ok((opened, wording(alerts)?))
}

fn wording(alerts: &AlertSettings) -> anyhow::Result<Wording> {
    let zone = match &alerts.zone {
        Some(name) => jiff::tz::TimeZone::get(name).with_context(|| format!("[alerts] zone = {name:?}"))?,
        None => jiff::tz::TimeZone::UTC,
    };
    Ok(Wording { url: alerts.url.clone(), zone })
}

impl Policies {
    /// # Errors
    /// If a channel cannot be used as it is configured.
    pub(super) fn new(alerts: &AlertSettings) -> anyhow::Result<Self> {
        let silences = Silences::new(&alerts.silences)?;
        let wording = wording(alerts)?;
        let mut channels = BTreeMap::new();
        for settings in &alerts.channels {
            let (channel, _) = open(alerts, settings)?;
            let quiet = QuietTimes::new(&settings.quiet_hours, &wording.zone)
                .with_context(|| format!("[[alerts.channel]] {}", settings.name))?;
            let outbox = OutboxSettings {
                channel: settings.name.clone(),
                max_per_minute: settings.max_per_minute,
                group_wait: settings.group_wait.to_std(),
                has_fallback: settings.fallback.is_some(),
            };
            let policy = Policy { channel, outbox, quiet, fallback: settings.fallback.clone() };
            anyhow::ensure!(
                channels.insert(settings.name.clone(), policy).is_none(),
                "[[alerts.channel]] {}: two channels have this name; give each its own",
                settings.name
            );
        }
        Ok(Self { channels, silences, wording })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.channels.keys()
    }

    /// Returns the time before which a message must not be sent on a channel.
    fn hold(&self, policy: &Policy, message: &AlertMessage, now: i64) -> Option<i64> {
        policy.quiet.hold_until(message.severity, now).max(self.silences.hold_until(&message.asset, now))
    }
}

impl Channels {
    pub(super) fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { outboxes: Outboxes::new(store), policies: RwLock::default(), metrics }
    }

    fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.policies.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn configure(&self, policies: Policies) {
        let new = Arc::new(policies);
        let old =
            std::mem::replace(&mut *self.policies.write().unwrap_or_else(PoisonError::into_inner), Arc::clone(&new));
        for name in old.names().filter(|name| !new.channels.contains_key(*name)) {
            self.metrics.remove_channel(name);
        }
    }

    /// Stores a message for these channels. They send it on their own time.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub(super) fn push(&self, channels: &[String], message: &AlertMessage) -> anyhow::Result<()> {
        let (policies, now) = (self.policies(), clock::now());
        let known: Vec<&Policy> = channels.iter().filter_map(|name| policies.channels.get(name)).collect();
        let holds: Vec<_> =
            known.iter().map(|policy| |message: &AlertMessage| policies.hold(policy, message, now)).collect();
        let channels: Vec<outboxes::Channel<'_>> = known
            .iter()
            .zip(&holds)
            .map(|(policy, hold)| outboxes::Channel { settings: policy.outbox.clone(), hold })
            .collect();
        self.outboxes.push(&channels, message, now)
    }

    /// Starts the thread of a channel. It waits for the signal to begin; without one it ends.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        supervisor: &Supervisor,
    ) -> anyhow::Result<(mpsc::Sender<Option<TaskHandle>>, TaskHandle)> {
        let (start, signal) = mpsc::channel::<Option<TaskHandle>>();
        let mut signal = Some(signal);
        let (channels, channel) = (Arc::clone(self), name.to_owned());
        let task = supervisor
            .spawn(format!("channel-{name}"), move |task| {
                if let Some(signal) = signal.take() {
                    // No signal: the change was dropped.
                    let Ok(predecessor) = signal.recv() else { return Ok(()) };
                    if let Some(mut predecessor) = predecessor {
                        predecessor.stop_within(super::PREDECESSOR_TIMEOUT);
                    }
                }
                channels.run(&channel, task)
            })
            .with_context(|| format!("[[alerts.channel]] {name}: starting its thread"))?;
        Ok((start, task))
    }

    fn run(&self, name: &str, task: &TaskContext) -> anyhow::Result<()> {
        let mut wait = Duration::ZERO;
        while task.sleep(wait) {
            wait = self.step(name)?;
            task.mark_healthy();
        }
        Ok(())
    }

    /// Sends at most one parcel of a channel. Returns how long to wait before the next step.
    ///
    /// # Errors
    /// If the store cannot be read or written; nothing is lost, and the step can be repeated.
    fn step(&self, name: &str) -> anyhow::Result<Duration> {
        let (policies, now) = (self.policies(), clock::now());
        let Some(policy) = policies.channels.get(name) else { return Ok(POLL_INTERVAL) };
        let hold = |message: &AlertMessage| policies.hold(policy, message, now);
        let channel = outboxes::Channel { settings: policy.outbox.clone(), hold: &hold };
        let fallback = policy.fallback.as_ref().and_then(|name| policies.channels.get(name));
        let fallback_hold = |message: &AlertMessage| fallback.and_then(|policy| policies.hold(policy, message, now));
        let fallback =
            fallback.map(|fallback| outboxes::Channel { settings: fallback.outbox.clone(), hold: &fallback_hold });
        let next = self.outboxes.next(&channel, fallback.as_ref(), now)?;
        let pause = match next {
            Next::Send(parcel) => {
                let notification = parcel.notification(&policies.wording);
                let attempt = policy.channel.send(&notification, parcel.finished(), now);
                let effect = self.outboxes.record(&policy.outbox, parcel.key(), &attempt, clock::now())?;
                self.report(name, &notification.subject, &attempt, &effect);
                Duration::ZERO
            }
            Next::HandedOver => {
                let fallback = policy.fallback.as_deref().unwrap_or_default();
                tracing::warn!(channel = name, fallback, "messages are handed over to the fallback");
                Duration::ZERO
            }
            Next::Wait(until) => {
                let wait = until.map_or(i64::MAX, |until| until.saturating_sub(now));
                Duration::from_nanos(u64::try_from(wait).unwrap_or(0)).min(POLL_INTERVAL)
            }
        };
        let (waiting, breaker) = self.outboxes.status(&policy.outbox, clock::now())?;
        self.metrics.set_channel(name, waiting, breaker_number(breaker));
        Ok(pause)
    }

    /// Logs and counts the outcome of an attempt.
    fn report(&self, channel: &str, subject: &str, attempt: &wheeltapper_channels::Attempt, effect: &Effect) {
        for (recipient, why) in &attempt.refused {
            tracing::error!(channel, subject, recipient, why, "a recipient does not accept an alert");
        }
        let outcome = match (&attempt.outcome, effect) {
            (Outcome::Delivered, _) => "delivered",
            (Outcome::Accepted { .. }, _) => "accepted",
            (Outcome::Failed { why, .. } | Outcome::Rejected { why }, Effect::Abandoned) => {
                tracing::error!(channel, subject, why, "an alert was abandoned");
                "given_up"
            }
            (Outcome::Failed { why, .. } | Outcome::Rejected { why }, Effect::HandedOver) => {
                tracing::warn!(channel, subject, why, "an alert was not accepted; the fallback sends it");
                "handed_over"
            }
            (Outcome::Failed { why, .. } | Outcome::Rejected { why }, _) => {
                tracing::warn!(channel, subject, why, "an alert was not accepted; it is sent again");
                "failed"
            }
        };
        self.metrics.channel_messages(channel, outcome).inc();
    }
}

/// The state of a breaker as a number of a metric.
fn breaker_number(state: BreakerState) -> i64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}
