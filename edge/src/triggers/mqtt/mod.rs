//! MQTT: the embedded broker and clients of external ones, feeding the intake.

use std::{env, fs, future::Future, path::Path, pin::Pin, sync::Arc};

use anyhow::Context as _;
use wheeltapper_config::{Broker, MqttClient, TopicRule};
use wheeltapper_mqtt::{BrokerConfig, BrokerTls, ClientConfig, Mapping, MappingRule, Publish, Sink, User, Verdict};

use crate::{
    clock,
    host::Host,
    intake::{Envelope, IntakeError},
};

/// Takes publishes into the intake; the verdict comes when they are durable.
#[derive(Debug)]
pub struct IntakeSink {
    host: Arc<Host>,
    mapping: Arc<Mapping>,
    /// Told apart so that two triggers' connections do not share a lane's number.
    lanes: u64,
}

impl IntakeSink {
    /// A sink for the connections of one broker or client.
    pub fn new(host: Arc<Host>, mapping: Arc<Mapping>, lanes: u64) -> Self {
        Self { host, mapping, lanes }
    }
}

impl Sink for IntakeSink {
    fn accept(&self, publish: Publish) -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
        let (sensor, format) = self.mapping.map(&publish.topic).unwrap_or_default();
        let envelope = Envelope {
            source: publish.topic.to_string(),
            format: publish.content_type.or(format),
            sensor,
            arrival: clock::now(),
            payload: publish.payload,
        };
        self.host.metrics.events("mqtt").inc();
        // Submitted here, in the order of the packets; only the waiting is asynchronous.
        let answer = self.host.intake.submit(self.lanes.wrapping_add(publish.connection), vec![envelope]);
        Box::pin(async move {
            let answer = match answer {
                Ok(answer) => answer.await.unwrap_or(Err(IntakeError::Closed)),
                Err(error) => Err(error),
            };
            match answer {
                Ok(receipts) => match receipts.iter().flat_map(|receipt| &receipt.refused).next() {
                    Some(refused) => Verdict::Refused(format!("{}: {}", refused.reason, refused.message)),
                    None => Verdict::Stored,
                },
                Err(error) => {
                    tracing::debug!(%error, "an MQTT message was not taken");
                    Verdict::Busy
                }
            }
        })
    }
}

/// What `[mqtt.broker]` says, passwords taken from where it says.
///
/// # Errors
/// When a password cannot be had, or TLS is half configured.
pub fn broker_config(settings: &Broker) -> anyhow::Result<BrokerConfig> {
    let users = settings
        .users
        .iter()
        .map(|user| {
            let password = secret(user.password_env.as_deref(), user.password_file.as_deref())
                .with_context(|| format!("the password of MQTT user {}", user.name))?
                .with_context(|| {
                    format!("MQTT user {} has no password: set password_env or password_file", user.name)
                })?;
            Ok(User { name: user.name.clone(), password })
        })
        .collect::<anyhow::Result<_>>()?;
    let tls = match (&settings.tls_listen, &settings.tls) {
        (Some(listen), Some(tls)) => {
            Some(BrokerTls { listen: listen.clone(), cert: tls.cert.clone(), key: tls.key.clone() })
        }
        (None, None) => None,
        _ => anyhow::bail!("[mqtt.broker] needs both tls_listen and tls = {{ cert, key }}, or neither"),
    };
    let max_packet = usize::try_from(settings.max_packet.bytes()).unwrap_or(usize::MAX);
    Ok(BrokerConfig {
        listen: settings.listen.clone(),
        tls,
        anonymous: settings.anonymous,
        users,
        ingest: settings.ingest.clone(),
        max_packet,
        ..BrokerConfig::default()
    })
}

/// What `[[mqtt.client]]` says.
///
/// # Errors
/// When its password cannot be had.
pub fn client_config(settings: &MqttClient) -> anyhow::Result<ClientConfig> {
    let password = secret(settings.password_env.as_deref(), settings.password_file.as_deref())
        .with_context(|| format!("the password for {}", settings.url))?;
    Ok(ClientConfig {
        url: settings.url.clone(),
        client_id: settings.client_id.clone(),
        version: settings.version,
        topics: settings.topics.clone(),
        qos: settings.qos,
        user: settings.user.clone(),
        password,
        ca_file: settings.ca_file.clone(),
    })
}

/// A rule of `[[mqtt.topic]]`.
pub fn mapping_rule(rule: &TopicRule) -> MappingRule {
    MappingRule { filter: rule.filter.clone(), sensor: rule.sensor.clone(), format: rule.format.clone() }
}

fn secret(variable: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    match (variable, file) {
        (Some(variable), _) => {
            Ok(Some(env::var(variable).with_context(|| format!("environment variable {variable}"))?))
        }
        (None, Some(file)) => {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        (None, None) => Ok(None),
    }
}
