//! A stage between two queues, worked by instances that come and go.
//!
//! The state of a stage for one key (an asset; for schedule the plant) lies under compare-and-swap: the position in its
//! queue and the stage's snapshot. An instance reads both, takes the events that follow, writes what comes of them, and
//! swaps the state in. Another instance that did the same at the same time wrote the same, as a stage is a fold: one of
//! the two swaps, and nothing has happened twice. An instance that dies on the way leaves rows that the next one writes
//! again.

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
        let mut given_up = None;
        if attempts > CAREFUL {
            events.truncate(1);
            if attempts > GIVE_UP && now - first >= line.plant.poison_after() {
                given_up = events.pop();
            }
        }
        let config = line.plant.stage(S::NAME);
        let stage = S::open(&config, state.snapshot.as_deref())
            .map_err(|error| LineError::Broken(format!("{} cannot be opened: {error}", S::NAME)))?;
        let mut rows = Rows::default();
        let mut plans = Vec::new();
        let mut nexts = Vec::new();
        let mut position = state.position;
        for event in &events {
            position = event.seq;
            let output = match stage.step(key, event, &mut rows) {
                Ok(output) => output,
                Err(error) => {
                    dead_letter::<S>(event, &format!("{} refused: {error}", S::NAME), &mut rows);
                    continue;
                }
            };
            nexts.extend(output.next.map(|body| Queued { body, ..event.clone() }));
            plans.extend(output.plan.map(|body| Queued { body, ..event.clone() }));
        }
        if let Some(event) = &given_up {
            position = event.seq;
            let message = format!(
                "{} could not get through it in {attempts} attempts; it is kept here: send it again once the component is mended",
                S::NAME
            );
            dead_letter::<S>(event, &message, &mut rows);
        }
        rows.write(ports).await?;
        // In order: whoever reads the next queue sees an event only after those before it.
        for next in &nexts {
            if let Some(topic) = S::OUTPUT {
                queue::put(ports, topic, key, next).await?;
            }
        }
        for plan in &plans {
            let id = content_id(format!("{key}|{}", plan.seq).as_bytes());
            queue::append(ports, Topic::Alerts, PLANT, &id, plan.time, &plan.body).await?;
        }
        // An event that was given up must not change the state of a stage that never saw it.
        let snapshot = if events.is_empty() { state.snapshot } else { Some(stage.snapshot()) };
        let state = postcard::to_allocvec(&State { position, snapshot })
            .map_err(|error| LineError::Broken(format!("the state {place} cannot be written: {error}")))?;
        if !ports.swap(&place, held, state).await? {
            continue;
        }
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
