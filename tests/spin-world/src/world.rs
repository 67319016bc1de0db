//! The host.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use wasmtime::{
    Engine, Store,
    component::{InstancePre, Linker},
    error::Context as _,
    format_err,
};

use crate::{guest::Guest, interfaces};

/// What an application is given.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Variables of all components.
    pub variables: BTreeMap<String, String>,
    /// `allowed_outbound_hosts`: `redis://127.0.0.1:6379` and so on, exactly.
    pub outbound: Vec<String>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// A folder that is mounted to read at `/`.
    pub mounted: Option<PathBuf>,
}

/// Where an application's data lies.
pub(crate) struct Files {
    pub(crate) sqlite: PathBuf,
    /// One connection for all, as Spin's default store has.
    state: Mutex<Connection>,
}

impl Files {
    fn open(folder: &Path) -> wasmtime::Result<Self> {
        let folder = folder.join(".spin");
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let state = Connection::open(folder.join("sqlite_key_value.db"))?;
        state.execute_batch(
            "CREATE TABLE IF NOT EXISTS spin_key_value (store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY (store, key))",
        )?;
        Ok(Self { sqlite: folder.join("sqlite_db.db"), state: Mutex::new(state) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Connection> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spin with one application. Events can be handed in from several threads at once.
pub struct SpinWorld {
    engine: Engine,
    linker: Linker<Guest>,
    files: Arc<Files>,
    settings: Arc<Settings>,
}

impl fmt::Debug for SpinWorld {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SpinWorld").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A component, compiled.
#[derive(Clone)]
pub struct Loaded {
    pre: InstancePre<Guest>,
    /// The component's own variables.
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Loaded").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// What a trigger brings.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message on a Redis channel.
    Redis(Vec<u8>),
    /// A message on an MQTT topic.
    Mqtt {
        /// The topic.
        topic: String,
        /// The message.
        payload: Vec<u8>,
    },
    /// The time, in seconds since 1970.
    Cron(u64),
}

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated")]
mod triggers {
    pub(super) mod mqtt {
        wasmtime::component::bindgen!({ path: "../../components/on-spin/wit/mqtt", world: "spin-mqtt" });
    }
    pub(super) mod cron {
        wasmtime::component::bindgen!({ path: "../../components/on-spin/wit/cron", world: "spin-cron" });
    }
}

impl SpinWorld {
    /// An application whose data lies in `folder`.
    ///
    /// # Errors
    /// When the engine or the data cannot be set up.
    pub fn open(folder: &Path, settings: Settings) -> wasmtime::Result<Self> {
        let (engine, mut linker) = wheeltapper_worlds::open()?;
        interfaces::link(&mut linker)?;
        Ok(Self { engine, linker, files: Arc::new(Files::open(folder)?), settings: Arc::new(settings) })
    }

    /// Another application, with data in a folder of its own; what this one has loaded need not be compiled again for it.
    ///
    /// # Errors
    /// When the data cannot be set up.
    pub fn beside(&self, folder: &Path, settings: Settings) -> wasmtime::Result<Self> {
        Ok(Self {
            engine: self.engine.clone(),
            linker: self.linker.clone(),
            files: Arc::new(Files::open(folder)?),
            settings: Arc::new(settings),
        })
    }

    /// The file of the application's SQLite database.
    pub fn database(&self) -> &Path {
        &self.files.sqlite
    }

    /// Compiles a component and checks that this world has all that it imports.
    ///
    /// # Errors
    /// When it is not there, no component, or imports what Spin does not have.
    pub fn load(&self, path: &Path) -> wasmtime::Result<Loaded> {
        let pre = wheeltapper_worlds::load(&self.linker, path)?;
        Ok(Loaded { pre, variables: BTreeMap::new() })
    }

    fn store(&self, loaded: &Loaded, kill: Option<u32>) -> wasmtime::Result<Store<Guest>> {
        let mut variables = self.settings.variables.clone();
        variables.extend(loaded.variables.clone());
        let guest = Guest::new(Arc::clone(&self.files), Arc::clone(&self.settings), variables, kill)?;
        Ok(Store::new(&self.engine, guest))
    }

    /// Hands an event to a fresh instance. With `kill` the instance is lost at so many calls of the host.
    ///
    /// # Errors
    /// When the instance is lost, or in the component's own words when it refuses.
    pub fn event(&self, loaded: &Loaded, event: &Event, kill: Option<u32>) -> wasmtime::Result<()> {
        block_on(self.deliver(loaded, event, kill))?
    }

    async fn deliver(&self, loaded: &Loaded, event: &Event, kill: Option<u32>) -> wasmtime::Result<()> {
        let mut store = self.store(loaded, kill)?;
        let instance = loaded.pre.instantiate_async(&mut store).await?;
        match event {
            Event::Redis(payload) => {
                let name = "fermyon:spin/inbound-redis";
                let interface = instance
                    .get_export_index(&mut store, None, name)
                    .with_context(|| format!("the component does not export {name}"))?;
                let index = instance
                    .get_export_index(&mut store, Some(&interface), "handle-message")
                    .context("handle-message is missing")?;
                let function = instance.get_typed_func::<(&[u8],), (Result<(), RedisError>,)>(&mut store, &index)?;
                let (answer,) = function.call_async(&mut store, (payload,)).await?;
                answer.map_err(|error| format_err!("the component answered {error:?}"))
            }
            Event::Mqtt { topic, payload } => {
                let bindings = triggers::mqtt::SpinMqtt::new(&mut store, &instance)?;
                let metadata = triggers::mqtt::spin::mqtt_trigger::spin_mqtt_types::Metadata { topic: topic.clone() };
                let answer = store
                    .run_concurrent(async |accessor| {
                        bindings.call_handle_message(accessor, payload.clone(), metadata).await
                    })
                    .await??;
                answer.map_err(|error| format_err!("{error:?}"))
            }
            Event::Cron(timestamp) => {
                let bindings = triggers::cron::SpinCron::new(&mut store, &instance)?;
                let metadata = triggers::cron::spin::cron::cron_types::Metadata { timestamp: *timestamp };
                let answer = store
                    .run_concurrent(async |accessor| bindings.call_handle_cron_event(accessor, metadata).await)
                    .await??;
                answer.map_err(|error| format_err!("{error:?}"))
            }
        }
    }

    /// Hands a request to a fresh instance.
    ///
    /// # Errors
    /// When the instance is lost, or gives no answer.
    pub fn http(&self, loaded: &Loaded, request: http::Request<Vec<u8>>) -> wasmtime::Result<http::Response<Vec<u8>>> {
        block_on(wheeltapper_worlds::respond(self.store(loaded, None)?, loaded.pre.clone(), request))?
    }
}

/// `fermyon:spin/redis-types.error`.
#[allow(dead_code, reason = "only a component makes them")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, wasmtime::component::ComponentType, wasmtime::component::Lift)]
#[component(enum)]
#[repr(u8)]
enum RedisError {
    #[component(name = "success")]
    Success,
    #[component(name = "error")]
    Error,
}

/// Each event has a runtime of its own, so that several threads can bring events.
fn block_on<T>(future: impl Future<Output = T>) -> wasmtime::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}
