//! Runs components in wasmtime.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    sync::{LazyLock, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, InstancePre, Linker},
    error::Context as _,
    format_err,
};
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::bindings::{ProxyPre, http::types::Scheme},
};

use crate::AnyState;

/// The engine of all hosts of this process, and the components that it has compiled, by their bytes: the API takes ten
/// seconds of CPU time.
struct Compiler {
    engine: Engine,
    compiled: Mutex<HashMap<Vec<u8>, Component>>,
}

impl Compiler {
    /// # Errors
    /// If the engine cannot be set up.
    fn shared() -> wasmtime::Result<&'static Self> {
        static COMPILER: LazyLock<wasmtime::Result<Compiler>> = LazyLock::new(|| {
            let mut config = Config::new();
            config.wasm_component_model_async(true);
            Ok(Compiler { engine: Engine::new(&config)?, compiled: Mutex::default() })
        });
        COMPILER.as_ref().map_err(|error| format_err!("setting up the engine: {error:#}"))
    }

    /// # Errors
    /// If the bytes are not a component.
    fn compile(&self, bytes: Vec<u8>) -> wasmtime::Result<Component> {
        // Others wait while a component is compiled: they may need the same one.
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(component) = compiled.get(&bytes) {
            return Ok(component.clone());
        }
        let component = Component::new(&self.engine, &bytes)?;
        compiled.insert(bytes, component.clone());
        Ok(component)
    }
}

/// Returns the engine of this process, and a linker with WASI 0.2 and HTTP.
///
/// # Errors
/// If they cannot be set up.
pub fn engine_and_linker() -> wasmtime::Result<(Engine, Linker<AnyState>)> {
    let engine = Compiler::shared()?.engine.clone();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok((engine, linker))
}

/// Compiles a component, once in this process, and checks that the linker has all its imports.
///
/// # Errors
/// If the file is missing, is not a component, or imports something that the linker does not have.
pub fn load_component(linker: &Linker<AnyState>, path: &Path) -> wasmtime::Result<InstancePre<AnyState>> {
    let bytes = fs::read(path).with_context(|| format!("reading {}; run `cargo xtask compose`", path.display()))?;
    let component = Compiler::shared()?.compile(bytes).with_context(|| format!("compiling {}", path.display()))?;
    linker.instantiate_pre(&component).with_context(|| format!("linking {}", path.display()))
}

/// Passes a request to a new instance in `store` and returns the response.
///
/// # Errors
/// If the instance traps or sends no response.
pub async fn handle_request(
    mut store: Store<AnyState>,
    pre: InstancePre<AnyState>,
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
