//! The data loader of the resolvers. Resolvers are futures that must be `Send`, but the line is borrowed and stays on
//! this thread. They therefore queue their requests here and wait; the executor answers the queue between two polls.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_graphql::{Error, ErrorExtensions as _};
use serde::de::DeserializeOwned;

use crate::{ActionRequest, Filter, LineApi, LineApiError, Table, problem::Problem, rows};

/// The time of the request, in nanoseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct RequestTime(pub(super) i64);

/// A request of a resolver to the line.
enum LoaderRequest {
    Query(Table, Filter),
    /// Sent to the line once per HTTP request, even if several resolvers need it.
    CachedQuery(Table, Filter),
    Action(ActionRequest),
}

enum Slot {
    Pending(LoaderRequest, Waker),
    Ready(LineReply),
    Consumed,
}

type LineReply = Result<String, LineApiError>;

/// The data loader of one HTTP request.
#[derive(Clone, Default)]
pub(super) struct DataLoader {
    slots: Arc<Mutex<Vec<Slot>>>,
    cache: Arc<Mutex<Vec<(Table, Filter, LineReply)>>>,
}

impl DataLoader {
    /// Returns rows of a table.
    pub(super) async fn query<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        self.rows(table, LoaderRequest::Query(table, filter)).await
    }

    /// Returns rows of a table, and caches them for other resolvers of the same HTTP request.
    pub(super) async fn query_cached<T: DeserializeOwned>(
        &self,
        table: Table,
        filter: Filter,
    ) -> Result<Vec<T>, Error> {
        self.rows(table, LoaderRequest::CachedQuery(table, filter)).await
    }

    async fn rows<T: DeserializeOwned>(&self, table: Table, request: LoaderRequest) -> Result<Vec<T>, Error> {
        let rows = self.send(request).await.map_err(|error| graphql_error(&error.into()))?;
        rows::parse_reply(&rows, &format!("{table:?}")).map_err(|problem| graphql_error(&problem))
    }

    /// Performs an action of a user.
    pub(super) async fn perform_action(&self, request: ActionRequest) -> Result<String, Error> {
        self.send(LoaderRequest::Action(request)).await.map_err(|error| graphql_error(&error.into()))
    }

    fn send(&self, request: LoaderRequest) -> PendingReply {
        PendingReply { loader: self.clone(), request: Some(request), index: 0 }
    }

    /// Runs a future that uses this loader to completion. `None`: the future waits for something other than the loader.
    pub(super) fn run<T>(&self, line: &impl LineApi, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = work.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !self.answer_pending(line) {
                return None;
            }
        }
    }

    /// Answers all queued requests. Returns whether there were any.
    fn answer_pending(&self, line: &impl LineApi) -> bool {
        let mut has_answered = false;
        for slot in self.slots().iter_mut() {
            if let Slot::Pending(request, waker) = slot {
                let reply = match request {
                    LoaderRequest::Query(table, filter) => line.query(*table, filter),
                    LoaderRequest::CachedQuery(table, filter) => self.query_once(line, *table, filter),
                    LoaderRequest::Action(request) => line.perform_action(request),
                };
                waker.wake_by_ref();
                *slot = Slot::Ready(reply);
                has_answered = true;
            }
        }
        has_answered
    }

    fn query_once(&self, line: &impl LineApi, table: Table, filter: &Filter) -> LineReply {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., reply)) = cache.iter().find(|(of, with, _)| *of == table && with == filter) {
            return reply.clone();
        }
        let reply = line.query(table, filter);
        cache.push((table, filter.clone(), reply.clone()));
        reply
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pending reply of the line.
struct PendingReply {
    loader: DataLoader,
    /// The request, until it is queued.
    request: Option<LoaderRequest>,
    index: usize,
}

impl Future for PendingReply {
    type Output = LineReply;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let loader = self.loader.clone();
        let mut slots = loader.slots();
        if let Some(request) = self.request.take() {
            self.index = slots.len();
            slots.push(Slot::Pending(request, context.waker().clone()));
            return Poll::Pending;
        }
        let Some(slot) = slots.get_mut(self.index) else { return Poll::Pending };
        match std::mem::replace(slot, Slot::Consumed) {
            Slot::Ready(reply) => Poll::Ready(reply),
            Slot::Pending(request, _) => {
                *slot = Slot::Pending(request, context.waker().clone());
                Poll::Pending
            }
            Slot::Consumed => Poll::Pending,
        }
    }
}

/// Converts a problem to a GraphQL error.
pub(super) fn graphql_error(problem: &Problem) -> Error {
    let code = match problem.status().as_u16() {
        404 => "NOT_FOUND",
        409 => "CONFLICT",
        422 | 400 => "BAD_USER_INPUT",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    Error::new(problem.detail()).extend_with(|_, extensions| extensions.set("code", code))
}
