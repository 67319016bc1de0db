//! The host.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use rusqlite::Connection;
use wasmtime::{
    Config, Engine, Store,
    component::{Component, InstancePre, Linker},
    error::Context as _,
    format_err,
};
use wasmtime_wasi_http::{
    WasiHttpView as _,
    p2::bindings::{ProxyPre, http::types::Scheme},
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
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
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
        let bytes = fs::read(path).with_context(|| format!("reading {}; run `cargo xtask compose`", path.display()))?;
        let component = Component::new(&self.engine, bytes).with_context(|| format!("compiling {}", path.display()))?;
        let pre = self.linker.instantiate_pre(&component).with_context(|| format!("linking {}", path.display()))?;
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
        block_on(self.respond(loaded, request))?
    }

    async fn respond(
        &self,
        loaded: &Loaded,
        request: http::Request<Vec<u8>>,
    ) -> wasmtime::Result<http::Response<Vec<u8>>> {
        let mut store = self.store(loaded, None)?;
        let proxy = ProxyPre::new(loaded.pre.clone())?.instantiate_async(&mut store).await?;
        let request = request
            .map(|body| Full::new(Bytes::from(body)).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let task =
            tokio::spawn(async move { proxy.wasi_http_incoming_handler().call_handle(store, request, out).await });
        let response = match receiver.await {
            Ok(answer) => answer.map_err(|error| format_err!("the component answered {error:?}"))?,
            Err(_) => {
                task.await??;
                return Err(format_err!("the component gave no answer"));
            }
        };
        let (parts, body) = response.into_parts();
        let body =
            body.collect().await.map_err(|error| format_err!("the body broke off: {error:?}"))?.to_bytes().to_vec();
        task.await??;
        Ok(http::Response::from_parts(parts, body))
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
