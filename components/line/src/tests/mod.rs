//! Tests of the stage driver with instances that die, race and repeat, on a toy stage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod actions;
mod outages;
mod queries;

use std::{
    cell::RefCell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    thread,
};

use rusqlite::{Connection, params_from_iter, types::Value as Sql};

use crate::{
    Dialect, Dispatch, Filter, Line, LineError, PortError, Ports, Table, Topic, Value,
    queue::{self, QueuedEvent},
    rows::{DRIFTS, RowBatch, text_value},
    select_statement,
    stage_driver::{self, Stage, StageOutput},
    store,
};

/// The version and value of each key.
type StoredStates = HashMap<String, (u64, Vec<u8>)>;

/// A platform in memory. Each clone stands for one instance's access to it.
#[derive(Clone, Debug)]
struct MemoryPlatform {
    store: Arc<Mutex<Connection>>,
    state: Arc<Mutex<StoredStates>>,
    notifications: Arc<Mutex<Vec<(Topic, String)>>>,
    /// The instance is killed after this many calls.
    remaining_calls: RefCell<Option<u32>>,
}

impl MemoryPlatform {
    fn new() -> Self {
        Self {
            store: Arc::new(Mutex::new(Connection::open_in_memory().unwrap())),
            state: Arc::default(),
            notifications: Arc::default(),
            remaining_calls: RefCell::new(None),
        }
    }

    fn killed_after(&self, calls: u32) -> Self {
        Self { remaining_calls: RefCell::new(Some(calls)), ..self.clone() }
    }

