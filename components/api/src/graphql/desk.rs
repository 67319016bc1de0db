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
    /// Asked of the line once a request, however many want it.
    Once(Table, Filter),
    Act(Change),
}

enum Slot {
    Asked(Wish, Waker),
    Answered(Told),
    Taken,
}

type Told = Result<String, FrontError>;

/// The desk of one request.
#[derive(Clone, Default)]
pub(super) struct Desk {
    slots: Arc<Mutex<Vec<Slot>>>,
    known: Arc<Mutex<Vec<(Table, Filter, Told)>>>,
}

impl Desk {
    /// Rows of a table.
    pub(super) async fn look<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        self.rows(table, Wish::Look(table, filter)).await
    }

    /// Rows that others in the same request are likely to want as well.
    pub(super) async fn look_once<T: DeserializeOwned>(&self, table: Table, filter: Filter) -> Result<Vec<T>, Error> {
        self.rows(table, Wish::Once(table, filter)).await
    }

    async fn rows<T: DeserializeOwned>(&self, table: Table, wish: Wish) -> Result<Vec<T>, Error> {
        let rows = self.ask(wish).await.map_err(|error| wrong(&error.into()))?;
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
                    Wish::Once(table, filter) => self.once(front, *table, filter),
                    Wish::Act(change) => front.act(change),
                };
                waker.wake_by_ref();
                *slot = Slot::Answered(answer);
                any = true;
            }
        }
        any
    }

    fn once(&self, front: &impl Front, table: Table, filter: &Filter) -> Told {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., told)) = known.iter().find(|(about, with, _)| *about == table && with == filter) {
            return told.clone();
        }
        let told = front.look(table, filter);
        known.push((table, filter.clone(), told.clone()));
        told
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
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
