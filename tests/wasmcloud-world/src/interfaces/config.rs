//! `wasi:config/store`.

use super::bindings::wasi::config::store::{Error, Host};
use crate::guest::Guest;

impl Host for &mut Guest {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        self.instance.live()?;
        Ok(Ok(self.config.get(&key).cloned()))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        self.instance.live()?;
        Ok(Ok(self.config.clone().into_iter().collect()))
    }
}
