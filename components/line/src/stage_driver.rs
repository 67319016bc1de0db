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
use wheeltapper_domain::{DeadLetter, content_id};

use crate::{
    Dispatch, Line, LineError, Ports, Topic,
    queue::{self, QueuedEvent},
    rows::{DEAD_LETTERS, RowBatch},
};

/// After this many attempts at one position, events are processed one by one.
const BATCH_ATTEMPTS: i64 = 4;
/// After this many attempts, and not before the plant's `poison_after_seconds`, the event is quarantined.
const QUARANTINE_ATTEMPTS: i64 = 8;

/// The output of a stage for one event.
#[derive(Debug, Default)]
pub(crate) struct StageOutput {
    /// The event for the next queue, with the same key.
    pub(crate) next_event: Option<Vec<u8>>,
    /// The event to append to the planner's queue.
    pub(crate) planner_command: Option<Vec<u8>>,
}

/// A stage of the line.
pub(crate) trait Stage: Sized {
    /// The queue that it reads.
    const INPUT: Topic;
    /// The queue that it writes, apart from the planner's.
    const OUTPUT: Option<Topic>;
    /// Its name, which is also the name of its configuration.
    const NAME: &'static str;

    /// Opens a new instance, or restores one from a snapshot.
    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String>;
    /// Processes an event. An error leaves the state unchanged.
    fn process(&self, key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String>;
    /// Returns the state as bytes.
    fn snapshot(&self) -> Vec<u8>;
    /// Returns an event in a form that can be sent again: its format, its payload and the number of readings.
    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32);
}

/// The only key of the schedule stage's queue.
pub(crate) const PLANT_KEY: &str = "plant";

#[derive(Debug, Default, Serialize, Deserialize)]
struct StageState {
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// Returns the current snapshot of a stage for a key, or `None` if it has none.
pub(crate) async fn load_snapshot<S: Stage, P: Ports>(line: &Line<P>, key: &str) -> Result<Option<Vec<u8>>, LineError> {
    let state_key = state_key::<S>(key);
    Ok(parse_state(&state_key, line.ports.load(&state_key).await?.0.as_deref())?.snapshot)
}

/// Returns the key under which the state of a stage is stored.
fn state_key<S: Stage>(key: &str) -> String {
    format!("{}.{}", S::NAME, crate::subject_token(key))
}

fn parse_state(state_key: &str, stored: Option<&[u8]>) -> Result<StageState, LineError> {
    let Some(bytes) = stored else { return Ok(StageState::default()) };
    postcard::from_bytes(bytes).map_err(|error| {
        LineError::Broken(format!("cannot read the state {state_key}: {error}; another version wrote it"))
    })
}

/// Processes a queue until it is empty.
pub(crate) async fn drain_queue<S: Stage, P: Ports>(line: &Line<P>, key: &str, now: i64) -> Result<(), LineError> {
    let ports = &line.ports;
    let state_key = state_key::<S>(key);
    let (started, arrival) = (Instant::now(), now);
    loop {
        // The time spent on an event counts from when its position is reached, not from when an instance started on a
        // long queue.
        let now = arrival.saturating_add(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX));
        let (stored, version) = ports.load(&state_key).await?;
        let state = parse_state(&state_key, stored.as_deref())?;
        let mut events = queue::read_after(ports, S::INPUT, key, state.position).await?;
        if events.is_empty() {
            return Ok(());
        }
        let (attempts, first) = queue::record_attempt(ports, S::INPUT, key, state.position, now).await?;
        let is_single = attempts > BATCH_ATTEMPTS;
        let is_poison = attempts > QUARANTINE_ATTEMPTS && now.saturating_sub(first) >= line.plant.poison_timeout();
        if is_single {
            events.truncate(1);
        }
        let result = match is_poison {
            true => Ok(quarantine::<S>(&events, state.snapshot.clone(), attempts)),
            false => process_batch::<S>(&line.plant.stage_config(S::NAME), key, &events, state.snapshot.as_deref()),
        };
        // The instance is still alive here, so a failure from now on is not the stage's.
        let batch_result = match result {
            Ok(batch_result) => commit::<S, P>(line, key, &state_key, version, &batch_result)
                .await
                .map(|swapped| (swapped, batch_result)),
            Err(error) => Err(error),
        };
        let (swapped, batch_result) = match batch_result {
            Ok(committed) => committed,
            Err(error) => {
                if !matches!(error, LineError::Unstorable(_)) {
                    // If this write fails too, the store's error is already reported.
                    let _ = queue::undo_attempt(ports, S::INPUT, key, state.position).await;
                }
                return Err(error);
            }
        };
        if !swapped {
            continue;
        }
        let BatchResult { rows, next_events, planner_events, position, .. } = batch_result;
        queue::mark_done(ports, S::INPUT, key, position).await?;
        if line.dispatch == Dispatch::Bus {
            if rows.has(DEAD_LETTERS) {
                line.notify(Topic::DeadLetters, key).await;
            }
            if let Some(topic) = S::OUTPUT.filter(|_| !next_events.is_empty()) {
                line.notify(topic, key).await;
            }
            if !planner_events.is_empty() {
                line.notify(Topic::Alerts, PLANT_KEY).await;
            }
        }
    }
}

