//! Runs a stage between two queues, in instances that start and end at any time.
//!
//! The state of a stage for one key (an asset; for schedule the whole plant) is stored under compare-and-swap: the
//! position in the input queue and the stage's snapshot. An instance reads both, processes the events that follow,
//! writes the results and swaps the new state in. Another instance that does the same at the same time writes the
//! same rows, because a stage is a fold; only one of the two swaps succeeds, so nothing is processed twice. If an
//! instance dies on the way, the next one writes its rows again.
//!
//! An event that its stage cannot process is quarantined as a dead letter after some attempts. A stage that traps
//! ends its instance, so an attempt is recorded before the stage is called; this also shows that the store accepts
//! writes. If the stage returns and something else fails (the store, the state, the stage's configuration), the
//! attempt is taken back, so an outage of any length costs no event. If taking it back fails too, one attempt too
//! many stays recorded. So an event is quarantined by mistake only if successive attempts all fail in this way, each
//! between a successful and a failed write, and only after the stage was tried on the event alone.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::{
    Dispatch, Line, LineError, Ports, Topic, Value,
    queue::{self, Queued},
    rows::{DEAD_LETTERS, Rows, content_id, maybe_text, text},
};

/// After this many attempts at one position, events are processed one by one.
const CAREFUL: i64 = 4;
/// After this many attempts, and not before the plant's `poison_after_seconds`, the event is quarantined.
const GIVE_UP: i64 = 8;

/// The output of a stage for one event.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// The event for the next queue, with the same key.
    pub(crate) next: Option<Vec<u8>>,
    /// The event to append to the planner's queue.
    pub(crate) plan: Option<Vec<u8>>,
}

/// A stage of the line.
pub(crate) trait Segment: Sized {
    /// The queue that it reads.
    const INPUT: Topic;
    /// The queue that it writes, apart from the planner's.
    const OUTPUT: Option<Topic>;
    /// Its name, which is also the name of its configuration.
    const NAME: &'static str;

    /// Opens a new instance, or restores one from a snapshot.
    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String>;
    /// Processes an event. An error leaves the state unchanged.
    fn step(&self, key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String>;
    /// Returns the state as bytes.
    fn snapshot(&self) -> Vec<u8>;
    /// Returns an event in a form that can be sent again: its format, its payload and the number of readings.
    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64);
}

/// The only key of the schedule stage's queue.
pub(crate) const PLANT: &str = "plant";

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// Returns the current snapshot of a stage for a key, or `None` if it has none.
pub(crate) async fn snapshot<S: Segment, P: Ports>(line: &Line<P>, key: &str) -> Result<Option<Vec<u8>>, LineError> {
    let state_key = place::<S>(key);
    Ok(state(&state_key, line.ports.load(&state_key).await?.0.as_deref())?.snapshot)
}

/// Returns the key under which the state of a stage is stored.
fn place<S: Segment>(key: &str) -> String {
    format!("{}.{}", S::NAME, crate::token(key))
}

fn state(state_key: &str, stored: Option<&[u8]>) -> Result<State, LineError> {
    let Some(bytes) = stored else { return Ok(State::default()) };
    postcard::from_bytes(bytes).map_err(|error| {
        LineError::Broken(format!("cannot read the state {state_key}: {error}; another version wrote it"))
    })
}

/// Processes a queue until it is empty.
pub(crate) async fn drain<S: Segment, P: Ports>(line: &Line<P>, key: &str, now: i64) -> Result<(), LineError> {
    let ports = &line.ports;
    let state_key = place::<S>(key);
    let (started, arrival) = (Instant::now(), now);
    loop {
        // The time spent on an event counts from when its position is reached, not from when an instance started on a
        // long queue.
        let now = arrival.saturating_add(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX));
        let (stored, version) = ports.load(&state_key).await?;
        let state = state(&state_key, stored.as_deref())?;
        let mut events = queue::after(ports, S::INPUT, key, state.position).await?;
        if events.is_empty() {
            return Ok(());
        }
        let (attempts, first) = queue::attempt(ports, S::INPUT, key, state.position, now).await?;
        let is_single = attempts > CAREFUL;
        let is_poison = attempts > GIVE_UP && now.saturating_sub(first) >= line.plant.poison_after();
        if is_single {
            events.truncate(1);
        }
        let result = match is_poison {
            true => Ok(give_up::<S>(&events, state.snapshot.clone(), attempts)),
            false => take_all::<S>(&line.plant.stage(S::NAME), key, &events, state.snapshot.as_deref()),
        };
        // The instance is still alive here, so a failure from now on is not the stage's.
        let step = match result {
            Ok(step) => finish::<S, P>(line, key, &state_key, version, &step).await.map(|swapped| (swapped, step)),
            Err(error) => Err(error),
        };
        let (swapped, step) = match step {
            Ok(done) => done,
            Err(error) => {
                if !matches!(error, LineError::Unstorable(_)) {
                    // If this write fails too, the store's error is already reported.
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
        if line.dispatch == Dispatch::Bus {
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

/// The results of a stage for a batch of events.
struct Step {
    rows: Rows,
    nexts: Vec<Queued>,
    plans: Vec<Queued>,
    /// The position of the last event.
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// Runs the stage on the events. Does not return if the stage traps.
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
            Err(error) => dead_letter::<S>(event, &format!("{} rejected the event: {error}", S::NAME), &mut rows),
        }
    }
    Ok(Step { rows, nexts, plans, position, snapshot: Some(stage.snapshot()) })
}

/// Quarantines the first event as a dead letter. The stage's state stays as it is, because the stage did not process
/// it.
fn give_up<S: Segment>(events: &[Queued], snapshot: Option<Vec<u8>>, attempts: i64) -> Step {
    let mut rows = Rows::default();
    let message = format!(
        "{} could not process the event in {attempts} attempts; send it again when the component is fixed",
        S::NAME
    );
    for event in events.iter().take(1) {
        dead_letter::<S>(event, &message, &mut rows);
    }
    let position = events.first().map_or(0, |event| event.seq);
    Step { rows, nexts: Vec::new(), plans: Vec::new(), position, snapshot }
}

/// Writes the results of a stage and swaps its state in. Returns false if another instance swapped first.
async fn finish<S: Segment, P: Ports>(
    line: &Line<P>,
    key: &str,
    state_key: &str,
    version: P::Version,
    step: &Step,
) -> Result<bool, LineError> {
    let ports = &line.ports;
    step.rows.write(ports).await?;
    // In order: a reader of the next queue sees an event only after those before it.
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
        .map_err(|error| LineError::Broken(format!("cannot encode the state {state_key}: {error}")))?;
    Ok(ports.swap(state_key, version, state).await?)
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
