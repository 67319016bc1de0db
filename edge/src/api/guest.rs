//! What an instance of the component has: WASI, HTTP, a limited memory, and the desk that it asks.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{ResourceLimiter, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};
use wheeltapper_front::{Change, Deed};

use super::{desk::Desk, turns::Turn};
use crate::intake::sites::lies;

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
pub(super) mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "api",
        imports: { default: async },
        with: { "wheeltapper:pipeline/types": crate::components::wit::types },
    });
}

use bindings::wheeltapper::pipeline::front::{self, Deed as Asked};

/// Bytes of linear memory that an instance may have.
const MEMORY: usize = 512 << 20;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name that stands beside what is done.
    pub actor: String,
    /// Sites that may be seen; none: all.
    pub sites: Option<Vec<String>>,
    /// Whether they may look and no more: GraphQL's route alone does not tell who may change things by it.
    pub read_only: bool,
    /// Where what they do is noted.
    pub deeds: Deeds,
}

/// What was done on a request, for the audit: a GraphQL request does not tell by its looks.
#[derive(Clone, Debug, Default)]
pub struct Deeds(Arc<Mutex<Vec<Done>>>);

/// Something that somebody did, or tried.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its name.
    pub deed: &'static str,
    /// What it was done to.
    pub target: String,
    /// What was said with it: a comment, or what is to be changed.
    pub text: String,
    /// Whether it came to pass.
    pub done: bool,
}

impl Deeds {
    fn note(&self, done: Done) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    /// All so far, which are forgotten.
    pub fn take(&self) -> Vec<Done> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Caller {
    /// Whether an asset lies at a site that may be seen.
    pub fn sees(&self, asset: &str) -> bool {
        self.sites.as_ref().is_none_or(|sites| lies(asset, sites))
    }
}

/// What an instance has.
pub(super) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    closed: Closed,
    table: ResourceTable,
    desk: Arc<Desk>,
    pub(super) memory: Memory,
    /// Ticks of the deadline clock that it has computed for this answer.
    pub(super) ticks: u64,
    /// Whose request is being answered.
    pub(super) caller: Caller,
    /// The turn that it is answered in; dropped with the answer.
    pub(super) turn: Option<Turn>,
}

impl Guest {
    pub(super) fn new(desk: Arc<Desk>, environment: &[(String, String)]) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        for (name, value) in environment {
            wasi.env(name, value);
        }
        Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            closed: Closed,
            table: ResourceTable::new(),
            desk,
            memory: Memory::default(),
            ticks: 0,
            caller: Caller::default(),
            turn: None,
        }
    }
}

/// Lets others compute while the line takes long.
async fn waited<T>(turn: &mut Option<Turn>, answer: impl Future<Output = T>) -> T {
    match turn {
        Some(turn) => turn.while_waiting(answer).await,
        None => answer.await,
    }
}

impl front::Host for Guest {
    async fn submit(&mut self, event: front::Submission) -> Result<front::Receipt, front::FrontError> {
        waited(&mut self.turn, self.desk.submit(&self.caller, event)).await
    }

    async fn look(&mut self, table: front::Table, filter: front::Filter) -> Result<String, front::FrontError> {
        waited(&mut self.turn, self.desk.look(&self.caller, table, filter)).await
    }

    async fn tick(&mut self, _now: i64) -> Result<(), front::FrontError> {
        Err(front::FrontError::Invalid("this host's own timer ticks".into()))
    }

    async fn act(&mut self, change: front::Change) -> Result<String, front::FrontError> {
        let front::Change { deed, id, text, now } = change;
        let change = Change { deed: wheeltapper_front::deed!(deed, Asked => Deed), id, text, now };
        let mut done =
            Done { deed: change.deed.name(), target: change.id.clone(), text: change.text.clone(), done: false };
        let result = if self.caller.read_only {
            let text = format!("{} may only look; ask an admin for the role operator", self.caller.actor);
            Err(front::FrontError::Conflict(text))
        } else {
            waited(&mut self.turn, self.desk.act(&self.caller, change)).await
        };
        done.done = result.is_ok();
        self.caller.deeds.note(done);
        result
    }

    async fn detect(&mut self, sample: front::Sample) -> Result<front::Verdict, front::FrontError> {
        waited(&mut self.turn, self.desk.detect(&self.caller, sample)).await
    }
}

// The interface has types only.
impl crate::components::wit::types::Host for Guest {}

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

/// The component sends no requests: none is allowed to.
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

/// Counts the memory and refuses what is too much.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held: usize,
}

impl Memory {
    pub(super) fn held(&self) -> usize {
        self.held
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let held = self.held - current.min(self.held) + desired;
        if held > MEMORY {
            return Ok(false);
        }
        self.held = held;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired < 100_000)
    }
}
