//! The API: the component `components/api`, served by this host, and the host functions that it calls.
//!
//! The component gets WASI, HTTP and the interface `line-api`, nothing else; it cannot reach the network or the disk.
//! An instance answers one request at a time and is reused for the next. The component does not check what a caller may
//! see: the host's side of `line-api` leaves out the rows of other sites.

mod actions;
mod admission;
mod bindings;
mod caller;
mod errors;
pub(crate) mod history;
mod instance;
mod instance_state;
mod queries;
mod query_service;
mod request_checks;
mod score_sample;
mod scorer_pool;

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::components;
use admission::{Admission, thread_count};
pub use caller::{ActionLog, ActionOutcome, Caller};
use instance::Instance;
use instance_state::InstanceState;
pub use query_service::QueryService;
use request_checks::{busy_response, ensure_host, set_permissions, timeout_response};

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/api.wasm"));
/// The maximum number of idle instances that are kept for the next request.
const MAX_IDLE_INSTANCES: usize = 4;
/// The maximum number of threads that read the store, or decode a sample.
const MAX_BLOCKING_THREADS: usize = 8;

/// Answers requests with instances of the component.
pub struct Api {
    proxy: ProxyPre<InstanceState>,
    query_service: Arc<QueryService>,
    environment: Vec<(String, String)>,
    idle: Mutex<Vec<Instance>>,
    admission: Admission,
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
    pub fn load(query_service: Arc<QueryService>, origins: &[String]) -> anyhow::Result<Self> {
        let host = query_service.host();
        let engine = host.sandbox().engine();
        let component = components::load_or_compile(engine, &host.cache_folder(), "api", COMPONENT)
            .context("loading the component of the API")?;
        let mut linker: Linker<InstanceState> = Linker::new(engine);
        let link = |linker: &mut Linker<InstanceState>| -> wasmtime::Result<ProxyPre<InstanceState>> {
            components::wasi::link_async(linker)?;
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
            .worker_threads(thread_count())
            .thread_name("api")
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_time()
            .build()
            .context("starting the threads of the API")?;
        let admission = Admission::new(thread_count());
        Ok(Self { proxy, query_service, environment, idle: Mutex::default(), admission, threads: Some(runtime) })
    }

    /// Answers a request of `caller`.
    ///
    /// # Errors
    /// If the component traps or needs more memory than its limit; the next request gets a new instance. An instance
    /// that exceeded its deadline is replaced as well, but its request is answered.
    pub async fn handle(
        self: Arc<Self>,
        caller: Caller,
        mut request: Request<Bytes>,
    ) -> anyhow::Result<Response<Bytes>> {
        if let Err(rejection) = ensure_host(&mut request) {
            return Ok(*rejection);
        }
        set_permissions(&caller, &mut request);
        let Ok(permit) = self.admission.admit().await else { return Ok(busy_response()) };
        let api = Arc::clone(&self);
        let threads = self.threads.as_ref().context("the host is stopping")?;
        // The component computes and the store is read: neither may run on a thread that serves sockets.
        let task = threads.spawn(async move {
            let idle = api.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut instance = match idle {
                Some(instance) => instance,
                None => {
                    Instance::new(&api.proxy, InstanceState::new(Arc::clone(&api.query_service), &api.environment))
                        .await?
                }
            };
            let path = request.uri().path().to_owned();
            let response = match instance.answer(caller, permit, request).await {
                Err(_) if instance.is_late() => {
                    tracing::warn!(path, "the API's component was stopped because the response took too long");
                    return Ok(timeout_response());
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
