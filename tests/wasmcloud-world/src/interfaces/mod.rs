//! wasmCloud's interfaces.

mod bus;
mod config;
mod query;
mod state;

/// Bindings generated from the adapter's WIT.
#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../components/on-wasmcloud/wit",
        inline: "
            package wheeltapper:wasmcloud-world;

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
        world: "wheeltapper:wasmcloud-world/platform",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "wasmcloud:keyvalue/types.bucket": crate::interfaces::state::Bucket },
    });
}

use wasmtime::component::{HasData, Linker};

use crate::guest::Guest;

/// Tells wasmtime how to find the state of an instance.
#[derive(Debug)]
pub(crate) struct View;

impl HasData for View {
    type Data<'a> = &'a mut Guest;
}

/// Adds all interfaces to the linker.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::Platform::add_to_linker::<Guest, View>(linker, |guest| guest)
}
