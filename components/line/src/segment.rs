//! A stage between two queues, worked by instances that come and go.
//!
//! The state of a stage for one key (an asset; for schedule the plant) lies under compare-and-swap: the position in its
//! queue and the stage's snapshot. An instance reads both, takes the events that follow, writes what comes of them, and
//! swaps the state in. Another instance that did the same at the same time wrote the same, as a stage is a fold: one of
//! the two swaps, and nothing has happened twice. An instance that dies on the way leaves rows that the next one writes
//! again.
//!
//! An event that its stage does not get through is given up after some attempts. As a stage that traps takes its instance
//! along, an attempt is counted before the stage is called; that also shows that the store takes writes. Where the stage came
//! back and something else failed (the store, the state, the stage's configuration), the attempt is taken back, so that no
//! outage, however long, costs an event. If that cannot be written either, one attempt too many stands: an event is given up
//! only if attempts fail like this one after the other, each between a write that succeeded and one that did not, and only
//! after the stage was tried on it alone.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{
    Drive, Line, LineError, Ports, Topic, Value,
    queue::{self, Queued},
    rows::{DEAD_LETTERS, Rows, content_id, maybe_text, text},
};

/// From this many attempts at one place on, events are taken one by one.
const CAREFUL: i64 = 4;
/// From this many on, and not before the plant's `poison_after_seconds`, the event is given up.
const GIVE_UP: i64 = 8;

/// What one event gave.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The event that follows in the next queue of the same key.
    pub(crate) next: Option<Vec<u8>>,
    /// Events that go to the end of the plant's queue.
    pub(crate) plan: Option<Vec<u8>>,
}

/// A stage on the line.
pub(crate) trait Segment: Sized {
    /// The queue it works off.
    const INPUT: Topic;
    /// The queue of what it gives.
    const OUTPUT: Option<Topic>;
    /// Its name, which is also that of its configuration.
    const NAME: &'static str;

    /// A fresh instance, or one that goes on from a snapshot.
    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String>;
    /// Takes an event. On an error it is as before.
    fn step(&self, key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String>;
    /// The state as bytes.
    fn snapshot(&self) -> Vec<u8>;
    /// An event that is given up, as something that can be sent again: format, payload, readings.
    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64);
}

/// The queue of the schedule stage has one key.
pub(crate) const PLANT: &str = "plant";

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// What a stage knows of a key, as it stands; none where it knows nothing.
pub(crate) async fn snapshot<S: Segment, P: Ports>(line: &Line<P>, key: &str) -> Result<Option<Vec<u8>>, LineError> {
    let place = place::<S>(key);
    Ok(state(&place, line.ports.load(&place).await?.0.as_deref())?.snapshot)
}

/// Where the state of a stage for a key lies.
fn place<S: Segment>(key: &str) -> String {
    format!("{}.{}", S::NAME, crate::token(key))
}

fn state(place: &str, stored: Option<&[u8]>) -> Result<State, LineError> {
    let Some(bytes) = stored else { return Ok(State::default()) };
    postcard::from_bytes(bytes).map_err(|error| {
        LineError::Broken(format!("the state {place} cannot be read: {error}; another version wrote it"))
    })
}

/// Works a queue off.
pub(crate) async fn drain<S: Segment, P: Ports>(line: &Line<P>, key: &str, now: i64) -> Result<(), LineError> {
    let ports = &line.ports;
    let place = place::<S>(key);
    let (began, arrival) = (Instant::now(), now);
    loop {
        // How long a place in the queue has been tried at counts from when it was come to, not from when an instance that
        // works off a long queue began with that.
        let now = arrival.saturating_add(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX));
        let (stored, held) = ports.load(&place).await?;
        let state = state(&place, stored.as_deref())?;
        let mut events = queue::after(ports, S::INPUT, key, state.position).await?;
        if events.is_empty() {
            return Ok(());
        }
        let (attempts, first) = queue::attempt(ports, S::INPUT, key, state.position, now).await?;
        let alone = attempts > CAREFUL;
        let given_up = attempts > GIVE_UP && now.saturating_sub(first) >= line.plant.poison_after();
        if alone {
            events.truncate(1);
        }
        let taken = match given_up {
            true => Ok(give_up::<S>(&events, state.snapshot.clone(), attempts)),
            false => take_all::<S>(&line.plant.stage(S::NAME), key, &events, state.snapshot.as_deref()),
        };
        // From here on the instance lives: what fails now is not the stage.
        let step = match taken {
            Ok(step) => finish::<S, P>(line, key, &place, held, &step).await.map(|swapped| (swapped, step)),
            Err(error) => Err(error),
        };
        let (swapped, step) = match step {
            Ok(done) => done,
            Err(error) => {
                if !matches!(error, LineError::Unstorable(_)) {
                    // That the store does not take this either is what the error says already.
                    let _ = queue::survived(ports, S::INPUT, key, state.position).await;
                }
                return Err(error);
            }
        };
        if !swapped {
            continue;
        }
        let Step { rows, nexts, plans, position, .. } = step;
        queue::passed(ports, S::INPUT, key, position).await?;
        if line.drive == Drive::Bus {
            if rows.has(DEAD_LETTERS) {
                line.nudge(Topic::DeadLetters, key).await;
            }
            if let Some(topic) = S::OUTPUT.filter(|_| !nexts.is_empty()) {
                line.nudge(topic, key).await;
            }
            if !plans.is_empty() {
                line.nudge(Topic::Alerts, PLANT).await;
            }
        }
    }
}

