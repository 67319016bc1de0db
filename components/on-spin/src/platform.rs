//! Implements [`Ports`] with what Spin has: SQLite, key-value with compare-and-swap, Redis or MQTT as bus, variables.

use spin_sdk::{
    mqtt, redis,
    sqlite::{self, Connection},
    variables,
    wit::wasi::keyvalue::{
        atomics::{Cas, CasError, swap},
        store::{self, Bucket},
    },
};
use wheeltapper_line::{Dialect, Dispatch, Line, LineError, PortError, Ports, Topic, Value, load_plant, subject};
#[cfg(any(feature = "mqtt", feature = "redis"))]
use wheeltapper_line::{now, run_sync};

/// How often a statement is tried while other connections write to the database.
const MAX_ATTEMPTS: u32 = 20;

/// Spin as a platform.
#[derive(Debug)]
pub(crate) struct Spin {
    database: Connection,
    state: Bucket,
    bus: Option<Bus>,
}

#[derive(Debug)]
enum Bus {
    Redis(String),
    Mqtt { address: String, user: String, password: String },
}

impl Spin {
    fn open() -> Result<Self, LineError> {
        let unavailable = |what: &str, error: &dyn std::fmt::Display| {
            LineError::Unavailable(format!(
                "Spin's {what} cannot be opened: {error}; see the component's table in spin.toml"
            ))
        };
        let database =
            Connection::open_default().map_err(|error| unavailable("SQLite database \"default\"", &error))?;
        let state = store::open("default")
            .map_err(|error| unavailable("key-value store \"default\"", &format!("{error:?}")))?;
        Ok(Self { database, state, bus: Bus::from_variables()? })
    }
}

impl Bus {
    /// Parses the variable `bus`: an address, or empty for no bus.
    fn from_variables() -> Result<Option<Self>, LineError> {
        let address = variable("bus")?;
        match address.split_once("://").map(|(scheme, _)| scheme) {
            None if address.is_empty() => Ok(None),
            Some("redis" | "rediss") => Ok(Some(Self::Redis(address))),
            Some("mqtt" | "mqtts") => {
                Ok(Some(Self::Mqtt { address, user: variable("bus_user")?, password: variable("bus_password")? }))
            }
            _ => Err(LineError::Broken(
                "the variable `bus` is invalid; expected redis://host:port, mqtt://host:port?client_id=name, or empty"
                    .to_owned(),
            )),
        }
    }

    fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), String> {
        match self {
            Self::Redis(address) => {
                let connection = redis::Connection::open(address).map_err(|error| format!("{error:?}"))?;
                // Spin's trigger subscribes to whole channels, so the key is only in the body.
                connection.publish(topic.name(), body).map_err(|error| format!("{error:?}"))
            }
            Self::Mqtt { address, user, password } => {
                let connection =
                    mqtt::Connection::open(address, user, password, 30).map_err(|error| format!("{error:?}"))?;
                let topic = subject(topic, key).replacen('.', "/", 1);
                connection.publish(&topic, body, mqtt::Qos::AtLeastOnce).map_err(|error| format!("{error:?}"))
            }
        }
    }
}

impl Ports for Spin {
    type Version = Cas;

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        let parameters: Vec<sqlite::Value> = parameters
            .iter()
            .map(|value| match value {
                Value::Null => sqlite::Value::Null,
                Value::Integer(integer) => sqlite::Value::Integer(*integer),
                Value::Real(real) => sqlite::Value::Real(*real),
                Value::Text(text) => sqlite::Value::Text(text.clone()),
                Value::Blob(blob) => sqlite::Value::Blob(blob.clone()),
            })
            .collect();
        let mut attempts = 0;
        let result = loop {
            match self.database.execute(statement, &parameters) {
                Ok(result) => break result,
                // Others write: SQLite waits for them, unless waiting would be a deadlock.
                Err(error) if attempts < MAX_ATTEMPTS && is_busy(&error) => attempts += 1,
                Err(error) => return Err(PortError(error.to_string())),
            }
        };
        let row = |row: sqlite::RowResult| row.values.into_iter().map(value).collect();
        Ok(result.rows.into_iter().map(row).collect())
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, Cas), PortError> {
        let to_error = |error| PortError(format!("cannot read {key} from the key-value store: {error:?}"));
        let cas = Cas::new(&self.state, key).map_err(to_error)?;
        let body = cas.current().map_err(to_error)?;
        Ok((body, cas))
    }

    async fn swap(&self, key: &str, version: Cas, body: Vec<u8>) -> Result<bool, PortError> {
        match swap(version, &body) {
            Ok(()) => Ok(true),
            Err(CasError::CasFailed(_)) => Ok(false),
            Err(CasError::StoreError(error)) => {
                Err(PortError(format!("cannot write {key} to the key-value store: {error:?}")))
            }
        }
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        self.bus.as_ref().map_or(Ok(()), |bus| bus.publish(topic, key, body)).map_err(PortError)
    }
}

fn is_busy(error: &sqlite::Error) -> bool {
    matches!(error, sqlite::Error::Io(message) if message.contains("locked") || message.contains("busy"))
}

fn value(value: sqlite::Value) -> Value {
    match value {
        sqlite::Value::Null => Value::Null,
        sqlite::Value::Integer(integer) => Value::Integer(integer),
        sqlite::Value::Real(real) => Value::Real(real),
        sqlite::Value::Text(text) => Value::Text(text),
        sqlite::Value::Blob(blob) => Value::Blob(blob),
    }
}

/// Returns a variable of the component, or an empty string if the manifest does not have it.
pub(crate) fn variable(name: &str) -> Result<String, LineError> {
    match variables::get(name) {
        Ok(value) => Ok(value),
        Err(variables::Error::Undefined(_)) => Ok(String::new()),
        Err(error) => Err(LineError::Unavailable(format!("the variable `{name}` cannot be read: {error}"))),
    }
}

/// Creates the line of this app. With a bus each stage runs in an instance of its own, without one all run in this
/// instance.
pub(crate) fn line() -> Result<Line<Spin>, LineError> {
    let spin = Spin::open()?;
    let dispatch = if spin.bus.is_some() { Dispatch::Bus } else { Dispatch::Inline };
    Line::new(spin, &load_plant(variable("plant")?, "is it under `files` in spin.toml?")?, dispatch)
}

/// Handles a message according to the component's role: a device's readings, or a notification between the stages.
#[cfg(any(feature = "mqtt", feature = "redis"))]
pub(crate) fn handle_message(role: &str, source: String, message: Vec<u8>) -> Result<(), LineError> {
    let line = line()?;
    match role {
        "readings" => {
            let event = wheeltapper_line::Submission { source, payload: message, ..Default::default() };
            run_sync(line.submit(event, now())).map(drop)
        }
        "events" => run_sync(line.on_message_without_topic(&message, now())),
        other => Err(LineError::Broken(format!(
            "the component's variable `role` is \"{other}\"; expected \"readings\" (devices' messages) or \"events\" (between the stages)"
        ))),
    }
}
