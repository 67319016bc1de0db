//! `fermyon:spin/variables`.

use super::bindings::fermyon::spin::variables::{Error, Host};
use crate::guest::Guest;

impl Host for Guest {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error>> {
        self.instance.live()?;
        let value = self.variables.get(&name).cloned();
        Ok(value.ok_or_else(|| Error::Undefined(format!("no variable for \"{name}\" in the component's table"))))
    }
}
