//! Where resolvers leave what they want to know of the line. They are futures that may go to any thread, and the line is a
//! borrowed thing of this one; so they ask here and wait, and whoever drives them answers in between.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use async_graphql::{Error, ErrorExtensions as _};
use serde::de::DeserializeOwned;

use crate::{Change, Filter, Front, FrontError, Table, problem::Problem, rows};

/// When the request came.
#[derive(Clone, Copy)]
pub(super) struct Now(pub(super) i64);

/// What a resolver wants.
enum Wish {
    Look(Table, Filter),
    Act(Change),
}

enum Slot {
    Asked(Wish, Waker),
    Answered(Result<String, FrontError>),
    Taken,
}

/// The desk of one request.
#[derive(Clone, Default)]
pub(super) struct Desk(Arc<Mutex<Vec<Slot>>>);

impl Desk {
    /// Rows of a table.
    pub(super) async fn look<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        let rows = self.ask(Wish::Look(table, filter)).await.map_err(|error| wrong(&error.into()))?;
        rows::read(&rows, &format!("{table:?}")).map_err(|problem| wrong(&problem))
    }

    /// Does what a person wants.
    pub(super) async fn act(&self, change: Change) -> Result<String, Error> {
        self.ask(Wish::Act(change)).await.map_err(|error| wrong(&error.into()))
    }

    fn ask(&self, wish: Wish) -> Answer {
        Answer { desk: self.clone(), wish: Some(wish), index: 0 }
    }

    /// Runs what asks at this desk to its end. None: it waits for something else, which is not done here.
    pub(super) fn serve<T>(&self, front: &impl Front, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
                return Some(done);
            }
            if !self.answer(front) {
                return None;
            }
        }
    }

    /// Answers all that was asked; tells whether there was anything.
    fn answer(&self, front: &impl Front) -> bool {
        let mut any = false;
        for slot in self.slots().iter_mut() {
            if let Slot::Asked(wish, waker) = slot {
                let answer = match wish {
                    Wish::Look(table, filter) => front.look(*table, filter),
                    Wish::Act(change) => front.act(change),
                };
                waker.wake_by_ref();
                *slot = Slot::Answered(answer);
                any = true;
            }
        }
        any
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer to come.
struct Answer {
    desk: Desk,
    /// Until it is asked.
    wish: Option<Wish>,
    index: usize,
}

impl Future for Answer {
    type Output = Result<String, FrontError>;

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

/// A problem as GraphQL tells it.
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
