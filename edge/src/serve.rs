//! Runs a host with its triggers until it is stopped.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use wheeltapper_config::{BrokerSettings, Config};
use wheeltapper_mqtt::{Broker, BrokerHandle, ClientEvent, Mapping, Sink};

use crate::{
    host::Host,
    metrics::Metrics,
    terminal_output,
    topics::Finding,
    triggers::{http, mqtt::IntakeSink, nats, timer},
};

/// The first lane of the clients of external brokers; far from the lanes of the embedded broker's connections.
const FIRST_CLIENT_LANE: u64 = 1 << 61;
/// The first lane of the connections of the embedded broker; far from the lanes of HTTP.
const FIRST_BROKER_LANE: u64 = 1 << 60;

/// A running host; dropping it without [`RunningHost::stop`] leaves the triggers running.
#[derive(Debug)]
pub struct RunningHost {
    /// The host itself.
    pub host: Arc<Host>,
    /// The address at which HTTP listens.
    pub http: SocketAddr,
    /// The address at which the embedded broker listens, if it is enabled.
    pub mqtt: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Starts the host and all the triggers that `config` names. If a trigger cannot be started, the host is stopped.
///
/// # Errors
/// If the host cannot start, an address is in use, or a secret is missing.
pub async fn start(config: Config) -> anyhow::Result<RunningHost> {
    // Before the host, so that a wrong address is an error at once.
    let listener = TcpListener::bind(&config.http.listen).await.with_context(|| {
        format!(
            "listening on {} ([http] listen); stop the program that uses the address, or choose another with --http",
            config.http.listen
        )
    })?;
    let http = listener.local_addr()?;
    let tls = config.http.tls.as_ref().map(|tls| http::tls_acceptor(&tls.cert, &tls.key)).transpose()?;
    let host = {
        let config = config.clone();
        Arc::new(tokio::task::spawn_blocking(move || Host::start(config)).await??)
    };
    let mut running = RunningHost { host, http, mqtt: None, stop: watch::channel(false).0, tasks: JoinSet::new() };
    let started = running.start_triggers(&config, listener, tls).await;
    if let Err(error) = started {
        return Err(running.stop_after(error).await);
    }
    tracing::info!(%http, mqtt = running.mqtt.map(tracing::field::display), "ready");
    Ok(running)
}

impl RunningHost {
    async fn start_triggers(
        &mut self,
        config: &Config,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<()> {
        let mapping = Arc::new(topic_mapping(config)?);
        self.start_http(config, &mapping, listener, tls)?;
        if let Some(settings) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
            self.start_broker(config, settings, &mapping).await?;
        }
        for (number, client) in (0..).zip(&config.mqtt.clients) {
            let lane = FIRST_CLIENT_LANE + number;
            let sink: Arc<dyn Sink> = Arc::new(IntakeSink::new(Arc::clone(&self.host), Arc::clone(&mapping), lane));
            let client = crate::triggers::mqtt::client_config(client)?;
            let connection = self.host.connections.register(format!("mqtt-client-{number} {}", client.redacted_url()));
            self.spawn(self.host.supervisor.supervise(format!("mqtt-client-{number}"), move |_| {
                let (client, sink, connection) = (client.clone(), Arc::clone(&sink), connection.clone());
                async move {
                    let observe = move |event: ClientEvent<'_>| match event {
                        ClientEvent::Subscribed => connection.report_up(),
                        ClientEvent::Disconnected { reason } => connection.report_down(reason),
                    };
                    wheeltapper_mqtt::run_client(client, sink, observe).await;
                    Ok(())
                }
            }));
        }
        for (number, settings) in (0..).zip(&config.nats) {
            let (settings, nats_host, mapping) = (settings.clone(), Arc::clone(&self.host), Arc::clone(&mapping));
            let connection = self.host.connections.register(nats::connection_name(number, &settings));
            self.spawn(self.host.supervisor.supervise(format!("nats-{number}"), move |_| {
                let (host, settings, mapping) = (Arc::clone(&nats_host), settings.clone(), Arc::clone(&mapping));
                let connection = connection.clone();
                async move {
                    nats::run(host, settings, mapping, number, connection).await;
                    Ok(())
                }
            }));
        }
        let (timer_host, tick) = (Arc::clone(&self.host), config.line.tick.to_std());
        let timer =
            self.host.supervisor.supervise("timer", move |task| timer::run(Arc::clone(&timer_host), tick, task));
        self.spawn(timer);
        Ok(())
    }

