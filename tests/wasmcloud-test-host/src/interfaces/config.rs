//! `wasi:config/store`.

use super::bindings::wasi::config::store::{Error, Host};
use crate::host_state::HostState;

impl Host for &mut HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        self.instance.count_call()?;
        Ok(Ok(self.config.get(&key).cloned()))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        self.instance.count_call()?;
        Ok(Ok(self.config.clone().into_iter().collect()))
    }
}
