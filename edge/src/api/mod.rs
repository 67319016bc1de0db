//! The API: the component `components/api`, served by this host, and what it finds behind it.
//!
//! The component gets WASI, HTTP and the interface `front`, nothing else; it cannot reach the network or the disk. An
//! instance answers one request at a time and is used again for the next. What a caller may see is not its business: the
//! host's side of `front` leaves out what lies at other sites.

mod act;
mod desk;
mod detect;
mod guest;
pub(crate) mod history;
mod instance;
mod look;
mod turn_away;
mod turns;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::components;
pub use desk::Desk;
pub use guest::{Caller, Deeds, Done};
use guest::{Guest, bindings};
use instance::Instance;
use turn_away::{addressed, permitted, saturated, too_slow};
use turns::{Turns, threads};

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/api.wasm"));
/// Instances that wait for the next request.
const IDLE: usize = 4;
/// Threads that read the store, or decode a sample.
const READING: usize = 8;

/// Answers requests with instances of the component.
pub struct Api {
    proxy: ProxyPre<Guest>,
    desk: Arc<Desk>,
    environment: Vec<(String, String)>,
    idle: Mutex<Vec<Instance>>,
    turns: Turns,
    threads: Option<Runtime>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Compiles the component, or takes it from the cache, and links it to the host.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn load(desk: Arc<Desk>, origins: &[String]) -> anyhow::Result<Self> {
        let host = desk.host();
        let engine = host.sandbox().engine();
        let component = components::compiled(engine, &host.cache(), "api", COMPONENT)
            .context("loading the component of the API")?;
        let mut linker: Linker<Guest> = Linker::new(engine);
        let link = |linker: &mut Linker<Guest>| -> wasmtime::Result<ProxyPre<Guest>> {
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
            bindings::Api::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |guest| guest)?;
            ProxyPre::new(linker.instantiate_pre(&component)?)
        };
        let proxy =
            link(&mut linker).map_err(|error| anyhow::anyhow!("linking the component of the API: {error:#}"))?;
        let environment = vec![
            ("WHEELTAPPER_HOST".to_owned(), "edge".to_owned()),
            ("WHEELTAPPER_CORS_ORIGINS".to_owned(), origins.join(",")),
        ];
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads())
            .thread_name("api")
            .max_blocking_threads(READING)
            .enable_time()
            .build()
            .context("starting the threads of the API")?;
        let turns = Turns::new(threads());
        Ok(Self { proxy, desk, environment, idle: Mutex::default(), turns, threads: Some(runtime) })
    }

    /// The answer to a request of `caller`.
    ///
    /// # Errors
    /// When the component traps or wants more memory than it may have; the next request gets a fresh instance. So it does
    /// after one that ran past its deadline, which is answered.
    pub async fn answer(
        self: Arc<Self>,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> anyhow::Result<Response<Bytes>> {
        if let Err(refusal) = addressed(&mut request) {
            return Ok(*refusal);
        }
        permitted(&caller, &mut request);
        let Ok(turn) = self.turns.take().await else { return Ok(saturated()) };
        let api = Arc::clone(&self);
        let threads = self.threads.as_ref().context("the host is stopping")?;
        // The component computes and the store is read: neither belongs on a thread that serves sockets.
        let answered = threads.spawn(async move {
            let idle = api.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut instance = match idle {
                Some(instance) => instance,
                None => Instance::new(&api.proxy, Guest::new(Arc::clone(&api.desk), &api.environment)).await?,
            };
            let path = request.uri().path().to_owned();
            let response = match instance.answer(caller, turn, request).await {
                Err(_) if instance.is_late() => {
                    tracing::warn!(path, "the API's component was stopped: the answer took too long");
                    return Ok(too_slow());
                }
                answered => answered?,
            };
            let mut idle = api.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE && !instance.is_worn() {
                idle.push(instance);
            }
            Ok(response)
        });
        answered.await?.map_err(|error: wasmtime::Error| anyhow::anyhow!("{error:#}"))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // Not waiting: this may run on a thread that must not.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
