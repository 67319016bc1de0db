//! The state of an instance of the component: WASI, HTTP, a memory limit, and the service behind its host functions.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use wheeltapper_line_api::{Action, ActionRequest};

use super::{
    admission::ComputePermit,
    bindings::wheeltapper::pipeline::line_api::{self, Action as WitAction},
    caller::{ActionOutcome, Caller},
    query_service::QueryService,
};

/// The maximum linear memory of an instance, in bytes.
const MAX_MEMORY_BYTES: usize = 512 << 20;

/// The state of an instance.
pub(super) struct InstanceState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing_http: NoOutgoingHttp,
    table: ResourceTable,
    query_service: Arc<QueryService>,
    pub(super) memory: MemoryLimiter,
    /// Ticks of the deadline clock that the current request has computed for.
    pub(super) ticks: u64,
    /// The caller of the current request.
    pub(super) caller: Caller,
    /// The permit to compute; dropped with the response.
    pub(super) permit: Option<ComputePermit>,
}

impl InstanceState {
    pub(super) fn new(query_service: Arc<QueryService>, environment: &[(String, String)]) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        for (name, value) in environment {
            wasi.env(name, value);
        }
        Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outgoing_http: NoOutgoingHttp,
            table: ResourceTable::new(),
            query_service,
            memory: MemoryLimiter::default(),
            ticks: 0,
            caller: Caller::default(),
            permit: None,
        }
    }
}

/// Waits for the line; if that takes long, others may compute meanwhile.
async fn release_while_waiting<T>(permit: &mut Option<ComputePermit>, answer: impl Future<Output = T>) -> T {
    match permit {
        Some(permit) => permit.release_while(answer).await,
        None => answer.await,
    }
}

impl line_api::Host for InstanceState {
    async fn submit(&mut self, event: line_api::Submission) -> Result<line_api::Receipt, line_api::LineApiError> {
        release_while_waiting(&mut self.permit, self.query_service.submit(&self.caller, event)).await
    }

    async fn query(
        &mut self,
        table: line_api::Table,
        filter: line_api::Filter,
    ) -> Result<String, line_api::LineApiError> {
        release_while_waiting(&mut self.permit, self.query_service.query(&self.caller, table, filter)).await
    }

    async fn tick(&mut self, _now: i64) -> Result<(), line_api::LineApiError> {
        Err(line_api::LineApiError::Invalid("this host has its own timer and accepts no ticks".into()))
    }

    async fn perform_action(&mut self, request: line_api::ActionRequest) -> Result<String, line_api::LineApiError> {
        let line_api::ActionRequest { action, id, text, now } = request;
        let request =
            ActionRequest { action: wheeltapper_line_api::convert_action!(action, WitAction => Action), id, text, now };
        let mut outcome = ActionOutcome {
            action: request.action.name(),
            target: request.id.clone(),
            text: request.text.clone(),
            succeeded: false,
        };
        let result = if self.caller.read_only {
            let text = format!("{} may only read; ask an admin for the role operator", self.caller.actor);
            Err(line_api::LineApiError::Conflict(text))
        } else {
            release_while_waiting(&mut self.permit, self.query_service.execute(&self.caller, request)).await
        };
        outcome.succeeded = result.is_ok();
        self.caller.actions.record(outcome);
        result
    }

    async fn detect(&mut self, request: line_api::DetectRequest) -> Result<line_api::Verdict, line_api::LineApiError> {
        release_while_waiting(&mut self.permit, self.query_service.score_sample(&self.caller, request)).await
    }
}

// The interface has only types.
impl crate::components::wit::types::Host for InstanceState {}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing_http, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Denies all outgoing requests: the component sends none.
#[derive(Debug)]
struct NoOutgoingHttp;

type BodyResult = Box<dyn Future<Output = Result<(), Error>> + Send>;
type SendResult = Result<(http::Response<WasiBody>, BodyResult), Error>;

impl WasiHttpHooks for NoOutgoingHttp {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _body_result: BodyResult,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// Counts the memory and denies growth beyond the limit.
#[derive(Debug, Default)]
pub(super) struct MemoryLimiter {
    used_bytes: usize,
}

impl MemoryLimiter {
    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used_bytes = self.used_bytes - current.min(self.used_bytes) + desired;
        if used_bytes > MAX_MEMORY_BYTES {
            return Ok(false);
        }
        self.used_bytes = used_bytes;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired < 100_000)
    }
}
