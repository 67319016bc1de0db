//! The state that every instance has.

use std::fmt;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// Denies all outgoing requests: our components send none.
#[derive(Debug)]
struct Closed;

type Sent = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answered = Result<(http::Response<WasiBody>, Sent), Error>;

impl WasiHttpHooks for Closed {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Sent,
    ) -> Box<dyn Future<Output = Answered> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// WASI and HTTP state, and the number of calls until the instance is killed.
pub struct Instance {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    closed: Closed,
    /// The resources of the instance.
    pub table: ResourceTable,
    /// The number of calls of the host after which the instance is killed. `None`: never.
    lives: Option<u32>,
}

impl Instance {
    /// Creates the state of an instance that is killed after `lives` calls of the host. `None`: never.
    pub fn new(wasi: WasiCtx, lives: Option<u32>) -> Self {
        Self { wasi, http: WasiHttpCtx::new(), closed: Closed, table: ResourceTable::new(), lives }
    }

    /// Counts a call of the host.
    ///
    /// # Errors
    /// A trap after the last call, as if the host were killed.
    pub fn live(&mut self) -> wasmtime::Result<()> {
        match &mut self.lives {
            Some(0) => Err(wasmtime::Error::msg("the instance was killed")),
            Some(lives) => {
                *lives -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Instance").field("lives", &self.lives).finish_non_exhaustive()
    }
}

impl WasiView for Instance {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Instance {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.closed, table: &mut self.table, ctx: &mut self.http }
    }
}
