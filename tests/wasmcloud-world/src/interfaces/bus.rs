//! `wasmcloud:messaging`, both of its versions: what is published waits in the world's queue.

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
    View,
    bindings::wasmcloud::{messaging0_2_0 as older, messaging0_3_0 as newer},
};
use crate::{guest::Guest, world::Message};

impl older::types::Host for &mut Guest {}

impl older::consumer::Host for &mut Guest {
    async fn request(
        &mut self,
        _: String,
        _: Vec<u8>,
        _: u32,
    ) -> wasmtime::Result<Result<older::types::BrokerMessage, String>> {
        Ok(Err("nobody answers on this host's bus".to_owned()))
    }

    async fn publish(&mut self, message: older::types::BrokerMessage) -> wasmtime::Result<Result<(), String>> {
        self.instance.live()?;
        self.shared.publish(Message { subject: message.subject, body: message.body });
        Ok(Ok(()))
    }
}

impl newer::types::Host for &mut Guest {}
impl newer::consumer::Host for &mut Guest {}

impl<T: 'static + Send> newer::consumer::HostWithStore<T> for View {
    async fn request(
        _: &Accessor<T, Self>,
        _: String,
        _: StreamReader<u8>,
        _: Option<u32>,
    ) -> wasmtime::Result<Result<newer::types::BrokerMessage, newer::types::Error>> {
        Ok(Err(newer::types::Error::Other("nobody answers on this host's bus".to_owned())))
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        message: newer::types::BrokerMessage,
    ) -> wasmtime::Result<Result<(), newer::types::Error>> {
        accessor.with(|mut access| access.get().instance.live())?;
        let body = collect(accessor, message.body).await?;
        accessor.with(|mut access| access.get().shared.publish(Message { subject: message.subject, body }));
        Ok(Ok(()))
    }
}

/// Reads a stream to its end.
async fn collect<T: 'static + Send>(
    accessor: &Accessor<T, View>,
    stream: StreamReader<u8>,
) -> wasmtime::Result<Vec<u8>> {
    let (ended, end) = tokio::sync::oneshot::channel();
    let read = Arc::new(Mutex::new(Vec::new()));
    let sink = Sink { read: Arc::clone(&read), _ended: ended };
    accessor.with(|mut access| stream.pipe(&mut access, sink))?;
    // The sink is dropped when the other end is, and its half of the channel with it.
    let _ = end.await;
    Ok(std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner)))
}

struct Sink {
    read: Arc<Mutex<Vec<u8>>>,
    _ended: tokio::sync::oneshot::Sender<()>,
}

impl<T> StreamConsumer<T> for Sink {
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
        self.read.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        let length = bytes.len();
        source.mark_read(length);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
