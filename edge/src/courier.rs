//! The courier: carries alerts to the webhooks of `[[alerts.route]]`.
//!
//! One thread a route follows the committed anomaly-events of all partitions and keeps its own place in the store, so
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
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use wheeltapper_config::AlertRoute;
use wheeltapper_log::Reader;
use wheeltapper_store::Store;

use crate::metrics::Metrics;
use follower::{Follower, Stop};
use health::HealthCell;
pub use health::{RouteHealth, RouteState};
use route::Route;

/// How the keys begin under which the routes' places lie in the store.
pub(crate) const PLACES: &str = "courier/";

/// The anomaly-events of one partition, and how far they are committed.
pub type Source = (Reader, Arc<AtomicU64>);

/// The offsets that a route would go on from after a restart, by partition.
type Durable = Arc<Mutex<Vec<u64>>>;

/// Runs the routes' threads; dropping it ends them.
pub struct Courier {
    sources: Vec<Source>,
    store: Store,
    metrics: Arc<Metrics>,
    state: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    routes: Vec<RunningRoute>,
    /// Threads of routes that were taken away, which may still wait for a receiver's answer.
    ending: Vec<JoinHandle<()>>,
}

struct RunningRoute {
    route: Route,
    durable: Durable,
    stop: Arc<Stop>,
    health: Arc<HealthCell>,
    thread: JoinHandle<()>,
}

/// Routes that are ready to run; see [`Courier::switch`]. Dropping them leaves everything as it is.
pub struct PreparedRoutes(Vec<Prepared>);

enum Prepared {
    /// The running route of that name stays.
    Unchanged(Route),
    /// Its thread waits for a word to begin.
    New { running: RunningRoute, begin: mpsc::Sender<Begin> },
}

/// The word to begin. Two threads may not follow one place: the one before is waited for.
struct Begin {
    before: Option<JoinHandle<()>>,
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
    ) -> anyhow::Result<Self> {
        let courier = Self {
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
    /// ones' threads, which wait. The running routes are not touched.
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
        let (stop, health) = (Arc::new(Stop::default()), Arc::new(HealthCell::default()));
        // A route of that name goes on from where the one before is; until then the log keeps what that one needs.
        let before = self
            .running()
            .routes
            .iter()
            .find(|running| running.route.name == route.name)
            .map(|running| Arc::clone(&running.durable));
        let durable = before.unwrap_or_else(|| Arc::new(Mutex::new(follower::committed(&self.sources))));
        let follower = Follower::new(
            route.clone(),
            self.sources.clone(),
            self.store.clone(),
            Arc::clone(&self.metrics),
            Arc::clone(&durable),
            Arc::clone(&health),
        );
        let (begin, word) = mpsc::channel::<Begin>();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name(format!("courier-{}", route.name))
            .spawn(move || {
                // No word: the change was given up.
                let Ok(Begin { before }) = word.recv() else { return };
                if let Some(before) = before {
                    let _ = before.join();
                }
                follower.run(&stopped);
            })
            .with_context(|| format!("[[alerts.route]] {}: starting its thread", route.name))?;
        Ok(Prepared::New { running: RunningRoute { route, durable, stop, health, thread }, begin })
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
                Prepared::New { running, begin } => {
                    let before = take(&running.route.name).map(|before| {
                        before.stop.set();
                        before.thread
                    });
                    // The thread waits for this word; it cannot have gone.
                    let _ = begin.send(Begin { before });
                    state.routes.push(running);
                }
            }
        }
        for gone in old {
            gone.stop.set();
            state.ending.push(gone.thread);
        }
        state.ending.retain(|thread| !thread.is_finished());
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
        let route = |running: &RunningRoute| running.health.get(&running.route.name, running.thread.is_finished());
        self.running().routes.iter().map(route).collect()
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        let state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        for running in &state.routes {
            running.stop.set();
        }
        for thread in state.routes.into_iter().map(|running| running.thread).chain(state.ending) {
            let _ = thread.join();
        }
    }
}
