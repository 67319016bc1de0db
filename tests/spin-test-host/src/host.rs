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
use wheeltapper_test_hosts::AnyState;

use crate::{host_state::HostState, interfaces};

/// The settings of an application.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Variables of all components.
    pub variables: BTreeMap<String, String>,
    /// `allowed_outbound_hosts`, compared exactly, such as `redis://127.0.0.1:6379`.
    pub allowed_outbound_hosts: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// A folder that is mounted read-only at `/`.
    pub mounted_folder: Option<PathBuf>,
}

/// The files of an application's data.
pub(crate) struct DataFiles {
    /// The path of the SQLite database.
    pub(crate) sqlite: PathBuf,
    /// One connection for all instances, as in Spin's default store.
    key_value: Mutex<Connection>,
}

impl DataFiles {
    fn open(folder: &Path) -> wasmtime::Result<Self> {
        let folder = folder.join(".spin");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let connection = Connection::open(folder.join("sqlite_key_value.db"))?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS spin_key_value (store TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY (store, key))",
        )?;
        Ok(Self { sqlite: folder.join("sqlite_db.db"), key_value: Mutex::new(connection) })
    }

    pub(crate) fn key_value(&self) -> MutexGuard<'_, Connection> {
        self.key_value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A host with one application. Several threads may pass events at once.
pub struct SpinTestHost {
    engine: Engine,
    linker: Linker<AnyState>,
    files: Arc<DataFiles>,
    settings: Arc<Settings>,
}

impl fmt::Debug for SpinTestHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SpinTestHost").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A compiled component.
#[derive(Clone)]
pub struct LoadedComponent {
    pre: InstancePre<AnyState>,
    /// The component's own variables.
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for LoadedComponent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LoadedComponent").field("variables", &self.variables).finish_non_exhaustive()
    }
}

/// An event of a trigger.
#[derive(Clone, Debug)]
pub enum TriggerEvent {
    /// A message on a Redis channel.
    Redis(Vec<u8>),
    /// A message on an MQTT topic.
    Mqtt {
        /// The topic.
        topic: String,
        /// The payload.
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

impl SpinTestHost {
    /// Opens an application whose data is in `folder`.
    ///
    /// # Errors
    /// If the engine or the data cannot be set up.
    pub fn open(folder: &Path, settings: Settings) -> wasmtime::Result<Self> {
        let (engine, mut linker) = wheeltapper_test_hosts::engine_and_linker()?;
        interfaces::link(&mut linker)?;
        Ok(Self { engine, linker, files: Arc::new(DataFiles::open(folder)?), settings: Arc::new(settings) })
    }

    /// Opens another application on the same engine, with data in a folder of its own. Components that are loaded
    /// here need not be compiled again for it.
    ///
    /// # Errors
    /// If the data cannot be set up.
    pub fn open_another(&self, folder: &Path, settings: Settings) -> wasmtime::Result<Self> {
        Ok(Self {
            engine: self.engine.clone(),
            linker: self.linker.clone(),
            files: Arc::new(DataFiles::open(folder)?),
            settings: Arc::new(settings),
        })
    }

    /// Returns the path of the application's SQLite database.
    pub fn database(&self) -> &Path {
        &self.files.sqlite
    }

    /// Compiles a component and checks that this host has all its imports.
    ///
    /// # Errors
    /// If the file is missing, is not a component, or imports something that Spin does not have.
    pub fn load(&self, path: &Path) -> wasmtime::Result<LoadedComponent> {
        let pre = wheeltapper_test_hosts::load_component(&self.linker, path)?;
        Ok(LoadedComponent { pre, variables: BTreeMap::new() })
    }

    fn store(&self, loaded: &LoadedComponent, kill_after: Option<u32>) -> wasmtime::Result<Store<AnyState>> {
        let mut variables = self.settings.variables.clone();
        variables.extend(loaded.variables.clone());
        let state = HostState::new(Arc::clone(&self.files), Arc::clone(&self.settings), variables, kill_after)?;
        Ok(Store::new(&self.engine, AnyState::new(state)))
    }

    /// Passes an event to a new instance. With `kill_after` the instance is killed after that many calls of the host.
    ///
    /// # Errors
    /// If the instance traps or is killed, or the error that the component returns.
    pub fn event(
        &self,
        loaded: &LoadedComponent,
        event: &TriggerEvent,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<()> {
        block_on(self.deliver(loaded, event, kill_after))?
    }

    async fn deliver(
        &self,
        loaded: &LoadedComponent,
        event: &TriggerEvent,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<()> {
        let mut store = self.store(loaded, kill_after)?;
        let instance = loaded.pre.instantiate_async(&mut store).await?;
        match event {
            TriggerEvent::Redis(payload) => {
                let name = "fermyon:spin/inbound-redis";
                let interface = instance
                    .get_export_index(&mut store, None, name)
                    .with_context(|| format!("the component does not export {name}"))?;
                let index = instance
                    .get_export_index(&mut store, Some(&interface), "handle-message")
                    .context("handle-message is missing")?;
                let function = instance.get_typed_func::<(&[u8],), (Result<(), RedisError>,)>(&mut store, &index)?;
                let (result,) = function.call_async(&mut store, (payload,)).await?;
                result.map_err(|error| format_err!("the component returned the error {error:?}"))
            }
            TriggerEvent::Mqtt { topic, payload } => {
                let bindings = triggers::mqtt::SpinMqtt::new(&mut store, &instance)?;
                let metadata = triggers::mqtt::spin::mqtt_trigger::spin_mqtt_types::Metadata { topic: topic.clone() };
                let result = store
                    .run_concurrent(async |accessor| {
                        bindings.call_handle_message(accessor, payload.clone(), metadata).await
                    })
                    .await??;
                result.map_err(|error| format_err!("{error:?}"))
            }
            TriggerEvent::Cron(timestamp) => {
                let bindings = triggers::cron::SpinCron::new(&mut store, &instance)?;
                let metadata = triggers::cron::spin::cron::cron_types::Metadata { timestamp: *timestamp };
                let result = store
                    .run_concurrent(async |accessor| bindings.call_handle_cron_event(accessor, metadata).await)
                    .await??;
                result.map_err(|error| format_err!("{error:?}"))
            }
        }
    }

    /// Passes a request to a new instance and returns the response.
    ///
    /// # Errors
    /// If the instance traps or sends no response.
    pub fn http(
        &self,
        loaded: &LoadedComponent,
        request: http::Request<Vec<u8>>,
    ) -> wasmtime::Result<http::Response<Vec<u8>>> {
        block_on(wheeltapper_test_hosts::handle_request(self.store(loaded, None)?, loaded.pre.clone(), request))?
    }
}

/// `fermyon:spin/redis-types.error`.
#[allow(dead_code, reason = "only a component creates them")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, wasmtime::component::ComponentType, wasmtime::component::Lift)]
#[component(enum)]
#[repr(u8)]
enum RedisError {
    #[component(name = "success")]
    Success,
    #[component(name = "error")]
    Error,
}

/// Runs a future on a runtime of its own, so that several threads can pass events.
fn block_on<T>(future: impl Future<Output = T>) -> wasmtime::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}
