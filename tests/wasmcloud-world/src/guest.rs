//! The state of an instance.

use std::{collections::BTreeMap, fmt, sync::Arc};

use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};
use wheeltapper_worlds::Instance;

use crate::world::Shared;

/// The state that the host keeps for one instance.
pub(crate) struct Guest {
    pub(crate) instance: Instance,
    pub(crate) shared: Arc<Shared>,
    /// The component's configuration, merged over the workload's.
    pub(crate) config: BTreeMap<String, String>,
}

impl Guest {
    pub(crate) fn new(shared: Arc<Shared>, config: BTreeMap<String, String>, lives: Option<u32>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        Self { instance: Instance::new(wasi.build(), lives), shared, config }
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.instance.ctx()
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.instance.http()
    }
}