/// The results of a stage for a batch of events.
struct BatchResult {
    rows: RowBatch,
    next_events: Vec<QueuedEvent>,
    planner_events: Vec<QueuedEvent>,
    /// The position of the last event.
    position: i64,
    snapshot: Option<Vec<u8>>,
}

/// Runs the stage on the events. Does not return if the stage traps.
fn process_batch<S: Stage>(
    config: &str,
    key: &str,
    events: &[QueuedEvent],
    snapshot: Option<&[u8]>,
) -> Result<BatchResult, LineError> {
    let stage = S::open(config, snapshot)
        .map_err(|error| LineError::Broken(format!("{} cannot be opened: {error}", S::NAME)))?;
    let (mut rows, mut next_events, mut planner_events, mut position) =
        (RowBatch::default(), Vec::new(), Vec::new(), 0);
    for event in events {
        position = event.seq;
        match stage.process(key, event, &mut rows) {
            Ok(output) => {
                next_events.extend(output.next_event.map(|body| QueuedEvent { body, ..event.clone() }));
                planner_events.extend(output.planner_command.map(|body| QueuedEvent { body, ..event.clone() }));
            }
            Err(error) => add_dead_letter::<S>(event, &format!("{} rejected the event: {error}", S::NAME), &mut rows),
        }
    }
    Ok(BatchResult { rows, next_events, planner_events, position, snapshot: Some(stage.snapshot()) })
}

/// Quarantines the first event as a dead letter. The stage's state stays as it is, because the stage did not process
/// it.
fn quarantine<S: Stage>(events: &[QueuedEvent], snapshot: Option<Vec<u8>>, attempts: i64) -> BatchResult {
    let mut rows = RowBatch::default();
    let message = format!(
        "{} could not process the event in {attempts} attempts; send it again when the component is fixed",
        S::NAME
    );
    for event in events.iter().take(1) {
        add_dead_letter::<S>(event, &message, &mut rows);
    }
    let position = events.first().map_or(0, |event| event.seq);
    BatchResult { rows, next_events: Vec::new(), planner_events: Vec::new(), position, snapshot }
}

/// Writes the results of a stage and swaps its state in. Returns false if another instance swapped first.
async fn commit<S: Stage, P: Ports>(
    line: &Line<P>,
    key: &str,
    state_key: &str,
    version: P::Version,
    batch_result: &BatchResult,
) -> Result<bool, LineError> {
    let ports = &line.ports;
    batch_result.rows.write(ports).await?;
    // In order: a reader of the next queue sees an event only after those before it.
    for next in &batch_result.next_events {
        if let Some(topic) = S::OUTPUT {
            queue::insert_at(ports, topic, key, next).await?;
        }
    }
    for command in &batch_result.planner_events {
        let id = content_id(format!("{key}|{}", command.seq).as_bytes());
        queue::append(ports, Topic::Alerts, PLANT_KEY, &id, command.time, &command.body).await?;
    }
    let state = StageState { position: batch_result.position, snapshot: batch_result.snapshot.clone() };
    let state = postcard::to_allocvec(&state)
        .map_err(|error| LineError::Broken(format!("cannot encode the state {state_key}: {error}")))?;
    Ok(ports.swap(state_key, version, state).await?)
}

fn add_dead_letter<S: Stage>(event: &QueuedEvent, message: &str, rows: &mut RowBatch) {
    let (format, payload, readings) = S::to_dead_letter(event);
    let row = DeadLetter {
        id: content_id(format!("{}|{}", S::NAME, event.id).as_bytes()),
        time: event.time,
        source: "line".to_owned(),
        reason: "stage-failure".to_owned(),
        message: message.to_owned(),
        payload,
        readings,
        sensor: None,
        format: format.map(str::to_owned),
    };
    rows.add(DEAD_LETTERS, row.into_values());
}
