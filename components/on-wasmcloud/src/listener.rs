//! Messages: devices' readings, what stages tell each other, and ticks.

use wheeltapper_line::{Dialect, Drive, Line, LineError, PortError, Ports, Topic, Value, now, subject};

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
    subject::{Kind, kind, time},
    table,
};

/// wasmCloud as a platform.
#[derive(Debug)]
struct WasmCloud {
    state: State,
}

/// Where the stages' state lies, by the setting `state`.
#[derive(Debug)]
enum State {
    /// In a bucket of the key-value store.
    Bucket(bucket::State),
    /// In the table `states`.
    Table,
}

impl WasmCloud {
    async fn open() -> Result<Self, LineError> {
        let state = match setting("state")?.as_str() {
            "" | "keyvalue" => {
                let name = setting("bucket")?;
                State::Bucket(bucket::State::open(if name.is_empty() { "wheeltapper" } else { &name }).await?)
            }
            "postgres" => State::Table,
            other => {
                return Err(LineError::Broken(format!(
                    "the setting `state` is \"{other}\"; it has to be \"keyvalue\" or \"postgres\""
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
            State::Bucket(bucket) => {
                let (body, version) = bucket.load(key).await?.unzip();
                (body, Version::Entry(version))
            }
            State::Table => {
                let (body, version) = table::load(key)?.unzip();
                (body, Version::Row(version))
            }
        })
    }

    async fn swap(&self, key: &str, held: Version, body: Vec<u8>) -> Result<bool, PortError> {
        match (&self.state, held) {
            (State::Bucket(bucket), Version::Entry(version)) => bucket.swap(key, version, body).await,
            (State::Table, Version::Row(version)) => table::swap(key, version, body),
            _ => Err(PortError(format!("the version of {key} is not of the store that it lies in"))),
        }
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        let subject = subject(topic, key);
        let (mut writer, stream) = wit_stream::new();
        let bytes = body.to_vec();
        // Beside the call, which returns only when all of it was read.
        wit_bindgen::spawn_local(async move {
            writer.write_all(bytes).await;
        });
        let message = BrokerMessage { subject, body: stream, reply_to: None };
        consumer::publish(message).await.map_err(|error| PortError(format!("the bus gave {error:?}")))
    }
}

struct Component;

impl Guest for Component {
    async fn handle_message(message: BrokerMessage) -> Result<(), HandleMessageError> {
        let body = message.body.collect().await;
        hear(&message.subject, body).await.map_err(|error| match error {
            // The host logs that it is to be tried again, not why.
            LineError::Unavailable(words) => {
                eprintln!("wheeltapper: a message on {}: {words}", message.subject);
                HandleMessageError::Retry
            }
            LineError::Broken(words) | LineError::Unstorable(words) => HandleMessageError::Other(words),
            refused @ LineError::Refused(_) => HandleMessageError::Other(refused.to_string()),
        })
    }
}

async fn hear(subject: &str, body: Vec<u8>) -> Result<(), LineError> {
    let kind = kind(subject);
    // A nudge asks for one stage, and each tells the next, also where all of them are here.
    let drive = if cfg!(feature = "whole") && !matches!(kind, Kind::Nudge(_)) { Drive::Inline } else { Drive::Bus };
    let line = Line::new(WasmCloud::open().await?, &plant()?, drive)?;
    match kind {
        Kind::Tick => line.tick(time(&body).map_err(LineError::Broken)?.unwrap_or_else(now)).await,
        Kind::Nudge(topic) => line.heard(topic, &body, now()).await,
        #[cfg(feature = "ingest")]
        Kind::Readings => {
            let source = subject.to_owned();
            let event = wheeltapper_line::Submission { source, payload: body, ..Default::default() };
            line.submit(event, now()).await.map(drop)
        }
        #[cfg(not(feature = "ingest"))]
        Kind::Readings => Err(LineError::Broken(format!(
            "{subject} is no subject of this stage; see `subscriptions` in the component's configuration"
        ))),
    }
}

bindings::export!(Component with_types_in bindings);
