//! The API: the component `components/api`, served by this host, and the host functions that it calls.
//!
//! The component gets WASI, HTTP and the interface `line-api`, nothing else; it cannot reach the network or the disk.
//! An instance answers one request at a time and is reused for the next. The component does not check what a caller may
//! see: the host's side of `line-api` leaves out the rows of other sites.

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
/// The maximum number of idle instances that are kept for the next request.
const MAX_IDLE_INSTANCES: usize = 4;
/// The maximum number of threads that read the store, or decode a sample.
const MAX_BLOCKING_THREADS: usize = 8;

/// Answers requests with instances of the component.
pub struct Api {
    proxy: ProxyPre<Guest>,
    query_service: Arc<Desk>,
    environment: Vec<(String, String)>,
    idle: Mutex<Vec<Instance>>,
    admission: Turns,
    threads: Option<Runtime>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Api").finish_non_exhaustive()
    }
}

impl Api {
    /// Compiles the component, or loads it from the cache, and links it to the host.
    ///
    /// # Errors
    /// If the component cannot be loaded.
    pub fn load(query_service: Arc<Desk>, origins: &[String]) -> anyhow::Result<Self> {
        let host = query_service.host();
        let engine = host.sandbox().engine();
        let component = components::compiled(engine, &host.cache(), "api", COMPONENT)
            .context("loading the component of the API")?;
        let mut linker: Linker<Guest> = Linker::new(engine);
        let link = |linker: &mut Linker<Guest>| -> wasmtime::Result<ProxyPre<Guest>> {
            wasmtime_wasi::p2::add_to_linker_async(linker)?;
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
            bindings::Api::add_to_linker::<_, wasmtime::component::HasSelf<_>>(linker, |state| state)?;
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
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_time()
            .build()
            .context("starting the threads of the API")?;
        let admission = Turns::new(threads());
        Ok(Self { proxy, query_service, environment, idle: Mutex::default(), admission, threads: Some(runtime) })
    }

    /// Answers a request of `caller`.
    ///
    /// # Errors
    /// If the component traps or needs more memory than its limit; the next request gets a new instance. An instance
    /// that exceeded its deadline is replaced as well, but its request is answered.
    pub async fn answer(
        self: Arc<Self>,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> anyhow::Result<Response<Bytes>> {
        if let Err(rejection) = addressed(&mut request) {
            return Ok(*rejection);
        }
        permitted(&caller, &mut request);
        let Ok(permit) = self.admission.take().await else { return Ok(saturated()) };
        let api = Arc::clone(&self);
        let threads = self.threads.as_ref().context("the host is stopping")?;
        // The component computes and the store is read: neither may run on a thread that serves sockets.
        let task = threads.spawn(async move {
            let idle = api.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut instance = match idle {
                Some(instance) => instance,
                None => Instance::new(&api.proxy, Guest::new(Arc::clone(&api.query_service), &api.environment)).await?,
            };
            let path = request.uri().path().to_owned();
            let response = match instance.answer(caller, permit, request).await {
                Err(_) if instance.is_late() => {
                    tracing::warn!(path, "the API's component was stopped because the response took too long");
                    return Ok(too_slow());
                }
                result => result?,
            };
            let mut idle = api.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MAX_IDLE_INSTANCES && !instance.is_worn() {
                idle.push(instance);
            }
            Ok(response)
        });
        task.await?.map_err(|error: wasmtime::Error| anyhow::anyhow!("{error:#}"))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // Does not wait, because this may run on a thread that must not block.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