    fn start_http(
        &mut self,
        config: &Config,
        mapping: &Arc<Mapping>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<()> {
        let (http, stopping) = (self.http, self.stop.subscribe());
        let router = http::router(Arc::clone(&self.host), Arc::clone(mapping), stopping.clone())?;
        let (limits, metrics) = (config.http.limits.clone(), Arc::clone(&self.host.metrics));
        let mut first = Some(listener);
        // It ends by itself, once the open requests are finished.
        self.tasks.spawn(self.host.supervisor.supervise("http", move |_| {
            let (listener, tls, router) = (first.take(), tls.clone(), router.clone());
            let (limits, metrics, stopping) = (limits.clone(), Arc::clone(&metrics), stopping.clone());
            async move {
                let listener = match listener {
                    Some(listener) => listener,
                    // The previous listener was closed by the panic.
                    None => TcpListener::bind(http).await.with_context(|| format!("listening on {http} again"))?,
                };
                http::serve(listener, tls, router, limits, metrics, stopping).await;
                Ok(())
            }
        }));
        Ok(())
    }

    async fn start_broker(
        &mut self,
        config: &Config,
        settings: &BrokerSettings,
        mapping: &Arc<Mapping>,
    ) -> anyhow::Result<()> {
        let sink = Arc::new(IntakeSink::new(Arc::clone(&self.host), Arc::clone(mapping), FIRST_BROKER_LANE));
        let auth = crate::triggers::mqtt::authenticator(config, settings, mapping)?;
        let broker = Broker::bind_with(crate::triggers::mqtt::broker_config(settings)?, sink, auth)
            .await
            .context("starting the MQTT broker")?;
        self.mqtt = Some(broker.local_addr());
        let handle = broker.handle();
        let broker = Arc::new(tokio::sync::Mutex::new(broker));
        let supervisor = self.host.supervisor.clone();
        self.spawn(supervisor.supervise("mqtt-broker", move |_| {
            let broker = Arc::clone(&broker);
            async move {
                broker.lock().await.run().await;
                Ok(())
            }
        }));
        let (publishing_host, publisher) = (Arc::clone(&self.host), handle.clone());
        self.spawn(supervisor.supervise("mqtt-findings", move |_| {
            let (host, broker) = (Arc::clone(&publishing_host), publisher.clone());
            async move {
                publish_findings(host, broker).await;
                Ok(())
            }
        }));
        let metrics = Arc::clone(&self.host.metrics);
        self.spawn(supervisor.supervise("mqtt-metrics", move |_| {
            let (broker, metrics) = (handle.clone(), Arc::clone(&metrics));
            async move {
                record_broker_stats(broker, metrics).await;
                Ok(())
            }
        }));
        Ok(())
    }

    /// Runs a task that has nothing to finish: it is dropped when the host stops.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let mut stopping = self.stop.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = crate::triggers::wait_for_stop(&mut stopping) => {}
            }
        });
    }

    /// Stops the host because of an error, which is returned.
    async fn stop_after(self, error: anyhow::Error) -> anyhow::Error {
        if let Err(stop_error) = self.stop().await {
            tracing::error!(error = format!("{stop_error:#}"), "the host did not stop in order");
        }
        error
    }

    /// Stops the triggers, then the host; accepted readings are processed and stored.
    ///
    /// # Errors
    /// If a part of it panicked.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        let stopped =
            tokio::time::timeout(Duration::from_secs(5), async { while self.tasks.join_next().await.is_some() {} })
                .await;
        if stopped.is_err() {
            self.tasks.shutdown().await;
        }
        let mut host = self.host;
        // Connections that are closing may hold the host for a moment longer.
        for _ in 0..500 {
            match Arc::try_unwrap(host) {
                Ok(host) => return Ok(tokio::task::spawn_blocking(move || host.stop()).await?),
                Err(shared) => host = shared,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tracing::warn!("a connection is still open; its readings are safe in the log");
        Ok(())
    }
}

/// Loads the configuration. The error is rendered for the terminal.
pub type LoadConfig = Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// What SIGHUP does.
pub struct Reload {
    /// Loads the configuration again, from the same file and with the same overrides as at the start.
    pub load: LoadConfig,
    /// The configuration that was loaded at the start.
    pub initial: Config,
}

impl fmt::Debug for Reload {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Reload").field("initial", &self.initial).finish_non_exhaustive()
    }
}

