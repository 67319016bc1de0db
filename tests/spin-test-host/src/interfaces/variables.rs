//! `fermyon:spin/variables`.

use super::bindings::fermyon::spin::variables::{Error, Host};
use crate::host_state::HostState;

impl Host for HostState {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        self.instance.count_call()?;
        let value = self.variables.get(&name).cloned();
        Ok(value.ok_or_else(|| Error::Undefined(format!("no variable for \"{name}\" in the component's table"))))
    }
}
