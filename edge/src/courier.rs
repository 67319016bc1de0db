//! The courier: carries alerts to the webhooks of `[[alerts.route]]`.
//!
//! One thread a route follows the committed anomaly-events of all partitions and keeps its own place in the store, so
//! that a slow or dead receiver holds up nobody, and an alert outlives a restart of the host or of the receiver. A
//! notification is sent when an alert opens, when its severity rises, and when it resolves; never for each anomaly in
//! it. It is delivered at least once: after a crash the last one may come again, under the same `Idempotency-Key`.

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use wheeltapper_config::AlertRoute;
use wheeltapper_log::Reader;
use wheeltapper_store::Store;

use crate::{
    components::wit::types::{Alert, AlertState, Severity},
    line::{Finding, alert_row, severity_name},
    metrics::Metrics,
};

const READ_BYTES: usize = 1 << 18;
/// The receiver has this long to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between attempts double from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// When a receiver has not taken anything for so long, each further notification is tried once only, so that the log
/// need not be kept for it for ever.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How the keys begin under which the routes' places lie in the store.
pub(crate) const PLACES: &str = "courier/";
/// A place that moved only over events that concern nobody is written this seldom.
const KEEP_PLACE: Duration = Duration::from_secs(30);

/// The anomaly-events of one partition, and how far they are committed.
pub type Source = (Reader, Arc<AtomicU64>);

/// How far a route has come, as it lies in the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Offset in each partition's anomaly-events.
    offsets: Vec<u64>,
    /// The severity that was last told of each open alert.
    told: BTreeMap<String, String>,
}

/// Where a route goes, and what goes there.
#[derive(Debug)]
struct Route {
    name: String,
    url: String,
    least: Severity,
    sites: Vec<String>,
}

/// Runs the routes' threads; dropping it ends them.
#[derive(Debug, Default)]
pub struct Courier {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// The offsets that each route would go on from after a restart.
    durable: Vec<Arc<Mutex<Vec<u64>>>>,
}

struct Carrier {
    route: Route,
    sources: Vec<Source>,
    store: Store,
    metrics: Arc<Metrics>,
    stop: Arc<AtomicBool>,
    durable: Arc<Mutex<Vec<u64>>>,
    place: Place,
    agent: ureq::Agent,
    /// Since when the receiver takes nothing.
    down: Option<Instant>,
    kept: Instant,
}

impl Courier {
    /// Starts the routes where the store says that they left off; a new one starts with what is found from now on.
    ///
    /// # Errors
    /// When a route's URL is not to be had, or the store cannot be read.
    pub fn start(
        routes: &[AlertRoute],
        sources: &[Source],
        store: &Store,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let mut courier = Self::default();
        for route in routes {
            let route = Route::new(route)?;
            let place = Place::open(&route, sources, store)?;
            let durable = Arc::new(Mutex::new(place.offsets.clone()));
            courier.durable.push(Arc::clone(&durable));
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(TIMEOUT))
                .user_agent(concat!("wheeltapper/", env!("CARGO_PKG_VERSION")))
                .build()
                .into();
            let carrier = Carrier {
                sources: sources.to_vec(),
                store: store.clone(),
                metrics: Arc::clone(metrics),
                stop: Arc::clone(&courier.stop),
                durable,
                place,
                agent,
                down: None,
                kept: Instant::now(),
                route,
            };
            let name = format!("courier-{}", carrier.route.name);
            courier.threads.push(thread::Builder::new().name(name).spawn(move || carrier.run())?);
        }
        Ok(courier)
    }

    /// Temporary.
    pub fn prepare(&self, _: &[AlertRoute]) -> anyhow::Result<()> {
        Ok(())
    }
    /// Temporary.
    pub fn switch(&self, (): ()) {}

    /// The first offset in the anomaly-events of `partition` that a restart would read.
    pub fn needed(&self, partition: usize) -> u64 {
        let offset = |route: &Arc<Mutex<Vec<u64>>>| {
            route.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied().unwrap_or(0)
        };
        self.durable.iter().map(offset).min().unwrap_or(u64::MAX)
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Route {
    fn new(route: &AlertRoute) -> anyhow::Result<Self> {
        let url = match (&route.webhook, &route.webhook_env) {
            (Some(url), _) => url.clone(),
            (None, Some(name)) => env::var(name).with_context(|| {
                format!("[[alerts.route]] {}: the environment variable {name} is not set", route.name)
            })?,
            (None, None) => anyhow::bail!("[[alerts.route]] {}: give webhook or webhook_env", route.name),
        };
        let least = match route.severity.as_str() {
            "medium" => Severity::Medium,
            "high" => Severity::High,
            "critical" => Severity::Critical,
            _ => Severity::Low,
        };
        Ok(Self { name: route.name.clone(), url, least, sites: route.sites.clone() })
    }

    fn wants(&self, alert: &Alert) -> bool {
        let site = alert.asset.split('/').next().unwrap_or_default();
        rank(alert.severity) >= rank(self.least) && (self.sites.is_empty() || self.sites.iter().any(|own| own == site))
    }
}

impl Place {
    fn open(route: &Route, sources: &[Source], store: &Store) -> anyhow::Result<Self> {
        let ends = || sources.iter().map(|(_, end)| end.load(Ordering::Acquire)).collect();
        let mut place: Self = match store.state_get(&key(&route.name))? {
            Some(bytes) => serde_json::from_slice(&bytes)?,
            None => {
                let place = Self { offsets: ends(), told: BTreeMap::new() };
                store.state_put(&key(&route.name), &serde_json::to_vec(&place)?)?;
                place
            }
        };
        place.offsets.resize(sources.len(), 0);
        // A route that was away for longer than the log is kept goes on with what is left.
        for (offset, (reader, _)) in place.offsets.iter_mut().zip(sources) {
            *offset = (*offset).max(reader.start());
        }
        Ok(place)
    }

    /// What there is to say of an alert that the receiver was not told yet.
    fn news(&self, alert: &Alert) -> Option<&'static str> {
        match (alert.state, self.told.get(&alert.id)) {
            (AlertState::Open, None) => Some("opened"),
            (AlertState::Open, Some(told)) if told != severity_name(alert.severity) => Some("raised"),
            (AlertState::Resolved, Some(_)) => Some("resolved"),
            _ => None,
        }
    }
}

