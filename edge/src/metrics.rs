//! What the host counts and measures, for Prometheus.

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

use crate::{components::StageName, triggers::http::HttpMetrics};

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
struct TaskLabel {
    task: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabel {
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

/// All of the host's metrics.
pub struct Metrics {
    registry: Registry,
    /// Readings taken in, refused ones not counted.
    pub readings_in: Counter,
    /// Windows whose features were computed.
    pub windows: Counter,
    /// Anomalies found.
    pub anomalies: Counter,
    /// Alerts opened, changed or resolved.
    pub alerts: Counter,
    /// Drifts found, and what became of them.
    pub drifts: Counter,
    /// Work orders placed or changed.
    pub work_orders: Counter,
    /// Readings written to the store.
    pub readings_stored: Counter,
    /// Readings that came behind their sensor's watermark; windows that had closed lack them.
    pub readings_late: Counter,
    /// Readings and samples that were stored already and were dropped: sent again.
    pub readings_repeated: Counter,
    /// Seconds that a group commit of the log took, waiting included.
    pub commit_seconds: Histogram,
    /// Seconds that a transaction of the store took.
    pub store_seconds: Histogram,
    /// Seconds from a reading's arrival to its anomaly's commit.
    pub reading_to_anomaly_seconds: Histogram,
    /// Bytes that wait to be decoded.
    pub queue_bytes: Gauge,
    /// What HTTP counts.
    pub http: HttpMetrics,
    /// Connections of the MQTT broker that are open.
    pub mqtt_connections: Gauge,
    mqtt: Family<WhatLabel, Gauge>,
    stage_seconds: Family<StageLabel, Histogram, fn() -> Histogram>,
    stage_items: Family<StageLabel, Counter>,
    restarts: Family<StageLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    lag: Family<PartitionLabel, Gauge>,
    events: Family<TriggerLabel, Counter>,
    notifications: Family<OutcomeLabel, Counter>,
    readings_rate: Gauge<f64, AtomicU64>,
    /// Sensors that are registered.
    pub sensors: Gauge,
    /// Bytes of the log that were damaged or missing and were passed over.
    log_lost_bytes: Family<PartitionLabel, Counter>,
    /// Bytes of the log that were found damaged when it was opened.
    log_damaged_bytes: Family<PartitionLabel, Counter>,
    store_bytes: Family<FileLabel, Gauge>,
    task_up: Family<TaskLabel, Gauge>,
    task_restarts: Family<TaskLabel, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

/// Finer where promises are made: a finding within 100 ms.
fn waits() -> Histogram {
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
            readings_repeated: Counter::default(),
            commit_seconds: seconds(),
            store_seconds: seconds(),
            reading_to_anomaly_seconds: waits(),
            queue_bytes: Gauge::default(),
            http: HttpMetrics::default(),
            mqtt_connections: Gauge::default(),
            mqtt: Family::default(),
            stage_seconds: Family::new_with_constructor(seconds),
            stage_items: Family::default(),
            restarts: Family::default(),
            refused: Family::default(),
            lag: Family::default(),
            events: Family::default(),
            notifications: Family::default(),
            readings_rate: Gauge::default(),
            sensors: Gauge::default(),
            log_lost_bytes: Family::default(),
            log_damaged_bytes: Family::default(),
            store_bytes: Family::default(),
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
        to.register("readings", "Readings taken in", self.readings_in.clone());
        to.register("readings_stored", "Readings written to the store", self.readings_stored.clone());
        to.register("readings_late", "Readings that came too late for some windows", self.readings_late.clone());
        to.register("readings_repeated", "Readings dropped as they were sent again", self.readings_repeated.clone());
        to.register("readings_per_second", "Readings taken in over the last second", self.readings_rate.clone());
        to.register("readings_refused", "Readings refused, by reason", self.refused.clone());
        to.register("windows", "Windows whose features were computed", self.windows.clone());
        to.register("anomalies", "Anomalies found", self.anomalies.clone());
        to.register("alerts", "Alerts opened, changed or resolved", self.alerts.clone());
        to.register("drifts", "Drifts found, and what became of them", self.drifts.clone());
        to.register("work_orders", "Work orders placed or changed", self.work_orders.clone());
        to.register("events", "Events received, by trigger", self.events.clone());
        to.register("notifications", "Alerts carried to webhooks, by outcome", self.notifications.clone());
        to.register("stage_call_seconds", "Seconds a call of a stage took", self.stage_seconds.clone());
        to.register("stage_items", "Readings, windows, anomalies or alerts a stage took", self.stage_items.clone());
        to.register("stage_restarts", "Instances replaced after a failure", self.restarts.clone());
        to.register("log_commit_seconds", "Seconds until readings were durable", self.commit_seconds.clone());
        to.register("store_commit_seconds", "Seconds a transaction of the store took", self.store_seconds.clone());
        to.register(
            "reading_to_anomaly_seconds",
            "Seconds from a reading's arrival to the commit of its anomaly",
            self.reading_to_anomaly_seconds.clone(),
        );
        self.http.register(to);
        to.register("mqtt_connections", "Connections of the MQTT broker that are open", self.mqtt_connections.clone());
        to.register(
            "mqtt_broker",
            "What the MQTT broker holds, and what it has refused since it started",
            self.mqtt.clone(),
        );
        to.register("ingest_queue_bytes", "Bytes that wait to be decoded", self.queue_bytes.clone());
        to.register("line_lag_bytes", "Bytes of the log that the line has not gone through", self.lag.clone());
        to.register("sensors", "Sensors that are registered", self.sensors.clone());
        to.register(
            "log_lost_bytes",
            "Bytes of the log of acknowledged readings that were damaged or missing and were passed over",
            self.log_lost_bytes.clone(),
        );
        to.register(
            "log_damaged_bytes",
            "Bytes of the log of readings that were found damaged when the host started",
            self.log_damaged_bytes.clone(),
        );
        to.register("store_bytes", "Bytes of the store, by file", self.store_bytes.clone());
        to.register("task_up", "Whether a supervised task of the host works (1) or failed (0)", self.task_up.clone());
        to.register("task_restarts", "How often a supervised task was begun anew", self.task_restarts.clone());
    }

    /// Seconds of a stage's calls.
    pub fn stage(&self, stage: StageName) -> Histogram {
        self.stage_seconds.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Items that a stage took.
    pub fn items(&self, stage: StageName) -> Counter {
        self.stage_items.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Instances of a stage that were replaced.
    pub fn restarts(&self, stage: StageName) -> Counter {
        self.restarts.get_or_create(&StageLabel { stage: stage.as_str() }).clone()
    }

    /// Readings refused for a reason.
    pub fn refused(&self, reason: &'static str) -> Counter {
        self.refused.get_or_create(&ReasonLabel { reason }).clone()
    }

    /// Bytes that a partition is behind.
    pub fn lag(&self, partition: u16) -> Gauge {
        self.lag.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Bytes of a partition's log of readings that were damaged or missing.
    pub fn log_lost_bytes(&self, partition: u16) -> Counter {
        self.log_lost_bytes.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Bytes of a partition's log of readings that were found damaged when the host started.
    pub fn log_damaged_bytes(&self, partition: u16) -> Counter {
        self.log_damaged_bytes.get_or_create(&PartitionLabel { partition }).clone()
    }

    /// Takes note of how large the store is.
    pub(crate) fn store_sizes(&self, sizes: &StoreSizes) {
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

    /// Whether a supervised task works: 1 or 0.
    pub fn task_up(&self, task: &str) -> Gauge {
        self.task_up.get_or_create(&TaskLabel { task: task.to_owned() }).clone()
    }

    /// How often a supervised task was begun anew after an error or a panic.
    pub fn task_restarts(&self, task: &str) -> Counter {
        self.task_restarts.get_or_create(&TaskLabel { task: task.to_owned() }).clone()
    }

    /// A task has ended; its series would say that it works.
    pub fn forget_task(&self, task: &str) {
        let label = TaskLabel { task: task.to_owned() };
        self.task_up.remove(&label);
        self.task_restarts.remove(&label);
    }

    /// Events that a trigger received.
    pub fn events(&self, trigger: &'static str) -> Counter {
        self.events.get_or_create(&TriggerLabel { trigger }).clone()
    }

    /// Something that the MQTT broker holds or has refused.
    pub fn mqtt(&self, what: &'static str) -> Gauge {
        self.mqtt.get_or_create(&WhatLabel { what }).clone()
    }

    /// Attempts to carry an alert to a webhook: `delivered`, `failed` (sent again), `given_up`.
    pub fn notifications(&self, outcome: &'static str) -> Counter {
        self.notifications.get_or_create(&OutcomeLabel { outcome }).clone()
    }

    /// Readings taken in over the last second.
    pub fn readings_rate(&self) -> Gauge<f64, AtomicU64> {
        self.readings_rate.clone()
    }

    /// The text that Prometheus scrapes.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
