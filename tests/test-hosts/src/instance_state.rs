//! The state that every instance has.

use std::fmt;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// Denies all outgoing requests, because the components send none.
#[derive(Debug)]
struct DenyOutgoing;

type SendCompletion = Box<dyn Future<Output = Result<(), Error>> + Send>;
type SendResult = Result<(http::Response<WasiBody>, SendCompletion), Error>;

impl WasiHttpHooks for DenyOutgoing {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: SendCompletion,
    ) -> Box<dyn Future<Output = SendResult> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// WASI and HTTP state, and the number of calls until the instance is killed.
pub struct InstanceState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: DenyOutgoing,
    /// The resources of the instance.
    pub table: ResourceTable,
    /// The number of calls of the host after which the instance is killed. `None`: never.
    remaining_calls: Option<u32>,
}

impl InstanceState {
    /// Creates the state of an instance that is killed after `kill_after` calls of the host. `None`: never.
    pub fn new(wasi: WasiCtx, kill_after: Option<u32>) -> Self {
        Self {
            wasi,
            http: WasiHttpCtx::new(),
            hooks: DenyOutgoing,
            table: ResourceTable::new(),
            remaining_calls: kill_after,
        }
    }

    /// Counts a call of the host.
    ///
    /// # Errors
    /// A trap after the last allowed call, as if the instance were killed.
    pub fn count_call(&mut self) -> wasmtime::Result<()> {
        match &mut self.remaining_calls {
            Some(0) => Err(wasmtime::Error::msg("the instance was killed")),
            Some(remaining) => {
                *remaining -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for InstanceState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InstanceState").field("remaining_calls", &self.remaining_calls).finish_non_exhaustive()
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}
