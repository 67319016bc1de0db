//! The host's metrics for Prometheus.

mod http;

use std::{fmt, sync::atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use wheeltapper_store::StoreSizes;

use crate::components::StageName;
pub use http::HttpMetrics;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PartitionLabel {
    partition: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FileLabel {
    file: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabel {
    connection: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TaskLabel {
    task: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChannelLabel {
    channel: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ChannelOutcomeLabel {
    channel: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TriggerLabel {
    trigger: &'static str,
}

/// All metrics of the host.
pub struct Metrics {
    registry: Registry,
    /// Accepted readings; rejected ones are not counted.
    pub readings_in: Counter,
    /// Windows whose features were computed.
    pub windows: Counter,
    /// Anomalies found.
    pub anomalies: Counter,
    /// Alerts opened, changed or resolved.
    pub alerts: Counter,
    /// Drifts found, and their outcomes.
    pub drifts: Counter,
    /// Work orders placed or changed.
    pub work_orders: Counter,
    /// Readings written to the store.
    pub readings_stored: Counter,
    /// Readings behind their sensor's watermark; windows that had closed lack them.
    pub readings_late: Counter,
    /// Duplicate readings and samples, which were stored already and were dropped.
    pub readings_duplicate: Counter,
    /// Duration of a group commit of the log in seconds, including the wait.
    pub commit_seconds: Histogram,
    /// Duration of a transaction of the store in seconds.
    pub store_seconds: Histogram,
    /// Seconds from a reading's arrival to its anomaly's commit.
    pub reading_to_anomaly_seconds: Histogram,
    /// Size of the events that wait to be decoded, in bytes.
    pub queue_bytes: Gauge,
    /// The metrics of the HTTP server.
    pub http: HttpMetrics,
    /// Open connections of the MQTT broker.
    pub mqtt_connections: Gauge,
    mqtt: Family<WhatLabel, Gauge>,
    stage_seconds: Family<StageLabel, Histogram, fn() -> Histogram>,
    stage_items: Family<StageLabel, Counter>,
    restarts: Family<StageLabel, Counter>,
    rejected: Family<ReasonLabel, Counter>,
    lag: Family<PartitionLabel, Gauge>,
    events: Family<TriggerLabel, Counter>,
    notifications: Family<OutcomeLabel, Counter>,
    channel_messages: Family<ChannelOutcomeLabel, Counter>,
    channel_waiting: Family<ChannelLabel, Gauge>,
    channel_breaker: Family<ChannelLabel, Gauge>,
    readings_rate: Gauge<f64, AtomicU64>,
    /// Registered sensors.
    pub sensors: Gauge,
    /// Damaged or missing bytes of the log that were skipped.
    log_lost_bytes: Family<PartitionLabel, Counter>,
    /// Bytes of the log that were found damaged when it was opened.
    log_damaged_bytes: Family<PartitionLabel, Counter>,
    store_bytes: Family<FileLabel, Gauge>,
    connection_up: Family<ConnectionLabel, Gauge>,
    task_up: Family<TaskLabel, Gauge>,
    task_restarts: Family<TaskLabel, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn duration_buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

/// Finer buckets around the promised latency: a finding within 100 ms.
fn latency_buckets() -> Histogram {
    const EDGES: [f64; 20] = [
        0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0,
        5.0, 30.0,
    ];
    Histogram::new(EDGES)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("wheeltapper"),
            readings_in: Counter::default(),
            windows: Counter::default(),
            anomalies: Counter::default(),
            alerts: Counter::default(),
            drifts: Counter::default(),
            work_orders: Counter::default(),
            readings_stored: Counter::default(),
            readings_late: Counter::default(),
            readings_duplicate: Counter::default(),
            commit_seconds: duration_buckets(),
            store_seconds: duration_buckets(),
            reading_to_anomaly_seconds: latency_buckets(),
            queue_bytes: Gauge::default(),
            http: HttpMetrics::default(),
            mqtt_connections: Gauge::default(),
            mqtt: Family::default(),
            stage_seconds: Family::new_with_constructor(duration_buckets),
            stage_items: Family::default(),
            restarts: Family::default(),
            rejected: Family::default(),
            lag: Family::default(),
            events: Family::default(),
            notifications: Family::default(),
            channel_messages: Family::default(),
            channel_waiting: Family::default(),
            channel_breaker: Family::default(),
            readings_rate: Gauge::default(),
            sensors: Gauge::default(),
            log_lost_bytes: Family::default(),
            log_damaged_bytes: Family::default(),
            store_bytes: Family::default(),
            connection_up: Family::default(),
            task_up: Family::default(),
            task_restarts: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let to = &mut self.registry;
        to.register("readings", "Accepted readings", self.readings_in.clone());
        to.register("readings_stored", "Readings written to the store", self.readings_stored.clone());
        to.register("readings_late", "Readings that arrived too late for some windows", self.readings_late.clone());
        to.register(
            "readings_duplicate",
            "Readings dropped because they were duplicates",
            self.readings_duplicate.clone(),
        );
        to.register("readings_per_second", "Readings accepted in the last second", self.readings_rate.clone());
        to.register("readings_rejected", "Rejected readings, by reason", self.rejected.clone());
        to.register("windows", "Windows whose features were computed", self.windows.clone());
        to.register("anomalies", "Anomalies found", self.anomalies.clone());
        to.register("alerts", "Alerts opened, changed or resolved", self.alerts.clone());
        to.register("drifts", "Drifts found, and their outcomes", self.drifts.clone());
        to.register("work_orders", "Work orders created or changed", self.work_orders.clone());
        to.register("events", "Events received, by trigger", self.events.clone());
        to.register("notifications", "Attempts to send alerts to webhooks, by outcome", self.notifications.clone());
        to.register(
            "channel_messages",
            "Attempts to send messages, by channel of alerts and outcome",
            self.channel_messages.clone(),
        );
        to.register("channel_waiting", "Alerts that a channel has not sent yet", self.channel_waiting.clone());
        to.register(
            "channel_breaker",
            "Circuit breaker of a channel: 0 closed, 1 half-open, 2 open (nothing is sent)",
            self.channel_breaker.clone(),
        );
        to.register("stage_call_seconds", "Duration of a stage's calls in seconds", self.stage_seconds.clone());
        to.register(
            "stage_items",
            "Readings, windows, anomalies or alerts that a stage processed",
            self.stage_items.clone(),
        );
        to.register("stage_restarts", "Instances replaced after a failure", self.restarts.clone());
        to.register(
            "log_commit_seconds",
            "Duration of group commits of the log in seconds",
            self.commit_seconds.clone(),
        );
        to.register(
            "store_commit_seconds",
            "Duration of transactions of the store in seconds",
            self.store_seconds.clone(),
        );
        to.register(
            "reading_to_anomaly_seconds",
            "Seconds from a reading's arrival to the commit of its anomaly",
            self.reading_to_anomaly_seconds.clone(),
        );
        self.http.register(to);
        to.register("mqtt_connections", "Open connections of the MQTT broker", self.mqtt_connections.clone());
        to.register("mqtt_broker", "Levels of the MQTT broker, and its counters since it started", self.mqtt.clone());
        to.register(
            "ingest_queue_bytes",
            "Size of the events that wait to be decoded, in bytes",
            self.queue_bytes.clone(),
        );
        to.register("line_lag_bytes", "Bytes of the log that the line has not processed yet", self.lag.clone());
        to.register("sensors", "Registered sensors", self.sensors.clone());
        to.register(
            "log_lost_bytes",
            "Damaged or missing bytes of the log of acknowledged readings that were skipped",
            self.log_lost_bytes.clone(),
        );
        to.register(
            "log_damaged_bytes",
            "Bytes of the log of readings that were found damaged when the host started",
            self.log_damaged_bytes.clone(),
        );
        to.register("store_bytes", "Size of the store in bytes, by file", self.store_bytes.clone());
        to.register(
            "connection_up",
            "Whether the connection to an external MQTT broker or NATS server is up (1) or down (0)",
            self.connection_up.clone(),
        );
        to.register("task_up", "Whether a supervised task of the host works (1) or failed (0)", self.task_up.clone());
        to.register("task_restarts", "Restarts of a supervised task", self.task_restarts.clone());
    }

    /// Durations of a stage's calls, in seconds.
    pub fn stage(&self, stage: StageName) -> Histogram {
        self.stage_seconds.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Items that a stage has processed.
    pub fn items(&self, stage: StageName) -> Counter {
        self.stage_items.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Instances of a stage that were replaced after a failure.
    pub fn restarts(&self, stage: StageName) -> Counter {
        self.restarts.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Readings that were rejected for this reason.
    pub fn rejected(&self, reason: &'static str) -> Counter {
        self.rejected.get_or_create(&ReasonLabel { reason }).clone()
    }

    /// How far a partition's worker is behind its log, in bytes.
    pub fn lag(&self, partition: u16) -> Gauge {
        self.lag.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Damaged or missing bytes of a partition's log of readings.
    pub fn log_lost_bytes(&self, partition: u16) -> Counter {
        self.log_lost_bytes.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Bytes of a partition's log of readings that were found damaged when the host started.
    pub fn log_damaged_bytes(&self, partition: u16) -> Counter {
        self.log_damaged_bytes.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Sets the sizes of the store's files.
    pub(crate) fn set_store_sizes(&self, sizes: &StoreSizes) {
        for (file, bytes) in [
            ("database", sizes.database_bytes),
            ("used", sizes.used_bytes()),
            ("wal", sizes.wal_bytes),
            ("dead_letters", sizes.dead_letter_bytes),
        ] {
            let gauge = self.store_bytes.get_or_create(&FileLabel { file });
            gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }

    /// Whether the connection to an external server is up: 1 or 0.
    pub fn connection_up(&self, connection: &str) -> Gauge {
        self.connection_up.get_or_create(&ConnectionLabel { connection: connection.to_owned() }).clone()
    }

    /// Whether a supervised task works: 1 or 0.
    pub fn task_up(&self, task: &str) -> Gauge {
        self.task_up.get_or_create(&TaskLabel { task: task.to_owned() }).clone()
    }

    /// How often a supervised task was restarted after an error or a panic.
    pub fn task_restarts(&self, task: &str) -> Counter {
        self.task_restarts.get_or_create(&TaskLabel { task: task.to_owned() }).clone()
    }

    /// Removes the metrics of a task that has ended, because they would say that it works.
    pub fn remove_task(&self, task: &str) {
        let label = TaskLabel { task: task.to_owned() };
        self.task_up.remove(&label);
        self.task_restarts.remove(&label);
    }

    /// Events that a trigger received.
    pub fn events(&self, trigger: &'static str) -> Counter {
        self.events.get_or_create(&TriggerLabel { trigger }).clone()
    }

    /// A level or counter of the MQTT broker.
    pub fn mqtt(&self, what: &'static str) -> Gauge {
        self.mqtt.get_or_create(&WhatLabel { what }).clone()
    }

    /// Attempts to send an alert to a webhook: `delivered`, `failed` (sent again), `given_up`.
    pub fn notifications(&self, outcome: &'static str) -> Counter {
        self.notifications.get_or_create(&OutcomeLabel { outcome }).clone()
    }

    /// Attempts to send a message on a channel: `delivered`, `accepted`, `failed` (sent again), `handed_over` to the
    /// fallback, `given_up`.
    pub fn channel_messages(&self, channel: &str, outcome: &'static str) -> Counter {
        self.channel_messages.get_or_create(&ChannelOutcomeLabel { channel: channel.to_owned(), outcome }).clone()
    }

    /// Sets the number of alerts that wait on a channel, and the state of its circuit breaker.
    pub(crate) fn set_channel(&self, channel: &str, waiting: usize, breaker: i64) {
        let label = ChannelLabel { channel: channel.to_owned() };
        self.channel_waiting.get_or_create(&label).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.channel_breaker.get_or_create(&label).set(breaker);
    }

    /// Removes the levels of a channel that does not exist any more.
    pub(crate) fn remove_channel(&self, channel: &str) {
        let label = ChannelLabel { channel: channel.to_owned() };
        self.channel_waiting.remove(&label);
        self.channel_breaker.remove(&label);
    }

    /// The number of readings accepted in the last second.
    pub fn readings_rate(&self) -> Gauge<f64, AtomicU64> {
        self.readings_rate.clone()
    }

    /// The metrics in the text format that Prometheus scrapes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
