//! NATS JetStream: a durable pull consumer that acknowledges a message once its readings are on disk.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{
    self, AckKind,
    consumer::{AckPolicy, pull},
    stream,
};
use tokio::{task::JoinSet, time};
use wheeltapper_config::NatsServer;
use wheeltapper_mqtt::Mapping;

use crate::{
    clock,
    connections::Connection,
    host::Host,
    intake::{Envelope, IntakeError},
};

/// The pause before a new connection attempt.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(2);
/// How long the server holds a request for messages before the next request is sent.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum number of messages without an acknowledgement.
const MAX_IN_FLIGHT: usize = 4096;
/// The first lane; far from the lanes of the other triggers.
const FIRST_LANE: u64 = 1 << 62;

/// Consumes messages until the future is dropped; reconnects when the server disconnects. `number` distinguishes the
/// connections of `[[nats]]`.
pub async fn run(host: Arc<Host>, config: NatsServer, mapping: Arc<Mapping>, number: u64, connection: Connection) {
    loop {
        if let Err(error) = consume(&host, &config, &mapping, FIRST_LANE + number, &connection).await {
            let error = format!("{error:#}");
            connection.report_down(&error);
            tracing::warn!(url = %config.url, error, "NATS: reconnecting in {RECONNECT_INTERVAL:?}");
        }
        time::sleep(RECONNECT_INTERVAL).await;
    }
}

/// Name of a connection for `/ready` and `/metrics`.
pub fn connection_name(number: u64, config: &NatsServer) -> String {
    format!("nats-{number} {}", config.url)
}

async fn connect(config: &NatsServer, connection: &Connection) -> anyhow::Result<async_nats::Client> {
    let reporter = connection.clone();
    // The client reconnects by itself and reports this only here.
    let report = move |event| {
        match event {
            async_nats::Event::Connected => reporter.report_up(),
            async_nats::Event::Disconnected | async_nats::Event::Closed => {
                reporter.report_down("the server closed the connection");
            }
            async_nats::Event::ClientError(error) => tracing::debug!(%error, "NATS"),
            _ => {}
        }
        std::future::ready(())
    };
    let mut options = async_nats::ConnectOptions::new().name("wheeltapper").event_callback(report);
    let secret = |name: &Option<String>| -> anyhow::Result<Option<String>> {
        name.as_ref()
            .map(|name| std::env::var(name).with_context(|| format!("the environment variable {name} is not set")))
            .transpose()
    };
    if let (Some(user), Some(password)) = (&config.user, secret(&config.password_env)?) {
        options = options.user_and_password(user.clone(), password);
    }
    if let Some(token) = secret(&config.token_env)? {
        options = options.token(token);
    }
    if let Some(file) = &config.creds_file {
        options = options.credentials_file(file).await.with_context(|| format!("reading {}", file.display()))?;
    }
    let url = &config.url;
    options.connect(url).await.with_context(|| format!("connecting to {}", url))
}

async fn consume(
    host: &Arc<Host>,
    config: &NatsServer,
    mapping: &Arc<Mapping>,
    lane: u64,
    connection: &Connection,
) -> anyhow::Result<()> {
    let client = connect(config, connection).await?;
    let context = jetstream::new(client);
    let stream = context
        .get_or_create_stream(stream::Config {
            name: config.stream.clone(),
            subjects: config.subjects.clone(),
            ..stream::Config::default()
        })
        .await
        .with_context(|| format!("opening the stream {}", config.stream))?;
    let consumer = stream
        .get_or_create_consumer(
            &config.durable,
            pull::Config {
                durable_name: Some(config.durable.clone()),
                ack_policy: AckPolicy::Explicit,
                max_ack_pending: i64::try_from(MAX_IN_FLIGHT).unwrap_or(i64::MAX),
                ..pull::Config::default()
            },
        )
        .await
        .with_context(|| format!("opening the consumer {}", config.durable))?;
    connection.report_up();
    tracing::info!(url = %config.url, stream = %config.stream, durable = %config.durable, "NATS: consuming");
    let mut pending_acks = JoinSet::new();
    loop {
        // The client stops waiting for an answer only if the request expires. Without an expiry it would wait forever
        // for an answer that a server lost when it stopped.
        let mut batch = consumer
            .batch()
            .max_messages(config.batch.max(1))
            .expires(FETCH_TIMEOUT)
            .messages()
            .await
            .context("requesting messages")?;
        while let Some(message) = next_item(&mut batch).await {
            let message = message.map_err(|error| anyhow::anyhow!("reading messages: {error}"))?;
            host.metrics.events("nats").inc();
            while pending_acks.len() >= MAX_IN_FLIGHT {
                pending_acks.join_next().await;
            }
            let host = Arc::clone(host);
            let envelope = envelope(&message, mapping);
            // The event is submitted here, in order; only the wait for the answer runs in its own task.
            let answer = host.intake.submit(lane, vec![envelope]);
            pending_acks.spawn(async move {
                let stored = match answer {
                    Ok(answer) => answer.await.unwrap_or(Err(IntakeError::Closed)),
                    Err(error) => Err(error),
                };
                let acknowledged = match stored {
                    Ok(_) => message.double_ack().await,
                    Err(IntakeError::Busy { retry_after, .. }) => {
                        message.ack_with(AckKind::Nak(Some(retry_after))).await
                    }
                    Err(_) => message.ack_with(AckKind::Nak(Some(RECONNECT_INTERVAL))).await,
                };
                if let Err(error) = acknowledged {
                    // The server sends the message again, and it is recognised as a duplicate.
                    tracing::debug!(%error, "NATS: an acknowledgement was lost");
                }
            });
        }
    }
}

async fn next_item<S: futures_util::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    futures_util::StreamExt::next(stream).await
}

fn envelope(message: &jetstream::Message, mapping: &Mapping) -> Envelope {
    // Subjects are mapped like MQTT topics, with slashes instead of dots.
    let topic = message.subject.replace('.', "/");
    let mapped = mapping.map(&topic);
    let header = message.headers.as_ref().and_then(|headers| headers.get("Content-Type")).map(ToString::to_string);
    let (sensor, format) = mapped.unwrap_or_default();
    Envelope {
        source: message.subject.to_string(),
        format: header.or(format),
        sensor,
        arrival: clock::now(),
        payload: message.payload.clone(),
    }
}
