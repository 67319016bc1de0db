//! MQTT: the embedded broker and the clients of external brokers, as sources of the intake.

mod acl;
mod auth;

use std::{env, fs, future::Future, path::Path, pin::Pin, sync::Arc};

use anyhow::Context as _;
use wheeltapper_config::{BrokerSettings, Config, MqttClient, MqttScope, TopicRule};
use wheeltapper_mqtt::{
    Authenticator, BrokerConfig, BrokerStats, BrokerTls, BrokerUser, ClientConfig, Exchange, Mapping, MappingRule,
    ReleaseFuture, Sink, SinkMessage, Users, Verdict,
};

use self::{
    acl::Rights,
    auth::{AnonymousAccess, BrokerAuth, BrokerAuthenticator},
};
use crate::{
    access, clock,
    host::Host,
    intake::{Envelope, EventSender, Intake, Receipt, exchanges::BeginOutcome},
    metrics::Metrics,
};

/// Passes published messages to the intake. The verdict is returned once they are durable.
#[derive(Debug)]
pub struct IntakeSink {
    host: Arc<Host>,
    mapping: Arc<Mapping>,
    /// The first lane number, so that the connections of two triggers do not share a lane.
    lane_base: u64,
}

impl IntakeSink {
    /// A sink for the connections of one broker or client.
    pub fn new(host: Arc<Host>, mapping: Arc<Mapping>, lane_base: u64) -> Self {
        Self { host, mapping, lane_base }
    }
}

impl Sink for IntakeSink {
    fn accept(&self, publish: SinkMessage) -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
        let (sensor, format) = self.mapping.map(&publish.topic).unwrap_or_default();
        let envelope = Envelope {
            source: publish.topic.to_string(),
            format: publish.content_type.or(format),
            sensor,
            arrival: clock::now(),
            payload: publish.payload,
        };
        self.host.metrics.events("mqtt").inc();
        // The event is submitted here, in the order of the packets; only the wait for the answer is asynchronous.
        let sender = Arc::new(EventSender {
            name: Some(publish.owner).filter(|owner| !owner.is_empty()),
            sites: publish.sites.map(|sites| sites.to_vec()),
            is_replay: false,
        });
        let lane = self.lane_base.wrapping_add(publish.connection_id);
        let answer = match publish.exchange {
            None => self.host.intake.submit_from(lane, vec![envelope], sender),
            Some(exchange) => match self.host.exchanges().begin(&exchange, &envelope.source, &envelope.payload) {
                // An earlier acknowledgement was lost, perhaps because the process ended.
                BeginOutcome::AlreadyStored => return Box::pin(std::future::ready(Verdict::Stored)),
                BeginOutcome::Full => {
                    tracing::warn!(
                        "too many MQTT QoS 2 exchanges are open; the client has to send a message again later"
                    );
                    return Box::pin(std::future::ready(Verdict::Busy));
                }
                // The first copy is still on its way to the disk.
                BeginOutcome::Wait(stored) => {
                    return Box::pin(async move { stored.await.map_or(Verdict::Busy, |()| Verdict::Stored) });
                }
                BeginOutcome::Store(request) => self.host.intake.submit_exchange(lane, envelope, sender, request),
            },
        };
        Box::pin(async move {
            let answer = match answer {
                Ok(answer) => Intake::wait_for_receipts(answer).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(receipts) => verdict_of(&receipts),
                Err(error) => {
                    tracing::debug!(%error, "an MQTT message was not accepted");
                    Verdict::Busy
                }
            }
        })
    }

    fn release(&self, exchange: Exchange) -> ReleaseFuture {
        match self.host.exchanges().release(&exchange) {
            None => Box::pin(std::future::ready(true)),
            Some(synced) => Box::pin(async move { synced.await.is_ok() }),
        }
    }

    fn end_session(&self, session: &str) {
        self.host.exchanges().end_session(session);
    }
}

/// The outcome of an event. An event counts as accepted if a part of it was accepted: a sender that repeats it would
/// store that part twice.
fn verdict_of(receipts: &[Receipt]) -> Verdict {
    let accepted: u64 = receipts.iter().map(|receipt| receipt.accepted).sum();
    match receipts.iter().flat_map(|receipt| &receipt.rejected).next() {
        None => Verdict::Stored,
        Some(rejected) => {
            let why = format!("{}: {}", rejected.reason, rejected.message);
            if accepted > 0 { Verdict::PartlyStored(why) } else { Verdict::Rejected(why) }
        }
    }
}

