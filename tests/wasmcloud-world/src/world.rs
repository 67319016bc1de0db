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

use crate::{
    guest::Guest,
    interfaces::{
        self,
        bindings::{PlatformPre, wasmcloud::messaging0_3_0::types::BrokerMessage},
    },
    postgres::Pool,
};

/// What a workload is given.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Configuration of all components.
    pub config: BTreeMap<String, String>,
    /// The database's URL.
    pub postgres: String,
}

/// A message on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// What it says.
    pub body: Vec<u8>,
}

/// What a key holds, and its version.
type Entries = BTreeMap<(String, String), (Vec<u8>, u64)>;

/// What all instances share.
pub(crate) struct Shared {
    pub(crate) pool: Pool,
    state: Mutex<Entries>,
    bus: Mutex<VecDeque<Message>>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, Entries> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, message: Message) {
        self.bus.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
    }
}

/// wasmCloud with one workload. Messages can be handed in from several threads at once.
pub struct WasmCloudWorld {
    engine: Engine,
    linker: Linker<Guest>,
    shared: Arc<Shared>,
    settings: Settings,
    runtime: Runtime,
}

impl fmt::Debug for WasmCloudWorld {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("WasmCloudWorld").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A component, compiled.
#[derive(Clone)]
pub struct Loaded {
    pre: InstancePre<Guest>,
    /// The component's own configuration.
    pub config: BTreeMap<String, String>,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Loaded").field("config", &self.config).finish_non_exhaustive()
    }
}

impl WasmCloudWorld {
    /// A workload whose rows lie in the settings' database.
    ///
    /// # Errors
    /// When the engine cannot be set up, or the database's URL is none.
    pub fn open(settings: Settings) -> wasmtime::Result<Self> {
        let (engine, mut linker) = wheeltapper_worlds::open()?;
        interfaces::link(&mut linker)?;
        Self::on(engine, linker, settings)
    }

    /// Another workload on the same host, for which what was loaded here is compiled already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn beside(&self, settings: Settings) -> wasmtime::Result<Self> {
        Self::on(self.engine.clone(), self.linker.clone(), settings)
    }

    fn on(engine: Engine, linker: Linker<Guest>, settings: Settings) -> wasmtime::Result<Self> {
        let pool = Pool::new(&settings.postgres).context("the database's URL")?;
        let shared = Shared { pool, state: Mutex::default(), bus: Mutex::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { engine, linker, shared: Arc::new(shared), settings, runtime })
    }

    /// Compiles a component and checks that this world has all that it imports.
    ///
    /// # Errors
    /// When it is not there, no component, or imports what wasmCloud does not have.
    pub fn load(&self, path: &Path) -> wasmtime::Result<Loaded> {
        let pre = wheeltapper_worlds::load(&self.linker, path)?;
        Ok(Loaded { pre, config: BTreeMap::new() })
    }

    fn store(&self, loaded: &Loaded, kill_after: Option<u32>) -> Store<Guest> {
        let mut config = self.settings.config.clone();
        config.extend(loaded.config.clone());
        Store::new(&self.engine, Guest::new(Arc::clone(&self.shared), config, kill_after))
    }

    /// Hands a message to a fresh instance. With `kill_after` the instance is lost at so many calls of the host.
    ///
    /// # Errors
    /// When the instance is lost, or in the component's own words when it refuses.
    pub fn message(&self, loaded: &Loaded, message: &Message, kill_after: Option<u32>) -> wasmtime::Result<()> {
        self.runtime.block_on(self.deliver(loaded, message.clone(), kill_after))
    }

    async fn deliver(&self, loaded: &Loaded, message: Message, kill_after: Option<u32>) -> wasmtime::Result<()> {
        let mut store = self.store(loaded, kill_after);
        let instance = PlatformPre::new(loaded.pre.clone())?.instantiate_async(&mut store).await?;
        let Message { subject, body } = message;
        let answer = store
            .run_concurrent(async |accessor| {
                let body = accessor.with(|mut access| StreamReader::new(&mut access, body))?;
                let message = BrokerMessage { subject, body, reply_to: None };
                instance.wasmcloud_messaging0_3_0_handler().call_handle_message(accessor, message).await
            })
            .await??;
        answer.map_err(|error| format_err!("the component answered {error:?}"))
    }

    /// What components published since this was last asked.
    pub fn published(&self) -> Vec<Message> {
        self.shared.bus.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Rows of the workload's database.
    ///
    /// # Errors
    /// In PostgreSQL's words.
    pub fn rows(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> wasmtime::Result<Vec<Row>> {
        self.runtime.block_on(async {
            let client = self.shared.pool.client().await?;
            let rows = client.query(statement, parameters).await.with_context(|| statement.to_owned())?;
            self.shared.pool.give_back(client);
            Ok(rows)
        })
    }

    /// Hands a request to a fresh instance.
    ///
    /// # Errors
    /// When the instance is lost, or gives no answer.
    pub fn http(
        &self,
        loaded: &Loaded,
        request: http::Request<Vec<u8>>,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<http::Response<Vec<u8>>> {
        let store = self.store(loaded, kill_after);
        self.runtime.block_on(wheeltapper_worlds::respond(store, loaded.pre.clone(), request))
    }
}
