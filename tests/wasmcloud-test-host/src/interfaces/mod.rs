//! wasmCloud's interfaces.

mod bus;
mod config;
mod key_value;
mod postgres;

/// Bindings generated from the adapter's WIT.
#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../components/on-wasmcloud/wit",
        inline: "
            package wheeltapper:wasmcloud-test-host;

            world platform {
                import wasi:config/store@0.2.0-rc.1;
                import wasmcloud:postgres/query@0.1.1-draft;
                import wasmcloud:keyvalue/store@0.2.0;
                import wasmcloud:keyvalue/atomics@0.2.0;
                import wasmcloud:keyvalue/cas@0.2.0;
                import wasmcloud:messaging/consumer@0.2.0;
                import wasmcloud:messaging/consumer@0.3.0;
                export wasmcloud:messaging/handler@0.3.0;
            }
        ",
        world: "wheeltapper:wasmcloud-test-host/platform",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "wasmcloud:keyvalue/types.bucket": crate::interfaces::key_value::Bucket },
    });
}

use wasmtime::component::{HasData, Linker};
use wheeltapper_test_hosts::AnyState;

use crate::host_state::HostState;

/// Gives wasmtime access to the state of an instance.
#[derive(Debug)]
pub(crate) struct HostStateView;

impl HasData for HostStateView {
    type Data<'a> = &'a mut HostState;
}

/// Adds all interfaces to the linker.
pub(crate) fn link(linker: &mut Linker<AnyState>) -> wasmtime::Result<()> {
    bindings::Platform::add_to_linker::<_, HostStateView>(linker, AnyState::platform)
}