impl Reload {
    /// Reads and applies the configuration again.
    async fn reload(&self, host: &Arc<Host>) -> anyhow::Result<()> {
        let config = match (self.load)() {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(
                    "the new configuration is not valid, and the old configuration stays in force:\n{error}"
                );
                return Ok(());
            }
        };
        let need_restart = changed_settings_that_need_restart(&self.initial, &config);
        let host = Arc::clone(host);
        match tokio::task::spawn_blocking(move || host.configure(config)).await? {
            Ok(()) => tracing::info!("the configuration was reloaded"),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the new configuration cannot be applied, and the old configuration stays in force"
                );
                return Ok(());
            }
        }
        if !need_restart.is_empty() {
            tracing::warn!(
                "these changes take effect only after a restart: {}; restart the host",
                need_restart.join(", ")
            );
        }
        Ok(())
    }
}

/// The settings that differ and that take effect only at the next start.
fn changed_settings_that_need_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (old_http, new_http) = (&old.http, &new.http);
    let (old_mqtt, new_mqtt) = (&old.mqtt, &new.mqtt);
    let settings = [
        ("data", old.data == new.data),
        ("partitions", old.partitions == new.partitions),
        ("[http] listen", old_http.listen == new_http.listen),
        ("[http] max_body", old_http.max_body == new_http.max_body),
        ("[http] origins", old_http.origins == new_http.origins),
        ("[http.limits]", old_http.limits == new_http.limits),
        ("[http.tls]", old_http.tls == new_http.tls),
        ("[[http.source]]", old_http.sources == new_http.sources),
        ("[access]", old.access == new.access),
        ("[mqtt.broker]", old_mqtt.broker == new_mqtt.broker),
        ("[[mqtt.client]]", old_mqtt.clients == new_mqtt.clients),
        ("[[mqtt.topic]]", old_mqtt.topics == new_mqtt.topics),
        ("[[nats]]", old.nats == new.nats),
        ("[log]", old.log == new.log),
        ("[line]", old.line == new.line),
    ];
    settings.into_iter().filter_map(|(name, same)| (!same).then_some(name)).collect()
}

/// How to report to the user or program that started the host.
#[derive(Clone, Debug)]
pub struct StartupOutput {
    /// The file that gets the addresses in use, as JSON, once all triggers run.
    pub ready_file: Option<PathBuf>,
    /// Whether to print findings and statistics to standard output.
    pub print_findings: bool,
}

/// Runs until SIGINT or SIGTERM; reads the configuration again on SIGHUP.
///
/// # Errors
/// See [`start`].
pub async fn run_until_stopped(config: Config, reload: Reload, show: StartupOutput) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut serving = start(config).await?;
    let served = async {
        if show.print_findings {
            serving.tasks.spawn(terminal_output::print_findings(Arc::clone(&serving.host), serving.stop.subscribe()));
        }
        if let Some(file) = &show.ready_file {
            let mqtt = serving.mqtt.map(|mqtt| mqtt.to_string());
            let addresses = serde_json::json!({ "http": serving.http.to_string(), "mqtt": mqtt });
            std::fs::write(file, addresses.to_string()).with_context(|| format!("writing {}", file.display()))?;
        }
        loop {
            tokio::select! {
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => reload.reload(&serving.host).await?,
            }
        }
    };
    if let Err(error) = served.await {
        return Err(serving.stop_after(error).await);
    }
    tracing::info!("stopping: accepted readings are processed and stored");
    serving.stop().await
}

/// The topic rules of the configuration.
///
/// # Errors
/// If a rule's filter or template is not valid.
pub fn topic_mapping(config: &Config) -> anyhow::Result<Mapping> {
    let rules = config.mqtt.topics.iter().map(crate::triggers::mqtt::mapping_rule).collect();
    Mapping::new(rules).context("[[mqtt.topic]]")
}

/// Copies the broker's statistics to the metrics once a second.
async fn record_broker_stats(broker: BrokerHandle, metrics: Arc<Metrics>) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    loop {
        interval.tick().await;
        crate::triggers::mqtt::record_broker_stats(&metrics, &broker.stats());
    }
}

/// Publishes findings to MQTT subscribers: `wheeltapper/events/<anomaly, alert, drift or prognosis>/<asset>`.
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
                tracing::warn!(missed, "findings arrived faster than MQTT could publish them; all are in the store");
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_need_a_restart_are_named() {
        let old = Config::default();
        assert!(changed_settings_that_need_restart(&old, &old).is_empty());
        let mut new = old.clone();
        new.technicians.clear();
        new.windows.size = old.windows.lateness;
        assert!(changed_settings_that_need_restart(&old, &new).is_empty(), "these take effect at once");
        new.http.listen = "127.0.0.1:9999".to_owned();
        new.line.max_batch += 1;
        new.partitions = 7;
        assert_eq!(changed_settings_that_need_restart(&old, &new), ["partitions", "[http] listen", "[line]"]);
    }
}
