//! Handles messages: devices' readings, notifications between the stages, and ticks.

use wheeltapper_line::{Dialect, Dispatch, Line, LineError, PortError, Ports, Topic, Value, now, subject};

use crate::{
    bindings::{
        self,
        exports::wasmcloud::messaging0_3_0::handler::{Guest, HandleMessageError},
        wasmcloud::messaging0_3_0::{consumer, types::BrokerMessage},
        wit_stream,
    },
    bucket,
    settings::{plant, setting},
    sql,
    subject::{MessageKind, message_kind, tick_time},
    table,
};

/// wasmCloud as a platform.
#[derive(Debug)]
struct WasmCloud {
    state: StateStore,
}

/// Where the stages' state is stored, by the setting `state`.
#[derive(Debug)]
enum StateStore {
    /// In a bucket of the key-value store.
    Bucket(bucket::StateBucket),
    /// In the table `states`.
    Table,
}

impl WasmCloud {
    async fn open() -> Result<Self, LineError> {
        let state = match setting("state")?.as_str() {
            "" | "keyvalue" => {
                let name = setting("bucket")?;
                StateStore::Bucket(
                    bucket::StateBucket::open(if name.is_empty() { "wheeltapper" } else { &name }).await?,
                )
            }
            "postgres" => StateStore::Table,
            other => {
                return Err(LineError::Broken(format!(
                    "the setting `state` is \"{other}\"; expected \"keyvalue\" or \"postgres\""
                )));
            }
        };
        Ok(Self { state })
    }
}

/// The version of a state.
#[derive(Debug)]
enum Version {
    Entry(Option<String>),
    Row(Option<i64>),
}

impl Ports for WasmCloud {
    type Version = Version;

    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        sql::run(statement, parameters)
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, Version), PortError> {
        Ok(match &self.state {
            StateStore::Bucket(bucket) => {
                let (body, version) = bucket.load(key).await?.unzip();
                (body, Version::Entry(version))
            }
            StateStore::Table => {
                let (body, version) = table::load(key)?.unzip();
                (body, Version::Row(version))
            }
        })
    }

    async fn swap(&self, key: &str, version: Version, body: Vec<u8>) -> Result<bool, PortError> {
        match (&self.state, version) {
            (StateStore::Bucket(bucket), Version::Entry(version)) => bucket.swap(key, version, body).await,
            (StateStore::Table, Version::Row(version)) => table::swap(key, version, body),
            _ => Err(PortError(format!("the version of {key} belongs to another store; load the state again"))),
        }
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        let subject = subject(topic, key);
        let (mut writer, stream) = wit_stream::new();
        let bytes = body.to_vec();
        // Spawned, because `publish` returns only after the whole stream was read.
        wit_bindgen::spawn_local(async move {
            writer.write_all(bytes).await;
        });
        let message = BrokerMessage { subject, body: stream, reply_to: None };
        consumer::publish(message).await.map_err(|error| PortError(format!("cannot publish on the bus: {error:?}")))
    }
}

struct Component;

impl Guest for Component {
    async fn handle_message(message: BrokerMessage) -> Result<(), HandleMessageError> {
        let body = message.body.collect().await;
        on_message(&message.subject, body).await.map_err(|error| match error {
            // The host logs only that the message is to be retried, not the reason.
            LineError::Unavailable(reason) => {
                eprintln!("wheeltapper: a message on {}: {reason}", message.subject);
                HandleMessageError::Retry
            }
            LineError::Broken(reason) | LineError::Unstorable(reason) => HandleMessageError::Other(reason),
            rejected @ LineError::Rejected(_) => HandleMessageError::Other(rejected.to_string()),
        })
    }
}

async fn on_message(subject: &str, body: Vec<u8>) -> Result<(), LineError> {
    let kind = message_kind(subject);
    // A notification runs one stage, and each stage notifies the next, even if all stages are in this component.
    let dispatch = if cfg!(feature = "all-stages") && !matches!(kind, MessageKind::Notification(_)) {
        Dispatch::Inline
    } else {
        Dispatch::Bus
    };
    let line = Line::new(WasmCloud::open().await?, &plant()?, dispatch)?;
    match kind {
        MessageKind::Tick => line.tick(tick_time(&body).map_err(LineError::Broken)?.unwrap_or_else(now)).await,
        MessageKind::Notification(topic) => line.on_message(topic, &body, now()).await,
        #[cfg(feature = "ingest")]
        MessageKind::Readings => {
            let source = subject.to_owned();
            let event = wheeltapper_line::Submission { source, payload: body, ..Default::default() };
            line.submit(event, now()).await.map(drop)
        }
        #[cfg(not(feature = "ingest"))]
        MessageKind::Readings => Err(LineError::Broken(format!(
            "{subject} is not a subject of this stage; check `subscriptions` in the component's configuration"
        ))),
    }
}

bindings::export!(Component with_types_in bindings);
