//! NATS JetStream: a durable pull consumer that acknowledges a message once its readings are on disk.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use async_nats::jetstream::{
    self, AckKind,
    consumer::{AckPolicy, pull},
    stream,
};
use tokio::{task::JoinSet, time};
use wheeltapper_config::Nats;
use wheeltapper_mqtt::Mapping;

use crate::{
    clock,
    host::Host,
    intake::{Envelope, IntakeError},
};

/// How long to wait before connecting anew.
const RETRY: Duration = Duration::from_secs(2);
/// The server holds a request for messages this long; then the next one is sent.
const REQUEST: Duration = Duration::from_secs(2);
/// Messages that may be under way at once.
const IN_FLIGHT: usize = 4096;
/// Far from the lanes of other triggers.
const LANE: u64 = 1 << 62;

/// Consumes until the future is dropped; connects anew when the server goes away. `number` tells the connections of
/// `[[nats]]` apart.
pub async fn run(host: Arc<Host>, config: Nats, mapping: Arc<Mapping>, number: u64) {
    loop {
        if let Err(error) = consume(&host, &config, &mapping, LANE + number).await {
            tracing::warn!(url = %config.url, error = format!("{error:#}"), "NATS: connecting anew in {RETRY:?}");
        }
        time::sleep(RETRY).await;
    }
}

async fn connect(config: &Nats) -> anyhow::Result<async_nats::Client> {
    let mut options = async_nats::ConnectOptions::new().name("wheeltapper");
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
    options.connect(&config.url).await.with_context(|| format!("connecting to {}", config.url))
}

async fn consume(host: &Arc<Host>, config: &Nats, mapping: &Arc<Mapping>, lane: u64) -> anyhow::Result<()> {
    let client = connect(config).await?;
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
                max_ack_pending: i64::try_from(IN_FLIGHT).unwrap_or(i64::MAX),
                ..pull::Config::default()
            },
        )
        .await
        .with_context(|| format!("opening the consumer {}", config.durable))?;
    tracing::info!(url = %config.url, stream = %config.stream, durable = %config.durable, "NATS: consuming");
    let mut acknowledging = JoinSet::new();
    loop {
        // The client gives up on an answer only where a request expires: without it, one that a server took with it when it
        // ended would be waited for for ever.
        let mut batch = consumer
            .batch()
            .max_messages(config.batch.max(1))
            .expires(REQUEST)
            .messages()
            .await
            .context("asking for messages")?;
        while let Some(message) = futures_next(&mut batch).await {
            let message = message.map_err(|error| anyhow::anyhow!("reading messages: {error}"))?;
            host.metrics.events("nats").inc();
            while acknowledging.len() >= IN_FLIGHT {
                acknowledging.join_next().await;
            }
            let host = Arc::clone(host);
            let envelope = envelope(&message, mapping);
            // Submitted here, in order; only the waiting is apart.
            let answer = host.intake.submit(lane, vec![envelope]);
            acknowledging.spawn(async move {
                let stored = match answer {
                    Ok(answer) => answer.await.unwrap_or(Err(IntakeError::Closed)),
                    Err(error) => Err(error),
                };
                let acknowledged = match stored {
                    Ok(_) => message.double_ack().await,
                    Err(IntakeError::Busy { retry_after, .. }) => {
                        message.ack_with(AckKind::Nak(Some(retry_after))).await
                    }
                    Err(_) => message.ack_with(AckKind::Nak(Some(RETRY))).await,
                };
                if let Err(error) = acknowledged {
                    // It will come again, and be found to be a duplicate.
                    tracing::debug!(%error, "NATS: an acknowledgement was lost");
                }
            });
        }
    }
}

async fn futures_next<S: futures_util::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    futures_util::StreamExt::next(stream).await
}

fn envelope(message: &jetstream::Message, mapping: &Mapping) -> Envelope {
    // Subjects are mapped like MQTT topics, with slashes for dots.
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
