//! One instance of the component, and how it answers.

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

use super::{
    guest::{Caller, Guest},
    turns::Turn,
};

/// Ticks of the engine's deadline clock (10 ms each) that an answer may compute for.
const DEADLINE: u64 = 500;
/// An instance is given up after so many answers,
const ANSWERS: u32 = 10_000;
/// or when its memory has grown past this.
const MEMORY: usize = 48 << 20;

pub(super) struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    answers: u32,
}

impl Instance {
    pub(super) async fn new(proxy: &ProxyPre<Guest>, guest: Guest) -> wasmtime::Result<Self> {
        let mut store = Store::new(proxy.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_epoch_deadline(1);
        // At each tick others get their turn on this thread.
        store.epoch_deadline_callback(|mut context| {
            let guest = context.data_mut();
            guest.ticks += 1;
            if guest.ticks > DEADLINE {
                return Err(wasmtime::Error::msg("the answer took too long"));
            }
            Ok(match &guest.turn {
                Some(turn) => UpdateDeadline::YieldCustom(1, turn.pass_on()),
                None => UpdateDeadline::Yield(1),
            })
        });
        let proxy = proxy.instantiate_async(&mut store).await?;
        Ok(Self { store, proxy, answers: 0 })
    }

    /// Whether it has served long enough: memory that was needed once is never given back.
    pub(super) fn is_worn(&self) -> bool {
        self.answers >= ANSWERS || self.store.data().memory.held() > MEMORY
    }

    /// Whether it computed for longer than it may, and was stopped for that.
    pub(super) fn is_late(&self) -> bool {
        self.store.data().ticks > DEADLINE
    }

    pub(super) async fn answer(
        &mut self,
        caller: Caller,
        turn: Turn,
        request: Request<Bytes>,
    ) -> wasmtime::Result<Response<Bytes>> {
        self.store.data_mut().turn = Some(turn);
        let answered = self.answer_now(caller, request).await;
        self.store.data_mut().turn = None;
        answered
    }

    async fn answer_now(&mut self, caller: Caller, request: Request<Bytes>) -> wasmtime::Result<Response<Bytes>> {
        self.answers += 1;
        let Self { store, proxy, .. } = self;
        store.data_mut().ticks = 0;
        store.data_mut().caller = caller;
        let request =
            request.map(|body| Full::new(body).map_err(|never| -> wasmtime_wasi_http::Error { match never {} }));
        let (sender, receiver) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let out = store.data_mut().http().new_response_outparam(sender)?;
        let calling = pin!(proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out));
        // It writes the body while it is running, and only as far as somebody reads.
        let answering = pin!(async {
            let answer = receiver.await.context("the component gave no answer")?;
            let response = answer.map_err(|error| wasmtime::Error::msg(format!("the component answered {error:?}")))?;
            let (parts, body) = response.into_parts();
            let body =
                body.collect().await.map_err(|error| wasmtime::Error::msg(format!("the body broke off: {error:?}")))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        });
        match select(calling, answering).await {
            Either::Left((called, answering)) => {
                called?;
                answering.await
            }
            Either::Right((answered, calling)) => {
                calling.await?;
                answered
            }
        }
    }
}