impl Carrier {
    fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.round() {
                Ok(true) => {}
                Ok(false) => thread::sleep(Duration::from_millis(50)),
                Err(error) => {
                    tracing::error!(route = self.route.name, %error, "alerts wait to be carried; it tries again");
                    self.pause(PAUSES.0);
                }
            }
        }
        if let Err(error) = self.keep_place() {
            tracing::warn!(route = self.route.name, %error, "the last notification may be sent again");
        }
    }

    /// Goes through what is new; tells whether there was anything.
    fn round(&mut self) -> anyhow::Result<bool> {
        let mut moved = false;
        for at in 0..self.sources.len() {
            let (Some((reader, end)), Some(&offset)) = (self.sources.get_mut(at), self.place.offsets.get(at)) else {
                continue;
            };
            for record in reader.read(offset, end.load(Ordering::Acquire), READ_BYTES)? {
                moved = true;
                // What the planner cannot read either is told of there.
                if let Ok(Finding::Alert(alert)) = serde_json::from_slice(&record.payload)
                    && self.route.wants(&alert)
                    && let Some(event) = self.place.news(&alert)
                {
                    if !self.deliver(event, &alert) {
                        // Stopping: it is delivered after the restart.
                        return Ok(false);
                    }
                    match alert.state {
                        AlertState::Open => self.place.told.insert(alert.id, severity_name(alert.severity).to_owned()),
                        AlertState::Resolved => self.place.told.remove(&alert.id),
                    };
                    self.advance(at, record.next);
                    self.keep_place()?;
                } else {
                    self.advance(at, record.next);
                }
            }
        }
        if moved && self.kept.elapsed() >= KEEP_PLACE {
            self.keep_place()?;
        }
        Ok(moved)
    }

    fn advance(&mut self, partition: usize, next: u64) {
        if let Some(offset) = self.place.offsets.get_mut(partition) {
            *offset = next;
        }
    }

    fn keep_place(&mut self) -> anyhow::Result<()> {
        self.store.state_put(&key(&self.route.name), &serde_json::to_vec(&self.place)?)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.place.offsets);
        self.kept = Instant::now();
        Ok(())
    }

    /// Posts until it is taken or refused for good; false when the host stops first.
    fn deliver(&mut self, event: &str, alert: &Alert) -> bool {
        let body = serde_json::json!({
            "event": event,
            "route": self.route.name,
            // Chat systems show this field.
            "text": format!("{} ({event}) {}: {}. {}", severity_name(alert.severity), alert.asset, alert.message, alert.recommendation),
            "alert": alert_row(alert),
        })
        .to_string();
        let key = format!("{}-{}-{event}", alert.id, alert.updated);
        let mut pause = PAUSES.0;
        while !self.stop.load(Ordering::Acquire) {
            let sent = self
                .agent
                .post(&self.route.url)
                .header("Content-Type", "application/json")
                .header("Idempotency-Key", &key)
                .send(body.as_str());
            let why = match sent {
                Ok(answer) if answer.status().is_success() => {
                    self.down = None;
                    self.metrics.notifications("delivered").inc();
                    return true;
                }
                Ok(answer) => {
                    let status = answer.status();
                    let busy = matches!(status.as_u16(), 408 | 425 | 429);
                    if status.is_client_error() && !busy {
                        self.give_up(alert, &format!("the receiver refused it with {status}; check the route's URL"));
                        return true;
                    }
                    format!("the receiver answered {status}")
                }
                // The error's text could name the URL, which may hold a secret.
                Err(ureq::Error::Timeout(_)) => format!("the receiver did not answer within {TIMEOUT:?}"),
                Err(ureq::Error::HostNotFound) => "the receiver's name cannot be resolved".to_owned(),
                Err(ureq::Error::Io(error)) => error.to_string(),
                Err(_) => "the request failed; check the route's URL".to_owned(),
            };
            self.metrics.notifications("failed").inc();
            let since = *self.down.get_or_insert_with(Instant::now);
            if since.elapsed() >= PATIENCE {
                self.give_up(alert, &why);
                return true;
            }
            tracing::warn!(route = self.route.name, alert = alert.id, why, "an alert was not taken; it is sent again");
            self.pause(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
        false
    }

    fn give_up(&self, alert: &Alert, why: &str) {
        self.metrics.notifications("given_up").inc();
        tracing::error!(
            route = self.route.name,
            alert = alert.id,
            title = alert.title,
            why,
            "an alert was not carried"
        );
    }

    /// Waits, unless the host stops.
    fn pause(&self, length: Duration) {
        let began = Instant::now();
        while began.elapsed() < length && !self.stop.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn key(route: &str) -> String {
    format!("{PLACES}{route}")
}

fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Low => 0,
        Severity::Medium => 1,
        Severity::High => 2,
        Severity::Critical => 3,
    }
}
