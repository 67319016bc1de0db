//! One instance of the component, and how it answers a request.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::oneshot;
use wasmtime::{Store, UpdateDeadline, error::Context as _};
use wasmtime_wasi_http::{
    WasiHttpView as _,
    p2::bindings::{Proxy, ProxyPre, http::types::Scheme},
};

use super::{admission::ComputePermit, caller::Caller, instance_state::InstanceState};

/// The number of ticks of the engine's deadline clock (10 ms each) that a request may compute for.
const MAX_TICKS: u64 = 500;
/// An instance is replaced after this many requests,
const MAX_REQUESTS: u32 = 10_000;
/// or when its memory has grown past this, in bytes.
const MAX_RETAINED_BYTES: usize = 48 << 20;

pub(super) struct Instance {
    store: Store<InstanceState>,
    proxy: Proxy,
    requests: u32,
}

impl Instance {
    pub(super) async fn new(proxy: &ProxyPre<InstanceState>, state: InstanceState) -> wasmtime::Result<Self> {
        let mut store = Store::new(proxy.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_epoch_deadline(1);
        // At each tick other requests get their turn on this thread.
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.ticks += 1;
            if state.ticks > MAX_TICKS {
                return Err(wasmtime::Error::msg("the response took too long"));
            }
            Ok(match &state.permit {
                Some(permit) => UpdateDeadline::YieldCustom(1, permit.yield_permit()),
                None => UpdateDeadline::Yield(1),
            })
        });
        let proxy = proxy.instantiate_async(&mut store).await?;
        Ok(Self { store, proxy, requests: 0 })
    }

    /// Whether the instance should be replaced: it never releases memory that it once allocated.
    pub(super) fn is_worn(&self) -> bool {
        self.requests >= MAX_REQUESTS || self.store.data().memory.used_bytes() > MAX_RETAINED_BYTES
    }

    /// Whether the request computed for longer than allowed and was stopped.
    pub(super) fn is_late(&self) -> bool {
        self.store.data().ticks > MAX_TICKS
    }

    pub(super) async fn answer(
        &mut self,
        caller: Caller,
        permit: ComputePermit,
        request: Request<Bytes>,
    ) -> wasmtime::Result<Response<Bytes>> {
        self.store.data_mut().permit = Some(permit);
        let result = self.call_component(caller, request).await;
        self.store.data_mut().permit = None;
        result
    }

    async fn call_component(&mut self, caller: Caller, request: Request<Bytes>) -> wasmtime::Result<Response<Bytes>> {
        self.requests += 1;
        let Self { store, proxy, .. } = self;
        store.data_mut().ticks = 0;
        store.data_mut().caller = caller;
        let request =
            request.map(|body| Full::new(body).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
        let (sender, receiver) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let call = pin!(proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out));
        // The component writes the body while it runs, and only as fast as the body is read.
        let response = pin!(async {
            let answer = receiver.await.context("the component returned no response")?;
            let response =
                answer.map_err(|error| wasmtime::Error::msg(format!("the component returned an error: {error:?}")))?;
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| wasmtime::Error::msg(format!("the response body ended early: {error:?}")))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        });
        match select(call, response).await {
            Either::Left((called, response)) => {
                called?;
                response.await
            }
            Either::Right((result, call)) => {
                call.await?;
                result
            }
        }
    }
}
