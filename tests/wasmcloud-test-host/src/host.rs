//! The host.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::runtime::Runtime;
use tokio_postgres::{Row, types::ToSql};
use wasmtime::{
    Engine, Store,
    component::{InstancePre, Linker, StreamReader},
    error::Context as _,
    format_err,
};
use wheeltapper_test_hosts::AnyState;

use crate::{
    connection_pool::ConnectionPool,
    host_state::HostState,
    interfaces::{
        self,
        bindings::{PlatformPre, wasmcloud::messaging0_3_0::types::BrokerMessage},
    },
};

/// The settings of a workload.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Configuration of all components.
    pub config: BTreeMap<String, String>,
    /// The URL of the database.
    pub postgres: String,
}

/// A message on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subject.
    pub subject: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The value and version of each bucket and key.
type KeyValueEntries = BTreeMap<(String, String), (Vec<u8>, u64)>;

/// The state that all instances share.
pub(crate) struct SharedState {
    pub(crate) pool: ConnectionPool,
    state: Mutex<KeyValueEntries>,
    bus: Mutex<VecDeque<Message>>,
}

impl SharedState {
    pub(crate) fn state(&self) -> MutexGuard<'_, KeyValueEntries> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, message: Message) {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
    }
}

/// A host with one workload. Several threads may pass messages at once.
pub struct WasmCloudTestHost {
    engine: Engine,
    linker: Linker<AnyState>,
    shared: Arc<SharedState>,
    settings: Settings,
    runtime: Runtime,
}

impl fmt::Debug for WasmCloudTestHost {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WasmCloudTestHost").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A compiled component.
#[derive(Clone)]
pub struct LoadedComponent {
    pre: InstancePre<AnyState>,
    /// The component's own configuration.
    pub config: BTreeMap<String, String>,
}

impl fmt::Debug for LoadedComponent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LoadedComponent").field("config", &self.config).finish_non_exhaustive()
    }
}

impl WasmCloudTestHost {
    /// Opens a workload whose rows are in the settings' database.
    ///
    /// # Errors
    /// If the engine cannot be set up, or the database's URL is invalid.
    pub fn open(settings: Settings) -> wasmtime::Result<Self> {
        let (engine, mut linker) = wheeltapper_test_hosts::engine_and_linker()?;
        interfaces::link(&mut linker)?;
        Self::with_engine(engine, linker, settings)
    }

    /// Opens another workload on the same engine. Components that are loaded here need not be compiled again for it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_another(&self, settings: Settings) -> wasmtime::Result<Self> {
        Self::with_engine(self.engine.clone(), self.linker.clone(), settings)
    }

    fn with_engine(engine: Engine, linker: Linker<AnyState>, settings: Settings) -> wasmtime::Result<Self> {
        let pool = ConnectionPool::new(&settings.postgres).context("the database's URL")?;
        let shared = SharedState { pool, state: Mutex::default(), bus: Mutex::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { engine, linker, shared: Arc::new(shared), settings, runtime })
    }

    /// Compiles a component and checks that this host has all its imports.
    ///
    /// # Errors
    /// If the file is missing, is not a component, or imports something that wasmCloud does not have.
    pub fn load(&self, path: &Path) -> wasmtime::Result<LoadedComponent> {
        let pre = wheeltapper_test_hosts::load_component(&self.linker, path)?;
        Ok(LoadedComponent { pre, config: BTreeMap::new() })
    }

    fn store(&self, loaded: &LoadedComponent, kill_after: Option<u32>) -> Store<AnyState> {
        let mut config = self.settings.config.clone();
        config.extend(loaded.config.clone());
        let state = HostState::new(Arc::clone(&self.shared), config, kill_after);
        Store::new(&self.engine, AnyState::new(state))
    }

    /// Passes a message to a new instance. With `kill_after` the instance is killed after that many calls of the host.
    ///
    /// # Errors
    /// If the instance traps or is killed, or the error that the component returns.
    pub fn deliver(
        &self,
        loaded: &LoadedComponent,
        message: &Message,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<()> {
        self.runtime.block_on(self.deliver_async(loaded, message.clone(), kill_after))
    }

    async fn deliver_async(
        &self,
        loaded: &LoadedComponent,
        message: Message,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<()> {
        let mut store = self.store(loaded, kill_after);
        let instance = PlatformPre::new(loaded.pre.clone())?.instantiate_async(&mut store).await?;
        let Message { subject, body } = message;
        let result = store
            .run_concurrent(async |accessor| {
                let body = accessor.with(|mut access| StreamReader::new(&mut access, body))?;
                let message = BrokerMessage { subject, body, reply_to: None };
                instance.wasmcloud_messaging0_3_0_handler().call_handle_message(accessor, message).await
            })
            .await??;
        result.map_err(|error| format_err!("the component returned the error {error:?}"))
    }

    /// Removes and returns the messages that components published since the last call.
    pub fn take_published(&self) -> Vec<Message> {
        self.shared.bus.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Returns rows of the workload's database.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub fn rows(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> wasmtime::Result<Vec<Row>> {
        self.runtime.block_on(async {
            let client = self.shared.pool.acquire().await?;
            let rows = client.query(statement, parameters).await.with_context(|| statement.to_owned())?;
            self.shared.pool.release(client);
            Ok(rows)
        })
    }

    /// Passes a request to a new instance and returns the response.
    ///
    /// # Errors
    /// If the instance traps or sends no response.
    pub fn http(
        &self,
        loaded: &LoadedComponent,
        request: http::Request<Vec<u8>>,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<http::Response<Vec<u8>>> {
        let store = self.store(loaded, kill_after);
        self.runtime.block_on(wheeltapper_test_hosts::handle_request(store, loaded.pre.clone(), request))
    }
}
