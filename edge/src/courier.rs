//! The courier: carries alerts to the webhooks of `[[alerts.route]]`.
//!
//! One supervised thread a route follows the committed anomaly-events of all partitions and keeps its own place in the store, so
//! that a slow or dead receiver holds up nobody, and an alert outlives a restart of the host or of the receiver. A
//! notification is sent when an alert opens, when its severity rises, and when it resolves; never for each anomaly in
//! it. It is delivered at least once: after a crash the last one may come again, under the same `Idempotency-Key`.
//!
//! A changed configuration is taken in two steps. [`Courier::prepare`] does everything that can fail and touches no
//! running route; [`Courier::switch`] cannot fail. Routes that did not change go on undisturbed.

mod delivery;
mod follower;
mod health;
mod route;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use wheeltapper_config::AlertRoute;
use wheeltapper_log::Reader;
use wheeltapper_store::Store;

use crate::{
    metrics::Metrics,
    supervisor::{Supervisor, TaskHandle},
};
use follower::Follower;
use health::HealthCell;
pub use health::{RouteHealth, RouteState};
use route::Route;

/// How the keys begin under which the routes' places lie in the store.
pub(crate) const PLACES: &str = "courier/";

/// The anomaly-events of one partition, and how far they are committed.
pub type Source = (Reader, Arc<AtomicU64>);

/// A route waits for its receiver's answer at most this long, and for the store.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The offsets that a route would go on from after a restart, by partition.
type Durable = Arc<Mutex<Vec<u64>>>;

/// Runs the routes' tasks; dropping it ends them.
pub struct Courier {
    sources: Vec<Source>,
    store: Store,
    metrics: Arc<Metrics>,
    supervisor: Supervisor,
    state: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    routes: Vec<RunningRoute>,
    /// Tasks of routes that were taken away, which may still wait for a receiver's answer.
    ending: Vec<TaskHandle>,
}

struct RunningRoute {
    route: Route,
    durable: Durable,
    health: Arc<HealthCell>,
    task: TaskHandle,
}

/// Routes that are ready to run; see [`Courier::switch`]. Dropping them leaves everything as it is.
pub struct PreparedRoutes(Vec<Prepared>);

enum Prepared {
    /// The running route of that name stays.
    Unchanged(Route),
    /// Its task waits for a word to begin. The sender is dropped first, as a task that waits for a word does not hear that it
    /// is stopped.
    New { begin: mpsc::Sender<Begin>, running: RunningRoute },
}

/// The word to begin. Two tasks may not follow one place: the one before is waited for.
struct Begin {
    before: Option<TaskHandle>,
}

impl fmt::Debug for Courier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Courier").field("health", &self.health()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PreparedRoutes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs may hold secrets.
        out.debug_struct("PreparedRoutes").field("routes", &self.0.len()).finish()
    }
}

impl Courier {
    /// Starts the routes where the store says that they left off; a new one starts with what is found from now on.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub fn start(
        routes: &[AlertRoute],
        sources: &[Source],
        store: &Store,
        metrics: &Arc<Metrics>,
        supervisor: &Supervisor,
    ) -> anyhow::Result<Self> {
        let courier = Self {
            supervisor: supervisor.clone(),
            sources: sources.to_vec(),
            store: store.clone(),
            metrics: Arc::clone(metrics),
            state: Mutex::default(),
        };
        let prepared = courier.prepare(routes)?;
        courier.switch(prepared);
        Ok(courier)
    }

    /// Does all of a change of routes that can fail: reads their URLs from the environment, checks them, starts the new
    /// ones' tasks, which wait. The running routes are not touched.
    ///
    /// # Errors
    /// When a route's environment variable is not set, its URL is none, two routes have one name, or no thread can be
    /// started.
    pub fn prepare(&self, routes: &[AlertRoute]) -> anyhow::Result<PreparedRoutes> {
        let mut names = BTreeSet::new();
        let mut prepared = Vec::with_capacity(routes.len());
        for route in routes {
            let route = Route::new(route)?;
            anyhow::ensure!(
                names.insert(route.name.clone()),
                "[[alerts.route]] {}: two routes have this name; give each its own",
                route.name
            );
            if self.running().routes.iter().any(|running| running.route == route) {
                prepared.push(Prepared::Unchanged(route));
            } else {
                prepared.push(self.prepare_route(route)?);
            }
        }
        Ok(PreparedRoutes(prepared))
    }

    fn prepare_route(&self, route: Route) -> anyhow::Result<Prepared> {
        let health = Arc::new(HealthCell::default());
        // A route of that name goes on from where the one before is; until then the log keeps what that one needs.
        let before = self
            .running()
            .routes
            .iter()
            .find(|running| running.route.name == route.name)
            .map(|running| Arc::clone(&running.durable));
        let durable = before.unwrap_or_else(|| Arc::new(Mutex::new(follower::committed(&self.sources))));
        let mut follower = Follower::new(
            route.clone(),
            self.sources.clone(),
            self.store.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&durable),
            Arc::clone(&health),
        );
        let (begin, word) = mpsc::channel::<Begin>();
        let mut word = Some(word);
        let task = self
            .supervisor
            .spawn(format!("route-{}", route.name), move |task| {
                if let Some(word) = word.take() {
                    // No word: the change was given up.
                    let Ok(Begin { before }) = word.recv() else { return Ok(()) };
                    if let Some(mut before) = before {
                        before.stop_within(STOP_LIMIT);
                    }
                }
                follower.run(task)
            })
            .with_context(|| format!("[[alerts.route]] {}: starting its thread", route.name))?;
        Ok(Prepared::New { begin, running: RunningRoute { route, durable, health, task } })
    }

    /// Lets the prepared routes run instead of those that run now, without waiting for anything: a route that was taken
    /// away or changed may still wait for its receiver's answer, and its successor waits for that.
    pub fn switch(&self, prepared: PreparedRoutes) {
        let mut state = self.running();
        let mut old = std::mem::take(&mut state.routes);
        let mut take = |name: &str| {
            let at = old.iter().position(|running| running.route.name == name)?;
            Some(old.swap_remove(at))
        };
        for prepared in prepared.0 {
            match prepared {
                Prepared::Unchanged(route) => match take(&route.name) {
                    Some(running) => state.routes.push(running),
                    None => tracing::error!(route = route.name, "a route was changed twice at once; reload again"),
                },
                Prepared::New { begin, running } => {
                    let before = take(&running.route.name).map(|before| {
                        before.task.request_stop();
                        before.task
                    });
                    // The task waits for this word; it cannot have gone.
                    let _ = begin.send(Begin { before });
                    state.routes.push(running);
                }
            }
        }
        for gone in old {
            gone.task.request_stop();
            state.ending.push(gone.task);
        }
        state.ending.retain(|task| !task.has_stopped());
    }

    /// The first offset in the anomaly-events of `partition` that a restart would read.
    pub fn needed(&self, partition: usize) -> u64 {
        let state = self.running();
        let offset = |running: &RunningRoute| {
            running.durable.lock().unwrap_or_else(PoisonError::into_inner).get(partition).copied().unwrap_or(0)
        };
        state.routes.iter().map(offset).min().unwrap_or(u64::MAX)
    }

    /// How each route is.
    pub fn health(&self) -> Vec<RouteHealth> {
        let route = |running: &RunningRoute| running.health.get(&running.route.name);
        self.running().routes.iter().map(route).collect()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        // All at once, so that they end side by side; each is waited for as it is dropped.
        for running in &state.routes {
            running.task.request_stop();
        }
    }
}
