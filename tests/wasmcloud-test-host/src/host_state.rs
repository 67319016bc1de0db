//! The state of an instance.

use std::{collections::BTreeMap, fmt, sync::Arc};

use wasmtime_wasi::WasiCtx;
use wheeltapper_test_hosts::{InstanceState, PlatformState};

use crate::host::SharedState;

/// The state that the host keeps for one instance.
pub(crate) struct HostState {
    pub(crate) instance: InstanceState,
    pub(crate) shared: Arc<SharedState>,
    /// The component's configuration, merged over the workload's.
    pub(crate) config: BTreeMap<String, String>,
}

impl HostState {
    pub(crate) fn new(shared: Arc<SharedState>, config: BTreeMap<String, String>, kill_after: Option<u32>) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        Self { instance: InstanceState::new(wasi.build(), kill_after), shared, config }
    }
}

impl fmt::Debug for HostState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HostState").finish_non_exhaustive()
    }
}

impl PlatformState for HostState {
    fn instance(&mut self) -> &mut InstanceState {
        &mut self.instance
    }
}
