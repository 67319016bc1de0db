//! Runs a host with its triggers until it is told to stop.

use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use wheeltapper_config::{Config, Listen};
use wheeltapper_mqtt::{Broker, BrokerHandle, Mapping, Sink};

use crate::{
    host::Host,
    line::Finding,
    metrics::Metrics,
    terminal,
    triggers::{http, mqtt::IntakeSink, nats, timer},
};

/// Lanes of external brokers' clients, far from those of the embedded broker's connections.
const CLIENT_LANES: u64 = 1 << 61;

/// A running host; dropping it without [`Serving::stop`] leaves the triggers running.
#[derive(Debug)]
pub struct Serving {
    /// The host.
    pub host: Arc<Host>,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where the embedded broker listens.
    pub mqtt: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts the host and all the triggers that `config` names.
///
/// # Errors
/// When the host cannot start, an address is taken, or a secret is missing.
pub async fn start(config: Config) -> anyhow::Result<Serving> {
    let host = {
        let config = config.clone();
        Arc::new(tokio::task::spawn_blocking(move || Host::start(config)).await??)
    };
    let mapping = Arc::new(mapping(&config)?);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();

    let listener = TcpListener::bind(&config.http.listen)
        .await
        .with_context(|| format!("listening on {} ([http] listen)", config.http.listen))?;
    let http = listener.local_addr()?;
    let router = http::router(Arc::clone(&host), Arc::clone(&mapping), stopping.clone())?;
    let tls = config.http.tls.as_ref().map(|tls| http::tls_acceptor(&tls.cert, &tls.key)).transpose()?;
    let (limits, metrics) = (config.http.limits.clone(), Arc::clone(&host.metrics));
    let supervisor = host.supervisor.clone();
    let mut first = Some(listener);
    let http_stopping = stopping.clone();
    tasks.spawn(supervisor.supervise("http", move |_| {
        let (listener, tls, router) = (first.take(), tls.clone(), router.clone());
        let (limits, metrics, stopping) = (limits.clone(), Arc::clone(&metrics), http_stopping.clone());
        async move {
            let listener = match listener {
                Some(listener) => listener,
                // The one before was closed by the panic.
                None => TcpListener::bind(http).await.with_context(|| format!("listening on {http} again"))?,
            };
            http::serve(listener, tls, router, limits, metrics, stopping).await;
            Ok(())
        }
    }));
    // The other tasks hold nothing that has to be finished: they are dropped when the host stops.
    let mut spawn = |task: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let mut stopping = stopping.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = crate::triggers::stopped(&mut stopping) => {}
            }
        });
    };

    let mut mqtt = None;
    if let Some(settings) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        let sink = Arc::new(IntakeSink::new(Arc::clone(&host), Arc::clone(&mapping), 1 << 60));
        let auth = crate::triggers::mqtt::authenticator(&config, settings, &mapping)?;
        let broker = Broker::bind_with(crate::triggers::mqtt::broker_config(settings)?, sink, auth)
            .await
            .context("starting the MQTT broker")?;
        mqtt = Some(broker.local_addr());
        let handle = broker.handle();
        let broker = Arc::new(tokio::sync::Mutex::new(broker));
        spawn(Box::pin(supervisor.supervise("mqtt-broker", move |_| {
            let broker = Arc::clone(&broker);
            async move {
                broker.lock().await.run().await;
                Ok(())
            }
        })));
        let (publishing, publisher) = (Arc::clone(&host), handle.clone());
        spawn(Box::pin(supervisor.supervise("mqtt-findings", move |_| {
            let (host, broker) = (Arc::clone(&publishing), publisher.clone());
            async move {
                publish_findings(host, broker).await;
                Ok(())
            }
        })));
        let metrics = Arc::clone(&host.metrics);
        spawn(Box::pin(supervisor.supervise("mqtt-metrics", move |_| {
            let (broker, metrics) = (handle.clone(), Arc::clone(&metrics));
            async move {
                measure_broker(broker, metrics).await;
                Ok(())
            }
        })));
    }
    for (number, client) in (0..).zip(&config.mqtt.clients) {
        let sink: Arc<dyn Sink> =
            Arc::new(IntakeSink::new(Arc::clone(&host), Arc::clone(&mapping), CLIENT_LANES + number));
        let client = crate::triggers::mqtt::client_config(client)?;
        spawn(Box::pin(supervisor.supervise(format!("mqtt-client-{number}"), move |_| {
            let (client, sink) = (client.clone(), Arc::clone(&sink));
            async move {
                wheeltapper_mqtt::run_client(client, sink).await;
                Ok(())
            }
        })));
    }
    for (number, settings) in (0..).zip(&config.nats) {
        let (settings, consuming, mapping) = (settings.clone(), Arc::clone(&host), Arc::clone(&mapping));
        spawn(Box::pin(supervisor.supervise(format!("nats-{number}"), move |_| {
            let (host, settings, mapping) = (Arc::clone(&consuming), settings.clone(), Arc::clone(&mapping));
            async move {
                nats::run(host, settings, mapping, number).await;
                Ok(())
            }
        })));
    }
    let (timed, tick) = (Arc::clone(&host), config.line.tick.get());
    spawn(Box::pin(supervisor.supervise("timer", move |task| timer::run(Arc::clone(&timed), tick, task))));
    tracing::info!(%http, mqtt = mqtt.map(tracing::field::display), "ready");
    Ok(Serving { host, http, mqtt, stop, tasks })
}

