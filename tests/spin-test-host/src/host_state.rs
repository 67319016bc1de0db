//! The state of an instance.

use std::{collections::BTreeMap, fmt, sync::Arc};

use wasmtime_wasi::WasiCtx;
use wheeltapper_test_hosts::{InstanceState, PlatformState};

use crate::host::{DataFiles, Settings};

/// The state that the host keeps for one instance.
pub(crate) struct HostState {
    pub(crate) instance: InstanceState,
    pub(crate) files: Arc<DataFiles>,
    pub(crate) settings: Arc<Settings>,
    /// The component's variables, merged over the application's.
    pub(crate) variables: BTreeMap<String, String>,
}

impl HostState {
    pub(crate) fn new(
        files: Arc<DataFiles>,
        settings: Arc<Settings>,
        variables: BTreeMap<String, String>,
        kill_after: Option<u32>,
    ) -> wasmtime::Result<Self> {
        let mut wasi = WasiCtx::builder();
        wasi.inherit_stderr();
        for (name, value) in &settings.environment {
            wasi.env(name, value);
        }
        if let Some(folder) = &settings.mounted_folder {
            wasi.preopened_dir(folder, "/", wasmtime_wasi::FsPerms::ReadOnly)?;
        }
        Ok(Self { instance: InstanceState::new(wasi.build(), kill_after), files, settings, variables })
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
