//! Runs a host with its triggers until it is stopped.

use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use wheeltapper_config::{Config, ListenOverride};
use wheeltapper_mqtt::{Broker, BrokerHandle, ClientEvent, Mapping, Sink};

use crate::{
    host::Host,
    line::Finding,
    metrics::Metrics,
    terminal_output,
    triggers::{http, mqtt::IntakeSink, nats, timer},
};

/// The first lane of the clients of external brokers; far from the lanes of the embedded broker's connections.
const FIRST_CLIENT_LANE: u64 = 1 << 61;

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

/// Starts the host and all the triggers that `config` names.
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
    let mapping = Arc::new(topic_mapping(&config)?);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();

    let router = http::router(Arc::clone(&host), Arc::clone(&mapping), stopping.clone())?;
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
                // The previous listener was closed by the panic.
                None => TcpListener::bind(http).await.with_context(|| format!("listening on {http} again"))?,
            };
            http::serve(listener, tls, router, limits, metrics, stopping).await;
            Ok(())
        }
    }));
    // The other tasks have nothing to finish: they are dropped when the host stops.
    let mut spawn = |task: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let mut stopping = stopping.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = crate::triggers::wait_for_stop(&mut stopping) => {}
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
        let (publishing_host, publisher) = (Arc::clone(&host), handle.clone());
        spawn(Box::pin(supervisor.supervise("mqtt-findings", move |_| {
            let (host, broker) = (Arc::clone(&publishing_host), publisher.clone());
            async move {
                publish_findings(host, broker).await;
                Ok(())
            }
        })));
        let metrics = Arc::clone(&host.metrics);
        spawn(Box::pin(supervisor.supervise("mqtt-metrics", move |_| {
            let (broker, metrics) = (handle.clone(), Arc::clone(&metrics));
            async move {
                record_broker_stats(broker, metrics).await;
                Ok(())
            }
        })));
    }
    for (number, client) in (0..).zip(&config.mqtt.clients) {
        let sink: Arc<dyn Sink> =
            Arc::new(IntakeSink::new(Arc::clone(&host), Arc::clone(&mapping), FIRST_CLIENT_LANE + number));
        let client = crate::triggers::mqtt::client_config(client)?;
        let connection = host.connections.register(format!("mqtt-client-{number} {}", client.redacted_url()));
        spawn(Box::pin(supervisor.supervise(format!("mqtt-client-{number}"), move |_| {
            let (client, sink, connection) = (client.clone(), Arc::clone(&sink), connection.clone());
            async move {
                let observe = move |event: ClientEvent<'_>| match event {
                    ClientEvent::Subscribed => connection.report_up(),
                    ClientEvent::Disconnected { reason } => connection.report_down(reason),
                };
                wheeltapper_mqtt::run_client(client, sink, observe).await;
                Ok(())
            }
        })));
    }
    for (number, settings) in (0..).zip(&config.nats) {
        let (settings, nats_host, mapping) = (settings.clone(), Arc::clone(&host), Arc::clone(&mapping));
        let connection = host.connections.register(nats::connection_name(number, &settings));
        spawn(Box::pin(supervisor.supervise(format!("nats-{number}"), move |_| {
            let (host, settings, mapping) = (Arc::clone(&nats_host), settings.clone(), Arc::clone(&mapping));
            let connection = connection.clone();
            async move {
                nats::run(host, settings, mapping, number, connection).await;
                Ok(())
            }
        })));
    }
    let (timer_host, tick) = (Arc::clone(&host), config.line.tick.to_std());
    spawn(Box::pin(supervisor.supervise("timer", move |task| timer::run(Arc::clone(&timer_host), tick, task))));
    tracing::info!(%http, mqtt = mqtt.map(tracing::field::display), "ready");
    Ok(RunningHost { host, http, mqtt, stop, tasks })
}

impl RunningHost {
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

/// Where SIGHUP reads the configuration from.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The configuration file of the command line, if any.
    pub file: Option<PathBuf>,
    /// The data folder of the command line, if any.
    pub data: Option<PathBuf>,
    /// The addresses of the command line, which override those of the file.
    pub listen: ListenOverride,
    /// The configuration that was read at the start.
    pub initial: Config,
}

impl Reload {
    /// Reads and applies the configuration again.
    async fn reload(&self, host: &Arc<Host>) -> anyhow::Result<()> {
        let config = match crate::commands::load_config(self.file.as_deref(), self.data.as_deref(), &self.listen) {
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
    if show.print_findings {
        serving.tasks.spawn(terminal_output::print_findings(Arc::clone(&serving.host), serving.stop.subscribe()));
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
            _ = hangup.recv() => reload.reload(&serving.host).await?,
        }
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