/// Who may connect to the broker, and with which rights: the users of `[mqtt.broker]`, API keys, and anonymous clients
/// where no sign-in is required.
///
/// # Errors
/// If a password cannot be read, or the access database cannot be opened.
pub fn authenticator(
    config: &Config,
    settings: &BrokerSettings,
    mapping: &Arc<Mapping>,
) -> anyhow::Result<Arc<dyn Authenticator>> {
    let filters = config.mqtt.topics.iter().filter(|rule| rule.sensor.is_some()).map(|rule| rule.filter.clone());
    let mapped_filters: Arc<[String]> = filters.collect();
    let mut users = Users::default();
    for user in &settings.users {
        let password = read_secret(user.password_env.as_deref(), user.password_file.as_deref())
            .with_context(|| format!("reading the password of MQTT user {}", user.name))?
            .with_context(|| format!("MQTT user {} has no password: set password_env or password_file", user.name))?;
        let has_scope = |scope| user.scopes.contains(&scope);
        let owner = format!("user:{}", user.name);
        let (publish, read) = (has_scope(MqttScope::Ingest), has_scope(MqttScope::Read));
        let rights = Rights::new(owner, publish, read, user.sites.as_deref(), mapping, &mapped_filters);
        users.add(&BrokerUser { name: user.name.clone(), password }, Arc::new(rights));
    }
    let anonymous = AnonymousAccess::from_settings(access::is_open(config), settings.anonymous, !users.is_empty());
    let access = Arc::new(access::open(config)?);
    Ok(Arc::new(BrokerAuthenticator(Arc::new(BrokerAuth::new(access, users, anonymous, mapping, &mapped_filters)))))
}

/// Copies the broker's counters and levels to the metrics.
pub fn record_broker_stats(metrics: &Metrics, stats: &BrokerStats) {
    let size = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.mqtt_connections.set(size(stats.connections));
    for (what, value) in [
        ("sessions", size(stats.sessions)),
        ("subscriptions", size(stats.subscriptions)),
        ("retained_messages", size(stats.retained)),
        ("retained_bytes", size(stats.retained_bytes)),
        ("queued_bytes", size(stats.queued_bytes)),
        ("input_bytes", size(stats.input_bytes)),
        ("dropped_messages", count(stats.dropped_messages)),
        ("lost_messages", count(stats.lost_qos0_messages)),
        ("rejected_connections", count(stats.rejected_connections)),
        ("rejected_logins", count(stats.rejected_logins)),
        ("denied_publishes", count(stats.denied_publishes)),
        ("denied_subscriptions", count(stats.denied_subscriptions)),
        ("slow_connections", count(stats.slow_clients)),
    ] {
        metrics.mqtt(what).set(value);
    }
}

/// The broker's settings from `[mqtt.broker]`. The authenticator is separate: [`authenticator`].
///
/// # Errors
/// If only one of `tls_listen` and `tls` is set.
pub fn broker_config(settings: &BrokerSettings) -> anyhow::Result<BrokerConfig> {
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
        ingest: settings.ingest.clone(),
        max_packet,
        max_connections: settings.max_connections,
        max_connections_per_address: settings.max_connections_per_address,
        ..BrokerConfig::default()
    })
}

/// The client's settings from `[[mqtt.client]]`.
///
/// # Errors
/// If its password cannot be read.
pub fn client_config(settings: &MqttClient) -> anyhow::Result<ClientConfig> {
    let password = read_secret(settings.password_env.as_deref(), settings.password_file.as_deref())
        .with_context(|| format!("reading the password for {}", settings.url))?;
    Ok(ClientConfig {
        url: settings.url.clone(),
        client_id: settings.client_id.clone(),
        version: settings.version,
        topics: settings.topics.clone(),
        qos: settings.qos,
        user_name: settings.user.clone(),
        password,
        ca_file: settings.ca_file.clone(),
    })
}

/// The mapping rule for an entry of `[[mqtt.topic]]`.
pub fn mapping_rule(rule: &TopicRule) -> MappingRule {
    MappingRule { filter: rule.filter.clone(), sensor: rule.sensor.clone(), format: rule.format.clone() }
}

fn read_secret(variable: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::RejectedPart;

    #[test]
    fn a_partly_accepted_event_counts_as_accepted() {
        let rejected = RejectedPart { position: 1, reason: "malformed", message: "no number".into(), readings: 1 };
        let verdict_for =
            |accepted, rejected: &[RejectedPart]| verdict_of(&[Receipt { accepted, rejected: rejected.to_vec() }]);
        assert_eq!(verdict_for(1, &[]), Verdict::Stored);
        assert_eq!(verdict_for(0, &[]), Verdict::Stored, "for example a Sparkplug death");
        assert_eq!(
            verdict_for(1, std::slice::from_ref(&rejected)),
            Verdict::PartlyStored("malformed: no number".into())
        );
        assert_eq!(verdict_for(0, &[rejected]), Verdict::Rejected("malformed: no number".into()));
    }
}
