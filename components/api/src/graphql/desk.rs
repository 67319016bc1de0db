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

use crate::{Change, Filter, Front, FrontError, Table, problem::Problem, rows};

/// The time of the request, in nanoseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Now(pub(super) i64);

/// A request of a resolver to the line.
enum Wish {
    Look(Table, Filter),
    /// Sent to the line once per HTTP request, even if several resolvers need it.
    Once(Table, Filter),
    Act(Change),
}

enum Slot {
    Asked(Wish, Waker),
    Answered(Told),
    Taken,
}

type Told = Result<String, FrontError>;

/// The data loader of one HTTP request.
#[derive(Clone, Default)]
pub(super) struct Desk {
    slots: Arc<Mutex<Vec<Slot>>>,
    known: Arc<Mutex<Vec<(Table, Filter, Told)>>>,
}

impl Desk {
    /// Returns rows of a table.
    pub(super) async fn look<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        self.rows(table, Wish::Look(table, filter)).await
    }

    /// Returns rows of a table, and caches them for other resolvers of the same HTTP request.
    pub(super) async fn look_once<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        self.rows(table, Wish::Once(table, filter)).await
    }

    async fn rows<T: DeserializeOwned>(&self, table: Table, wish: Wish) -> Result<Vec<T>, Error> {
        let rows = self.ask(wish).await.map_err(|error| wrong(&error.into()))?;
        rows::read(&rows, &format!("{table:?}")).map_err(|problem| wrong(&problem))
    }

    /// Performs an action of a user.
    pub(super) async fn act(&self, change: Change) -> Result<String, Error> {
        self.ask(Wish::Act(change)).await.map_err(|error| wrong(&error.into()))
    }

    fn ask(&self, wish: Wish) -> Answer {
        Answer { desk: self.clone(), wish: Some(wish), index: 0 }
    }

    /// Runs a future that uses this loader to completion. `None`: the future waits for something other than the loader.
    pub(super) fn serve<T>(&self, line: &impl Front, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = work.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !self.answer(line) {
                return None;
            }
        }
    }

    /// Answers all queued requests. Returns whether there were any.
    fn answer(&self, line: &impl Front) -> bool {
        let mut has_answered = false;
        for slot in self.slots().iter_mut() {
            if let Slot::Asked(wish, waker) = slot {
                let answer = match wish {
                    Wish::Look(table, filter) => line.look(*table, filter),
                    Wish::Once(table, filter) => self.once(line, *table, filter),
                    Wish::Act(change) => line.act(change),
                };
                waker.wake_by_ref();
                *slot = Slot::Answered(answer);
                has_answered = true;
            }
        }
        has_answered
    }

    fn once(&self, line: &impl Front, table: Table, filter: &Filter) -> Told {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., reply)) = known.iter().find(|(of, with, _)| *of == table && with == filter) {
            return reply.clone();
        }
        let reply = line.look(table, filter);
        known.push((table, filter.clone(), reply.clone()));
        reply
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pending reply of the line.
struct Answer {
    desk: Desk,
    /// The request, until it is queued.
    wish: Option<Wish>,
    index: usize,
}

impl Future for Answer {
    type Output = Told;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let desk = self.desk.clone();
        let mut slots = desk.slots();
        if let Some(wish) = self.wish.take() {
            self.index = slots.len();
            slots.push(Slot::Asked(wish, context.waker().clone()));
            return Poll::Pending;
        }
        let Some(slot) = slots.get_mut(self.index) else { return Poll::Pending };
        match std::mem::replace(slot, Slot::Taken) {
            Slot::Answered(answer) => Poll::Ready(answer),
            Slot::Asked(wish, _) => {
                *slot = Slot::Asked(wish, context.waker().clone());
                Poll::Pending
            }
            Slot::Taken => Poll::Pending,
        }
    }
}

/// Converts a problem to a GraphQL error.
pub(super) fn wrong(problem: &Problem) -> Error {
    let code = match problem.status().as_u16() {
        404 => "NOT_FOUND",
        409 => "CONFLICT",
        422 | 400 => "BAD_USER_INPUT",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    Error::new(problem.detail()).extend_with(|_, extensions| extensions.set("code", code))
}