impl Serving {
    /// Stops the triggers, then the host; what was taken in is worked through and stored.
    ///
    /// # Errors
    /// When a part of it panicked.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        let stopped =
            tokio::time::timeout(Duration::from_secs(5), async { while self.tasks.join_next().await.is_some() {} })
                .await;
        if stopped.is_err() {
            self.tasks.shutdown().await;
        }
        let mut host = self.host;
        // Connections that are just closing still hold the host for a moment.
        for _ in 0..500 {
            match Arc::try_unwrap(host) {
                Ok(host) => return Ok(tokio::task::spawn_blocking(move || host.stop()).await?),
                Err(shared) => host = shared,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tracing::warn!("a connection is still open; what it sent is safe in the log");
        Ok(())
    }
}

/// Where SIGHUP reads the configuration from.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The file that was named, if one was.
    pub file: Option<PathBuf>,
    /// The data folder that was named, if one was.
    pub data: Option<PathBuf>,
    /// Where to listen instead of where the file says.
    pub listen: Listen,
    /// What was read from there at the start.
    pub begun: Config,
}

impl Reload {
    /// Takes the configuration anew.
    async fn again(&self, host: &Arc<Host>) -> anyhow::Result<()> {
        let config = match crate::commands::load_config(self.file.as_deref(), self.data.as_deref(), &self.listen) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("the old configuration stays in force:\n{error}");
                return Ok(());
            }
        };
        let later = at_next_start(&self.begun, &config);
        let host = Arc::clone(host);
        match tokio::task::spawn_blocking(move || host.configure(config)).await? {
            Ok(()) => tracing::info!("the configuration was read anew"),
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the old configuration stays in force");
                return Ok(());
            }
        }
        if !later.is_empty() {
            tracing::warn!("changed, but in force from the next start only: {}; restart the host", later.join(", "));
        }
        Ok(())
    }
}

