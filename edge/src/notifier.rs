//! The notifier: sends alerts to the webhooks and channels of `[[alerts.route]]`.
//!
//! One supervised thread per route follows the committed anomaly-events of all partitions and keeps its own checkpoint
//! in the store. A slow or dead receiver therefore delays no other route, and an alert survives a restart of the host
//! or of the receiver. A notification is sent when an alert opens, when its severity rises, and when it resolves, but
//! not for each anomaly in it. It is delivered at least once: after a crash the last one may be sent again, with the
//! same `Idempotency-Key`.
//!
//! A route to channels stores each notification in their outboxes and goes on; one supervised thread per channel sends
//! them ([`channels`]).
//!
//! A changed configuration is applied in two steps. [`Notifier::prepare`] does everything that can fail and touches no
//! running route; [`Notifier::activate`] cannot fail. Routes that did not change keep running.

#[cfg(test)]
mod channel_tests;
mod channels;
mod delivery;
mod health;
mod outboxes;
mod route;
mod route_task;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use wheeltapper_config::{AlertRoute, AlertSettings};
use wheeltapper_store::Store;

use crate::{
    metrics::Metrics,
    supervisor::{Supervisor, TaskHandle},
    topics::PublishedTopic,
};
pub(crate) use channels::open as open_channel;
use channels::{Channels, Policies};
use health::HealthCell;
pub use health::{RouteHealth, RouteState};
pub(crate) use outboxes::OUTBOX_PREFIX;
use route::Route;
pub(crate) use route_task::CHECKPOINT_PREFIX;
use route_task::{DurableOffsets, RouteTask};

/// The maximum time that a new route waits for its predecessor, which may wait for its receiver's response and for the
/// store.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the routes' tasks; dropping it stops them.
pub struct Notifier {
    findings: PublishedTopic,
    store: Store,
    metrics: Arc<Metrics>,
    supervisor: Supervisor,
    channels: Arc<Channels>,
    state: Mutex<RoutesState>,
}

#[derive(Default)]
struct RoutesState {
    routes: Vec<RunningRoute>,
    /// The tasks of channels, by name.
    channels: BTreeMap<String, TaskHandle>,
    /// Tasks of removed routes and channels, which may still wait for a receiver's response.
    stopping: Vec<TaskHandle>,
}

struct RunningRoute {
    route: Route,
    durable: DurableOffsets,
    health: Arc<HealthCell>,
    task: TaskHandle,
}

/// Routes that are ready to run; see [`Notifier::activate`]. Dropping them leaves everything unchanged.
pub struct PreparedRoutes {
    routes: Vec<Prepared>,
    policies: Policies,
    /// New channels: the name, the signal to begin, and the task.
    channels: Vec<(String, mpsc::Sender<Option<TaskHandle>>, TaskHandle)>,
}

enum Prepared {
    /// The running route of this name stays.
    Unchanged(Route),
    /// The task waits for a signal to begin. The sender is dropped first, because a task that waits for the signal does
    /// not notice that it is stopped.
    New { start_signal: mpsc::Sender<StartSignal>, running: RunningRoute },
}

/// The signal to begin. Two tasks must not follow one checkpoint, so the task waits for its predecessor to stop.
struct StartSignal {
    predecessor: Option<TaskHandle>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Notifier").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PreparedRoutes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs may hold secrets.
        out.debug_struct("PreparedRoutes").field("routes", &self.routes.len()).finish()
    }
}

