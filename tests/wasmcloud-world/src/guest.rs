//! What one instance has.

use std::{collections::BTreeMap, fmt, sync::Arc};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use crate::world::Shared;

/// No component of ours sends requests: none is allowed to.
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

/// An instance's own.
pub(crate) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    closed: Closed,
    pub(crate) table: ResourceTable,
    pub(crate) shared: Arc<Shared>,
    /// The component's configuration, over the workload's.
    pub(crate) config: BTreeMap<String, String>,
    /// The instance is killed at so many calls of the host from now.
    lives: Option<u32>,
}

impl Guest {
    pub(crate) fn new(shared: Arc<Shared>, config: BTreeMap<String, String>, lives: Option<u32>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        let (wasi, http) = (wasi.build(), WasiHttpCtx::new());
        Self { wasi, http, closed: Closed, table: ResourceTable::new(), shared, config, lives }
    }

    /// Counts a call of the host.
    ///
    /// # Errors
    /// At the last one: a trap, as when the host is killed.
    pub(crate) fn live(&mut self) -> wasmtime::Result<()> {
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

impl fmt::Debug for Guest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.closed, table: &mut self.table, ctx: &mut self.http }
    }
}