    fn count_call(&self) -> Result<(), PortError> {
        match &mut *self.remaining_calls.borrow_mut() {
            Some(0) => Err(PortError("killed".into())),
            Some(calls) => {
                *calls -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn rows(&self, statement: &str) -> Vec<Vec<Value>> {
        run(self.sql(statement, &[])).unwrap()
    }
}

impl Ports for MemoryPlatform {
    type Version = u64;

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        self.count_call()?;
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let to_error = |error: rusqlite::Error| PortError(error.to_string());
        let mut prepared = store.prepare(statement).map_err(to_error)?;
        let width = prepared.column_count();
        let parameters = params_from_iter(parameters.iter().map(|value| match value {
            Value::Null => Sql::Null,
            Value::Integer(integer) => Sql::Integer(*integer),
            Value::Real(real) => Sql::Real(*real),
            Value::Text(text) => Sql::Text(text.clone()),
            Value::Blob(blob) => Sql::Blob(blob.clone()),
        }));
        let rows = prepared.query_map(parameters, |row| {
            (0..width)
                .map(|at| {
                    Ok(match row.get::<_, Sql>(at)? {
                        Sql::Null => Value::Null,
                        Sql::Integer(integer) => Value::Integer(integer),
                        Sql::Real(real) => Value::Real(real),
                        Sql::Text(text) => Value::Text(text),
                        Sql::Blob(blob) => Value::Blob(blob),
                    })
                })
                .collect()
        });
        rows.map_err(to_error)?.collect::<Result<_, _>>().map_err(to_error)
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, u64), PortError> {
        self.count_call()?;
        let state = self.state.lock().unwrap();
        Ok(state.get(key).map_or((None, 0), |(version, body)| (Some(body.clone()), *version)))
    }

    async fn swap(&self, key: &str, expected: u64, body: Vec<u8>) -> Result<bool, PortError> {
        self.count_call()?;
        let mut state = self.state.lock().unwrap();
        let version = state.get(key).map_or(0, |(version, _)| *version);
        if version != expected {
            return Ok(false);
        }
        state.insert(key.to_owned(), (version + 1, body));
        Ok(true)
    }

    async fn publish(&self, topic: Topic, key: &str, _body: &[u8]) -> Result<(), PortError> {
        self.count_call()?;
        self.notifications.lock().unwrap().push((topic, key.to_owned()));
        Ok(())
    }
}

/// Polls a future that never waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A stage whose output depends on the order of all events that it processed.
struct HashChainStage(RefCell<u64>);

impl Stage for HashChainStage {
    const INPUT: Topic = Topic::Raw;
    const OUTPUT: Option<Topic> = Some(Topic::Processed);
    const NAME: &'static str = "featurize";

    fn open(_config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let chain = snapshot.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        Ok(Self(RefCell::new(chain)))
    }

    fn process(&self, _key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        match event.body.as_slice() {
            b"rejected" => return Err("no".into()),
            b"poison" => panic!("poison"),
            _ => {}
        }
        let mut chain = self.0.borrow_mut();
        *chain = chain.wrapping_mul(31).wrapping_add(u64::from(event.body[0]) + 1);
        let row = vec![
            text_value(format!("{chain}")),
            text_value("asset"),
            Value::Integer(event.seq),
            text_value("drifted"),
            text_value("[]"),
            Value::Real(0.5),
            text_value(""),
        ];
        rows.add(DRIFTS, row);
        Ok(StageOutput { next_event: Some(chain.to_le_bytes().to_vec()), planner_command: Some(vec![event.body[0]]) })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().to_le_bytes().to_vec()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32) {
        (None, event.body.clone(), 1)
    }
}

fn line(platform: &MemoryPlatform, dispatch: Dispatch) -> Line<MemoryPlatform> {
    Line::new(platform.clone(), "", dispatch).unwrap()
}

fn append_events(platform: &MemoryPlatform, bodies: impl IntoIterator<Item = Vec<u8>>) {
    for (at, body) in bodies.into_iter().enumerate() {
        run(queue::append(platform, Topic::Raw, "asset", &format!("id-{at}"), 0, &body)).unwrap();
    }
}

fn process(platform: &MemoryPlatform, now: i64) -> Result<(), LineError> {
    run(stage_driver::drain_queue::<HashChainStage, _>(&line(platform, Dispatch::Inline), "asset", now))
}

/// Returns everything that the stages wrote.
fn written_rows(platform: &MemoryPlatform) -> Vec<Vec<Vec<Value>>> {
    [
        "SELECT id, time FROM drifts ORDER BY time",
        "SELECT seq, body FROM events WHERE topic = 'processed-data' ORDER BY seq",
        "SELECT seq, body FROM events WHERE topic = 'alert-events' ORDER BY seq",
    ]
    .map(|statement| platform.rows(statement))
    .into()
}

#[test]
fn an_event_of_one_id_is_queued_once_and_in_order() {
    let platform = MemoryPlatform::new();
    let add = |id: &str| run(queue::append(&platform, Topic::Raw, "asset", id, 7, b"x")).unwrap();
    assert!(add("a"));
    assert!(add("b"));
    assert!(!add("a"));
    assert!(run(queue::append(&platform, Topic::Raw, "other", "a", 7, b"x")).unwrap());
    let queued = run(queue::read_after(&platform, Topic::Raw, "asset", 0)).unwrap();
    assert_eq!(queued.iter().map(|event| (event.seq, event.id.as_str())).collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
    assert_eq!(run(queue::read_after(&platform, Topic::Raw, "asset", 1)).unwrap().len(), 1);
}

#[test]
fn sequence_numbers_continue_after_old_events_are_pruned() {
    let platform = MemoryPlatform::new();
    append_events(&platform, (0..3).map(|at| vec![at]));
    process(&platform, 0).unwrap();
    run(queue::prune(&platform, 1)).unwrap();
    assert_eq!(platform.rows("SELECT seq FROM events WHERE topic = 'raw-sensor-data'"), [[Value::Integer(3)]]);
    append_events(&platform, [vec![1]]);
    assert_eq!(run(queue::read_after(&platform, Topic::Raw, "asset", 3)).unwrap()[0].seq, 4);
    assert_eq!(run(queue::pending_queues(&platform)).unwrap()[1], (Topic::Processed, "asset".to_owned()));
}

#[test]
fn racing_and_dying_instances_write_the_rows_of_a_single_one() {
    let bodies = || (0..200_u8).map(|at| vec![at.wrapping_mul(37)]);
    let clean = MemoryPlatform::new();
    append_events(&clean, bodies());
    process(&clean, 0).unwrap();
    for round in 0..5_u32 {
        let racing = MemoryPlatform::new();
        let instances: Vec<_> = (0..4_u32)
            .map(|instance| {
                let platform = racing.clone();
                thread::spawn(move || {
                    for (at, body) in (0..200_u8).map(|at| vec![at.wrapping_mul(37)]).enumerate() {
                        // Each instance appends each event once.
                        run(queue::append(&platform, Topic::Raw, "asset", &format!("id-{at}"), 0, &body)).unwrap();
                        let calls = (at as u32 * 7 + instance * 3 + round) % 23;
                        let _ = process(&platform.killed_after(calls), 0);
                    }
                })
            })
            .collect();
        for instance in instances {
            instance.join().unwrap();
        }
        process(&racing, 0).unwrap();
        // Four threads append in an order of their own; the line must keep that order.
        let order: Vec<u8> = racing
            .rows("SELECT body FROM events WHERE topic = 'raw-sensor-data' ORDER BY seq")
            .into_iter()
            .map(|row| match row.as_slice() {
                [Value::Blob(body)] => body[0],
                other => panic!("{other:?}"),
            })
            .collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let mut expected: Vec<u8> = bodies().flatten().collect();
        expected.sort_unstable();
        assert_eq!(sorted, expected, "each event is in the queue once");
        let replayed = MemoryPlatform::new();
        append_events(&replayed, order.iter().map(|&body| vec![body]));
        process(&replayed, 0).unwrap();
        assert_eq!(written_rows(&racing), written_rows(&replayed));
    }
}

#[test]
fn an_event_that_a_stage_rejects_becomes_a_dead_letter() {
    let platform = MemoryPlatform::new();
    append_events(&platform, [vec![1], b"rejected".to_vec(), vec![2]]);
    process(&platform, 0).unwrap();
    assert_eq!(platform.rows("SELECT count(*) FROM drifts"), [[Value::Integer(2)]]);
    let dead_letters =
        run(line(&platform, Dispatch::Inline).query(Table::DeadLetters, &Filter { limit: 9, ..Filter::default() }));
    let dead_letters = dead_letters.unwrap();
    assert!(
        dead_letters.contains("featurize rejected the event: no") && dead_letters.contains("stage-failure"),
        "{dead_letters}"
    );
}

#[test]
fn an_event_that_kills_its_instance_repeatedly_is_quarantined() {
    let platform = MemoryPlatform::new();
    append_events(&platform, [vec![1], b"poison".to_vec(), vec![2]]);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut attempts = 0;
    // Not within the first minute, regardless of the number of attempts.
    for now in [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30_000_000_000, 59_000_000_000] {
        assert!(catch_unwind(AssertUnwindSafe(|| process(&platform, now))).is_err());
        attempts += 1;
    }
    std::panic::set_hook(hook);
    assert!(attempts > 8);
    process(&platform, 61_000_000_000).unwrap();
    assert_eq!(platform.rows("SELECT count(*) FROM drifts"), [[Value::Integer(2)]]);
    assert_eq!(platform.rows("SELECT payload FROM dead_letters"), [[Value::Blob(b"poison".to_vec())]]);
}

#[test]
fn the_next_stage_is_notified_on_the_bus() {
    let platform = MemoryPlatform::new();
    append_events(&platform, [vec![1]]);
    run(stage_driver::drain_queue::<HashChainStage, _>(&line(&platform, Dispatch::Bus), "asset", 0)).unwrap();
    let take_notifications = || std::mem::take(&mut *platform.notifications.lock().unwrap());
    assert_eq!(take_notifications(), [(Topic::Processed, "asset".to_owned()), (Topic::Alerts, "plant".to_owned())]);
    run(queue::append(&platform, Topic::Raw, "asset", "bad", 0, b"rejected")).unwrap();
    run(stage_driver::drain_queue::<HashChainStage, _>(&line(&platform, Dispatch::Bus), "asset", 0)).unwrap();
    assert_eq!(take_notifications(), [(Topic::DeadLetters, "asset".to_owned())]);
}

#[test]
fn an_invalid_notification_is_an_error() {
    let platform = MemoryPlatform::new();
    let result = run(line(&platform, Dispatch::Bus).on_message(Topic::Raw, b"{\"sensor_id\": \"a\"}", 0));
    assert!(matches!(&result, Err(LineError::Broken(text)) if text.contains("raw-sensor-data")), "{result:?}");
    assert!(
        run(line(&platform, Dispatch::Bus).on_message_without_topic(b"{\"topic\": \"lunch\", \"key\": \"a\"}", 0))
            .is_err()
    );
    run(line(&platform, Dispatch::Bus).on_message_without_topic(b"{\"topic\": \"alert-events\", \"key\": \"none\"}", 0)).unwrap();
}

#[test]
fn an_invalid_plant_is_an_error() {
    let error = Line::new(MemoryPlatform::new(), "{\"ingset\": {}}", Dispatch::Inline).unwrap_err();
    assert!(error.to_string().contains("ingset") && error.to_string().contains("wheeltapper config plant"), "{error}");
}

#[test]
fn every_table_can_be_queried_with_every_filter() {
    let platform = MemoryPlatform::new();
    let line = line(&platform, Dispatch::Inline);
    let some = |text: &str| Some(text.to_owned());
    let all = Filter {
        id: some("a"),
        asset: some("a"),
        sensor: some("a"),
        kind: some("a"),
        after: Some(0),
        before: Some(1),
        limit: 5,
        offset: 1,
        points: Some(1),
    };
    let sites = ["north".to_owned(), "south/hall".to_owned()];
    for table in [
        Table::Sensors,
        Table::Readings,
        Table::Windows,
        Table::Anomalies,
        Table::Alerts,
        Table::Drifts,
        Table::Prognoses,
        Table::WorkOrders,
        Table::DeadLetters,
        Table::Waveforms,
        Table::Machines,
        Table::Actions,
        Table::Tasks,
    ] {
        assert_eq!(run(line.query(table, &all)).unwrap(), "[]", "{table:?}");
        let any = Filter { limit: 5, ..Filter::default() };
        assert_eq!(run(line.query(table, &any)).unwrap(), "[]", "{table:?}");
        for (filter, sites) in [(&any, &sites[..]), (&all, &[])] {
            let (statement, parameters) = select_statement(table, filter, Some(sites));
            assert_eq!(run(store::execute(&platform, &statement, &parameters)).unwrap().len(), 0, "{table:?}");
        }
    }
}
