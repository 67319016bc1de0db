//! Spin's interfaces.

mod bus;
mod key_value;
mod sqlite;
mod variables;

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "platform",
        imports: { default: trappable },
        with: {
            "fermyon:spin/sqlite.connection": crate::interfaces::sqlite::Database,
            "fermyon:spin/redis.connection": crate::interfaces::bus::RedisConnection,
            "fermyon:spin/mqtt.connection": crate::interfaces::bus::MqttConnection,
            "fermyon:spin/key-value.store": crate::interfaces::key_value::Bucket,
            "wasi:keyvalue/store.bucket": crate::interfaces::key_value::Bucket,
            "wasi:keyvalue/atomics.cas": crate::interfaces::key_value::CompareAndSwap,
        },
    });
}

use wasmtime::component::{HasSelf, Linker};
use wheeltapper_test_hosts::AnyState;

use crate::host_state::HostState;

/// Adds all interfaces to the linker.
pub(crate) fn link(linker: &mut Linker<AnyState>) -> wasmtime::Result<()> {
    bindings::Platform::add_to_linker::<_, HasSelf<HostState>>(linker, AnyState::platform)
}
