//! State of the connections to external MQTT brokers and NATS servers, for `/ready` and `/metrics`.
//!
//! A server that cannot be reached does not make the host unready: it still accepts readings from everybody else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::metrics::Metrics;

/// Since when and why each connection is down, by name; `None` while it is up.
type States = BTreeMap<String, Option<(Instant, String)>>;

/// All connections of the host. A clone refers to the same connections.
#[derive(Clone, Debug)]
pub struct Connections {
    states: Arc<Mutex<States>>,
    metrics: Arc<Metrics>,
}

/// The handle with which one client reports its connection.
#[derive(Clone, Debug)]
pub struct Connection {
    name: String,
    connections: Connections,
}

/// A connection that is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnection {
    /// Name of the connection: the client's name in the configuration's order, and the server's address.
    pub name: String,
    /// Why it is down.
    pub reason: String,
    /// How long it has been down.
    pub duration: Duration,
}

impl Connections {
    /// No connections yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { states: Arc::default(), metrics }
    }

    /// Adds a connection, which is down until [`Connection::report_up`] is called.
    pub fn register(&self, name: String) -> Connection {
        let connection = Connection { name, connections: self.clone() };
        connection.report_down("not connected yet");
        connection
    }

    /// The connections that are down, by name.
    pub fn disconnected(&self) -> Vec<Disconnection> {
        let states = self.lock();
        let down = states.iter().filter_map(|(name, state)| Some((name, state.as_ref()?)));
        down.map(|(name, (since, reason))| Disconnection {
            name: name.clone(),
            reason: reason.clone(),
            duration: since.elapsed(),
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Reports that the client is connected.
    pub fn report_up(&self) {
        let mut states = self.connections.lock();
        // The metric changes under the lock, so that it agrees with the list.
        self.connections.metrics.connection_up(&self.name).set(1);
        states.insert(self.name.clone(), None);
    }

    /// Reports that the client is not connected. The time of the first report after a connection is kept.
    pub fn report_down(&self, reason: &str) {
        let mut states = self.connections.lock();
        self.connections.metrics.connection_up(&self.name).set(0);
        let state = states.entry(self.name.clone()).or_default();
        let since = state.as_ref().map_or_else(Instant::now, |&(since, _)| since);
        *state = Some((since, reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_listed_while_it_is_down() {
        let metrics = Arc::new(Metrics::default());
        let connections = Connections::new(Arc::clone(&metrics));
        let names = |connections: &Connections| {
            connections.disconnected().into_iter().map(|down| (down.name, down.reason)).collect::<Vec<_>>()
        };
        let (nats, mqtt) = (connections.register("nats-0 h".into()), connections.register("mqtt-client-0 h".into()));
        mqtt.report_up();
        assert_eq!(names(&connections), [("nats-0 h".into(), "not connected yet".into())]);
        nats.report_down("refused");
        assert_eq!(names(&connections), [("nats-0 h".into(), "refused".into())]);
        assert_eq!((metrics.connection_up("nats-0 h").get(), metrics.connection_up("mqtt-client-0 h").get()), (0, 1));
        nats.report_up();
        mqtt.report_down("closed");
        assert_eq!(names(&connections), [("mqtt-client-0 h".into(), "closed".into())]);
    }

    #[test]
    fn a_second_failure_does_not_restart_the_duration() {
        let connections = Connections::new(Arc::new(Metrics::default()));
        let connection = connections.register("nats-0 h".into());
        std::thread::sleep(Duration::from_millis(5));
        connection.report_down("refused");
        assert!(connections.disconnected()[0].duration >= Duration::from_millis(5));
    }
}
