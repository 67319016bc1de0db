//! Runs components in wasmtime.

use std::{fs, path::Path};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, InstancePre, Linker},
    error::Context as _,
    format_err,
};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

/// Creates an engine, and a linker with WASI 0.2 and HTTP.
///
/// # Errors
/// If they cannot be set up.
pub fn engine_and_linker<T: WasiView + WasiHttpView + 'static>() -> wasmtime::Result<(Engine, Linker<T>)> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok((engine, linker))
}

/// Compiles a component and checks that the linker has all its imports.
///
/// # Errors
/// If the file is missing, is not a component, or imports something that the linker does not have.
pub fn load_component<T: 'static>(linker: &Linker<T>, path: &Path) -> wasmtime::Result<InstancePre<T>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}; run `cargo xtask compose`", path.display()))?;
    let component = Component::new(linker.engine(), bytes).with_context(|| format!("compiling {}", path.display()))?;
    linker.instantiate_pre(&component).with_context(|| format!("linking {}", path.display()))
}

/// Passes a request to a new instance in `store` and returns the response.
///
/// # Errors
/// If the instance traps or sends no response.
pub async fn handle_request<T: WasiHttpView + 'static>(
    mut store: Store<T>,
    pre: InstancePre<T>,
    request: http::Request<Vec<u8>>,
) -> wasmtime::Result<http::Response<Vec<u8>>> {
    let proxy = ProxyPre::new(pre)?.instantiate_async(&mut store).await?;
    let request = request
        .map(|body| Full::new(Bytes::from(body)).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let task = tokio::spawn(async move { proxy.wasi_http_incoming_handler().call_handle(store, request, out).await });
    let response = match receiver.await {
        Ok(response) => response.map_err(|error| format_err!("the component returned the error {error:?}"))?,
        Err(_) => {
            task.await??;
            return Err(format_err!("the component sent no response"));
        }
    };
    let (parts, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|error| format_err!("the response body is incomplete: {error:?}"))?
        .to_bytes()
        .to_vec();
    task.await??;
    Ok(http::Response::from_parts(parts, body))
}
