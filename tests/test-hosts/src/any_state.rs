//! The state of an instance of any platform.

use std::{any::Any, fmt};

use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::InstanceState;

/// The state that a platform's host keeps for one instance.
pub trait PlatformState: Any + Send {
    /// The part that all platforms have.
    fn instance(&mut self) -> &mut InstanceState;
}

/// The state of an instance of any platform. The functions of WASI and HTTP are compiled for each type of state that a
/// linker has, so all test hosts use this one.
pub struct AnyState(Box<dyn PlatformState>);

impl AnyState {
    /// Wraps the state of a platform.
    pub fn new(state: impl PlatformState) -> Self {
        Self(Box::new(state))
    }

    /// Returns the state of the platform.
    ///
    /// # Panics
    /// If it is of another platform.
    #[allow(clippy::panic, reason = "a test host creates only states of its own")]
    pub fn platform<S: PlatformState>(&mut self) -> &mut S {
        let state: &mut dyn Any = &mut *self.0;
        match state.downcast_mut() {
            Some(state) => state,
            None => panic!("expected the state of a store to be {}", std::any::type_name::<S>()),
        }
    }
}

impl fmt::Debug for AnyState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AnyState").finish_non_exhaustive()
    }
}

impl WasiView for AnyState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.0.instance().ctx()
    }
}

impl WasiHttpView for AnyState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.0.instance().http()
    }
}