/// What a stage made of events.
struct Step {
    rows: Rows,
    nexts: Vec<Queued>,
    plans: Vec<Queued>,
    /// Of the last event.
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// Hands the stage its events. If it traps on one, this does not return.
fn take_all<S: Segment>(
    config: &str,
    key: &str,
    events: &[Queued],
    snapshot: Option<&[u8]>,
) -> Result<Step, LineError> {
    let stage = S::open(config, snapshot)
        .map_err(|error| LineError::Broken(format!("{} cannot be opened: {error}", S::NAME)))?;
    let (mut rows, mut nexts, mut plans, mut position) = (Rows::default(), Vec::new(), Vec::new(), 0);
    for event in events {
        position = event.seq;
        match stage.step(key, event, &mut rows) {
            Ok(output) => {
                nexts.extend(output.next.map(|body| Queued { body, ..event.clone() }));
                plans.extend(output.plan.map(|body| Queued { body, ..event.clone() }));
            }
            Err(error) => dead_letter::<S>(event, &format!("{} refused: {error}", S::NAME), &mut rows),
        }
    }
    Ok(Step { rows, nexts, plans, position, snapshot: Some(stage.snapshot()) })
}

/// Gives the first event up. The state of a stage that never saw it stays as it is.
fn give_up<S: Segment>(events: &[Queued], snapshot: Option<Vec<u8>>, attempts: i64) -> Step {
    let mut rows = Rows::default();
    let message = format!(
        "{} could not get through it in {attempts} attempts; it is kept here: send it again once the component is mended",
        S::NAME
    );
    for event in events.iter().take(1) {
        dead_letter::<S>(event, &message, &mut rows);
    }
    let position = events.first().map_or(0, |event| event.seq);
    Step { rows, nexts: Vec::new(), plans: Vec::new(), position, snapshot }
}

/// Writes what a stage made, and swaps its state in; false when another instance was faster.
async fn finish<S: Segment, P: Ports>(
    line: &Line<P>,
    key: &str,
    place: &str,
    held: P::Version,
    step: &Step,
) -> Result<bool, LineError> {
    let ports = &line.ports;
    step.rows.write(ports).await?;
    // In order: whoever reads the next queue sees an event only after those before it.
    for next in &step.nexts {
        if let Some(topic) = S::OUTPUT {
            queue::put(ports, topic, key, next).await?;
        }
    }
    for plan in &step.plans {
        let id = content_id(format!("{key}|{}", plan.seq).as_bytes());
        queue::append(ports, Topic::Alerts, PLANT, &id, plan.time, &plan.body).await?;
    }
    let state = State { position: step.position, snapshot: step.snapshot.clone() };
    let state = postcard::to_allocvec(&state)
        .map_err(|error| LineError::Broken(format!("the state {place} cannot be written: {error}")))?;
    Ok(ports.swap(place, held, state).await?)
}

fn dead_letter<S: Segment>(event: &Queued, message: &str, rows: &mut Rows) {
    let (format, payload, readings) = S::letter(event);
    rows.add(
        DEAD_LETTERS,
        vec![
            text(content_id(format!("{}|{}", S::NAME, event.id).as_bytes())),
            Value::Integer(event.time),
            text("line"),
            text("stage-failure"),
            text(message),
            Value::Blob(payload),
            Value::Integer(readings),
            Value::Null,
            maybe_text(format),
        ],
    );
}
