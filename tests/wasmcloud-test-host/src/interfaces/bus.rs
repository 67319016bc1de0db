//! Both versions of `wasmcloud:messaging`. Published messages go to the host's queue.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use wasmtime::{
    StoreContextMut,
    component::{Accessor, Source, StreamConsumer, StreamReader, StreamResult},
};

use super::{
    HostStateView,
    bindings::wasmcloud::{messaging0_2_0 as v0_2, messaging0_3_0 as v0_3},
};
use crate::{host::Message, host_state::HostState};

impl v0_2::types::Host for &mut HostState {}

impl v0_2::consumer::Host for &mut HostState {
    async fn request(
        &mut self,
        _: String,
        _: Vec<u8>,
        _: u32,
    ) -> wasmtime::Result<Result<v0_2::types::BrokerMessage, String>> {
        Ok(Err("this host's bus has no responders".to_owned()))
    }

    async fn publish(&mut self, message: v0_2::types::BrokerMessage) -> wasmtime::Result<Result<(), String>> {
        self.instance.count_call()?;
        self.shared.publish(Message { subject: message.subject, body: message.body });
        Ok(Ok(()))
    }
}

impl v0_3::types::Host for &mut HostState {}
impl v0_3::consumer::Host for &mut HostState {}

impl<T: 'static + Send> v0_3::consumer::HostWithStore<T> for HostStateView {
    async fn request(
        _: &Accessor<T, Self>,
        _: String,
        _: StreamReader<u8>,
        _: Option<u32>,
    ) -> wasmtime::Result<Result<v0_3::types::BrokerMessage, v0_3::types::Error>> {
        Ok(Err(v0_3::types::Error::Other("this host's bus has no responders".to_owned())))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        message: v0_3::types::BrokerMessage,
    ) -> wasmtime::Result<Result<(), v0_3::types::Error>> {
        accessor.with(|mut access| access.get().instance.count_call())?;
        let body = read_body(accessor, message.body).await?;
        accessor.with(|mut access| access.get().shared.publish(Message { subject: message.subject, body }));
        Ok(Ok(()))
    }
}

/// Reads a stream to its end.
async fn read_body<T: 'static + Send>(
    accessor: &Accessor<T, HostStateView>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<Vec<u8>> {
    let (end_sender, end_receiver) = tokio::sync::oneshot::channel();
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = BodySink { bytes: Arc::clone(&bytes), _end_sender: end_sender };
    accessor.with(|mut access| stream.pipe(&mut access, sink))?;
    // The sink is dropped when the writer is, and its sender with it.
    let _ = end_receiver.await;
    Ok(std::mem::take(&mut *bytes.lock().unwrap_or_else(PoisonError::into_inner)))
}

struct BodySink {
    bytes: Arc<Mutex<Vec<u8>>>,
    _end_sender: tokio::sync::oneshot::Sender<()>,
}

impl<T> StreamConsumer<T> for BodySink {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, T>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        let length = bytes.len();
        source.mark_read(length);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