impl Notifier {
    /// Starts the routes at their stored checkpoints; a new route starts with new findings.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    pub fn start(
        alerts: &AlertSettings,
        findings: &PublishedTopic,
        store: &Store,
        metrics: &Arc<Metrics>,
        supervisor: &Supervisor,
    ) -> anyhow::Result<Self> {
        let notifier = Self {
            supervisor: supervisor.clone(),
            findings: findings.clone(),
            store: store.clone(),
            metrics: Arc::clone(metrics),
            channels: Arc::new(Channels::new(store.clone(), Arc::clone(metrics))),
            state: Mutex::default(),
        };
        let prepared = notifier.prepare(alerts)?;
        notifier.activate(prepared);
        Ok(notifier)
    }

    /// Does all of a change of routes and channels that can fail: reads URLs and secrets, checks them, and starts the
    /// tasks of new routes and channels, which wait. What runs is not touched.
    ///
    /// # Errors
    /// If an environment variable is not set, a URL is not valid, two routes or channels have one name, a route names a
    /// channel that does not exist, or no thread can be started.
    pub fn prepare(&self, alerts: &AlertSettings) -> anyhow::Result<PreparedRoutes> {
        let policies = Policies::new(alerts)?;
        let routes = self.prepare_routes(&alerts.routes, &policies)?;
        let mut channels = Vec::new();
        for name in policies.names().filter(|name| !self.running().channels.contains_key(*name)) {
            let (start_signal, task) = self.channels.spawn(name, &self.supervisor)?;
            channels.push((name.clone(), start_signal, task));
        }
        Ok(PreparedRoutes { routes, policies, channels })
    }

    fn prepare_routes(&self, routes: &[AlertRoute], policies: &Policies) -> anyhow::Result<Vec<Prepared>> {
        let mut names = BTreeSet::new();
        let mut prepared = Vec::with_capacity(routes.len());
        for route in routes {
            let route = Route::new(route)?;
            anyhow::ensure!(
                names.insert(route.name.clone()),
                "[[alerts.route]] {}: two routes have this name; give each its own",
                route.name
            );
            for channel in route.channels().iter().filter(|channel| !policies.names().any(|name| name == *channel)) {
                anyhow::bail!("[[alerts.route]] {}: the channel {channel} does not exist", route.name);
            }
            if self.running().routes.iter().any(|running| running.route == route) {
                prepared.push(Prepared::Unchanged(route));
            } else {
                prepared.push(self.prepare_route(route)?);
            }
        }
        Ok(prepared)
    }

    fn prepare_route(&self, route: Route) -> anyhow::Result<Prepared> {
        let health = Arc::new(HealthCell::default());
        // A route of this name resumes at the progress of its predecessor; until then the log keeps what the
        // predecessor needs.
        let predecessor = self
            .running()
            .routes
            .iter()
            .find(|running| running.route.name == route.name)
            .map(|running| Arc::clone(&running.durable));
        let durable = predecessor.unwrap_or_else(|| Arc::new(Mutex::new(self.findings.ends())));
        let mut route_task = RouteTask::new(
            route.clone(),
            self.findings.clone(),
            self.store.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&self.channels),
            Arc::clone(&durable),
            Arc::clone(&health),
        );
        let (start_signal, signal) = mpsc::channel::<StartSignal>();
        let mut signal = Some(signal);
        let task = self
            .supervisor
            .spawn(format!("route-{}", route.name), move |task| {
                if let Some(signal) = signal.take() {
                    // No signal: the change was dropped.
                    let Ok(StartSignal { predecessor }) = signal.recv() else { return Ok(()) };
                    if let Some(mut predecessor) = predecessor {
                        predecessor.stop_within(PREDECESSOR_TIMEOUT);
                    }
                }
                route_task.run(task)
            })
            .with_context(|| format!("[[alerts.route]] {}: starting its thread", route.name))?;
        Ok(Prepared::New { start_signal, running: RunningRoute { route, durable, health, task } })
    }

    /// Replaces the running routes by the prepared ones, without waiting: a route that was removed or changed may still
    /// wait for its receiver's response, and its successor waits for it.
    pub fn activate(&self, prepared: PreparedRoutes) {
        let mut state = self.running();
        self.activate_channels(&mut state, prepared.policies, prepared.channels);
        let mut previous = std::mem::take(&mut state.routes);
        let mut take = |name: &str| {
            let at = previous.iter().position(|running| running.route.name == name)?;
            Some(previous.swap_remove(at))
        };
        for prepared in prepared.routes {
            match prepared {
                Prepared::Unchanged(route) => match take(&route.name) {
                    Some(running) => state.routes.push(running),
                    None => tracing::error!(route = route.name, "a route was changed twice at once; reload again"),
                },
                Prepared::New { start_signal, running } => {
                    let predecessor = take(&running.route.name).map(|predecessor| {
                        predecessor.task.request_stop();
                        predecessor.task
                    });
                    // The task waits for this signal, so it cannot have ended.
                    let _ = start_signal.send(StartSignal { predecessor });
                    state.routes.push(running);
                }
            }
        }
        for removed in previous {
            removed.task.request_stop();
            state.stopping.push(removed.task);
        }
        state.stopping.retain(|task| !task.has_stopped());
    }

    /// Replaces how the channels send, and their tasks.
    fn activate_channels(
        &self,
        state: &mut RoutesState,
        policies: Policies,
        new: Vec<(String, mpsc::Sender<Option<TaskHandle>>, TaskHandle)>,
    ) {
        let names: BTreeSet<String> = policies.names().cloned().collect();
        // Before the routes, which may already name new channels.
        self.channels.configure(policies);
        let removed: Vec<String> = state.channels.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for task in removed.iter().filter_map(|name| state.channels.remove(name)) {
            task.request_stop();
            state.stopping.push(task);
        }
        for (name, start_signal, task) in new {
            // The task waits for this signal, so it cannot have ended.
            let _ = start_signal.send(state.channels.insert(name, task));
        }
    }

    /// The first offset in the anomaly-events of `partition` that a restart would read.
    pub fn min_needed_offset(&self, partition: usize) -> u64 {
        let state = self.running();
        let offset = |running: &RunningRoute| {
            running.durable.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied().unwrap_or(0)
        };
        state.routes.iter().map(offset).min().unwrap_or(u64::MAX)
    }

    /// The state of each route's receiver.
    pub fn health(&self) -> Vec<RouteHealth> {
        let route = |running: &RunningRoute| running.health.get(&running.route.name);
        self.running().routes.iter().map(route).collect()
    }

    fn running(&self) -> MutexGuard<'_, RoutesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // All at once, so that they stop in parallel; each is waited for when it is dropped.
        for running in &state.routes {
            running.task.request_stop();
        }
        for task in state.channels.values() {
            task.request_stop();
        }
    }
}