/// The settings that differ and that a running host does not take.
fn at_next_start(begun: &Config, now: &Config) -> Vec<&'static str> {
    let (http, other) = (&begun.http, &now.http);
    let (mqtt, mqtts) = (&begun.mqtt, &now.mqtt);
    let settings = [
        ("data", begun.data == now.data),
        ("partitions", begun.partitions == now.partitions),
        ("[http] listen", http.listen == other.listen),
        ("[http] max_body", http.max_body == other.max_body),
        ("[http] origins", http.origins == other.origins),
        ("[http.limits]", http.limits == other.limits),
        ("[http.tls]", http.tls == other.tls),
        ("[[http.source]]", http.sources == other.sources),
        ("[access]", begun.access == now.access),
        ("[mqtt.broker]", mqtt.broker == mqtts.broker),
        ("[[mqtt.client]]", mqtt.clients == mqtts.clients),
        ("[[mqtt.topic]]", mqtt.topics == mqtts.topics),
        ("[[nats]]", begun.nats == now.nats),
        ("[log]", begun.log == now.log),
        ("[line]", begun.line == now.line),
    ];
    settings.into_iter().filter_map(|(name, same)| (!same).then_some(name)).collect()
}

/// What to tell whoever started the host.
#[derive(Clone, Debug)]
pub struct Show {
    /// Gets the addresses in use, as JSON, once all is up.
    pub ready_file: Option<PathBuf>,
    /// Whether to print findings and figures to standard output.
    pub findings: bool,
}

/// Runs until SIGINT or SIGTERM; takes the configuration anew on SIGHUP.
///
/// # Errors
/// See [`start`].
pub async fn until_stopped(config: Config, reload: Reload, show: Show) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut serving = start(config).await?;
    if show.findings {
        serving.tasks.spawn(terminal::show(Arc::clone(&serving.host), serving.stop.subscribe()));
    }
    if let Some(file) = &show.ready_file {
        let addresses =
            serde_json::json!({ "http": serving.http.to_string(), "mqtt": serving.mqtt.map(|mqtt| mqtt.to_string()) });
        std::fs::write(file, addresses.to_string()).with_context(|| format!("writing {}", file.display()))?;
    }
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reload.again(&serving.host).await?,
        }
    }
    tracing::info!("stopping: what was taken in is worked through and stored");
    serving.stop().await
}

/// The topic rules.
///
/// # Errors
/// When a rule's filter or template is not valid.
pub fn mapping(config: &Config) -> anyhow::Result<Mapping> {
    let rules = config.mqtt.topics.iter().map(crate::triggers::mqtt::mapping_rule).collect();
    Mapping::new(rules).context("[[mqtt.topic]]")
}

/// Keeps the broker's figures.
async fn measure_broker(broker: BrokerHandle, metrics: Arc<Metrics>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        crate::triggers::mqtt::measure(&metrics, &broker.stats());
    }
}

/// Passes findings on to MQTT subscribers: `wheeltapper/events/<anomaly, alert, drift or prognosis>/<asset>`.
async fn publish_findings(host: Arc<Host>, broker: BrokerHandle) {
    let mut findings = host.findings();
    drop(host);
    loop {
        match findings.recv().await {
            Ok(finding) => {
                let topic = match &*finding {
                    Finding::Anomaly(anomaly) => format!("wheeltapper/events/anomaly/{}", anomaly.asset),
                    Finding::Alert(alert) => format!("wheeltapper/events/alert/{}", alert.asset),
                    Finding::Drift(drift) => format!("wheeltapper/events/drift/{}", drift.asset),
                    Finding::Prognosis(prognosis) => format!("wheeltapper/events/prognosis/{}", prognosis.asset),
                };
                if let Ok(body) = serde_json::to_vec(&*finding) {
                    broker.publish(&topic, body.into(), 1, false);
                }
            }
            Err(tokio::sync::broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "findings were found faster than MQTT could pass them on; all are in the store");
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_next_start_is_named() {
        let begun = Config::default();
        assert!(at_next_start(&begun, &begun).is_empty());
        let mut now = begun.clone();
        now.technicians.clear();
        now.windows.size = begun.windows.lateness;
        assert!(at_next_start(&begun, &now).is_empty(), "these are taken at once");
        now.http.listen = "127.0.0.1:9999".to_owned();
        now.line.max_batch += 1;
        now.partitions = 7;
        assert_eq!(at_next_start(&begun, &now), ["partitions", "[http] listen", "[line]"]);
    }
}
