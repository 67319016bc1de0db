//! The driver under instances that die, race and repeat, with a toy stage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod looks;
mod outages;
mod people;

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
    Dialect, Drive, Filter, Line, LineError, PortError, Ports, Table, Topic, Value, question,
    queue::{self, Queued},
    rows::{DRIFTS, Rows, text},
    segment::{self, Output, Segment},
    store,
};

/// Version and value by key.
type States = HashMap<String, (u64, Vec<u8>)>;

/// A platform in memory. Each clone is an instance's own way in.
#[derive(Clone, Debug)]
struct Platform {
    store: Arc<Mutex<Connection>>,
    state: Arc<Mutex<States>>,
    nudges: Arc<Mutex<Vec<(Topic, String)>>>,
    /// The instance dies at this many calls from now.
    lives: RefCell<Option<u32>>,
}

impl Platform {
    fn new() -> Self {
        Self {
            store: Arc::new(Mutex::new(Connection::open_in_memory().unwrap())),
            state: Arc::default(),
            nudges: Arc::default(),
            lives: RefCell::new(None),
        }
    }

    fn dying_after(&self, calls: u32) -> Self {
        Self { lives: RefCell::new(Some(calls)), ..self.clone() }
    }

    fn live(&self) -> Result<(), PortError> {
        match &mut *self.lives.borrow_mut() {
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

impl Ports for Platform {
    type Version = u64;

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        self.live()?;
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |error: rusqlite::Error| PortError(error.to_string());
        let mut prepared = store.prepare(statement).map_err(told)?;
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
        rows.map_err(told)?.collect::<Result<_, _>>().map_err(told)
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, u64), PortError> {
        self.live()?;
        let state = self.state.lock().unwrap();
        Ok(state.get(key).map_or((None, 0), |(version, body)| (Some(body.clone()), *version)))
    }

    async fn swap(&self, key: &str, held: u64, body: Vec<u8>) -> Result<bool, PortError> {
        self.live()?;
        let mut state = self.state.lock().unwrap();
        let version = state.get(key).map_or(0, |(version, _)| *version);
        if version != held {
            return Ok(false);
        }
        state.insert(key.to_owned(), (version + 1, body));
        Ok(true)
    }

    async fn publish(&self, topic: Topic, key: &str, _body: &[u8]) -> Result<(), PortError> {
        self.live()?;
        self.nudges.lock().unwrap().push((topic, key.to_owned()));
        Ok(())
    }
}

/// A future that never waits.
fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// A stage whose output tells the order of all that it took.
struct Chain(RefCell<u64>);

impl Segment for Chain {
    const INPUT: Topic = Topic::Raw;
    const OUTPUT: Option<Topic> = Some(Topic::Processed);
    const NAME: &'static str = "featurize";

    fn open(_config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let chain = snapshot.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        Ok(Self(RefCell::new(chain)))
    }

    fn step(&self, _key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String> {
        match event.body.as_slice() {
            b"refused" => return Err("no".into()),
            b"poison" => panic!("poison"),
            _ => {}
        }
        let mut chain = self.0.borrow_mut();
        *chain = chain.wrapping_mul(31).wrapping_add(u64::from(event.body[0]) + 1);
        let row = vec![
            text(format!("{chain}")),
            text("asset"),
            Value::Integer(event.seq),
            text("drifted"),
            text("[]"),
            Value::Real(0.5),
            text(""),
        ];
        rows.add(DRIFTS, row);
        Ok(Output { next: Some(chain.to_le_bytes().to_vec()), plan: Some(vec![event.body[0]]) })
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().to_le_bytes().to_vec()
    }

    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 1)
    }
}

fn line(platform: &Platform, drive: Drive) -> Line<Platform> {
    Line::new(platform.clone(), "", drive).unwrap()
}

fn put(platform: &Platform, bodies: impl IntoIterator<Item = Vec<u8>>) {
    for (at, body) in bodies.into_iter().enumerate() {
        run(queue::append(platform, Topic::Raw, "asset", &format!("id-{at}"), 0, &body)).unwrap();
    }
}

fn work(platform: &Platform, now: i64) -> Result<(), LineError> {
    run(segment::drain::<Chain, _>(&line(platform, Drive::Inline), "asset", now))
}

/// All that the end of the line can be told by.
fn end(platform: &Platform) -> Vec<Vec<Vec<Value>>> {
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
    let platform = Platform::new();
    let add = |id: &str| run(queue::append(&platform, Topic::Raw, "asset", id, 7, b"x")).unwrap();
    assert!(add("a"));
    assert!(add("b"));
    assert!(!add("a"));
    assert!(run(queue::append(&platform, Topic::Raw, "other", "a", 7, b"x")).unwrap());
    let queued = run(queue::after(&platform, Topic::Raw, "asset", 0)).unwrap();
    assert_eq!(queued.iter().map(|each| (each.seq, each.id.as_str())).collect::<Vec<_>>(), [(1, "a"), (2, "b")]);
    assert_eq!(run(queue::after(&platform, Topic::Raw, "asset", 1)).unwrap().len(), 1);
}

#[test]
fn numbers_go_on_after_old_events_were_forgotten() {
    let platform = Platform::new();
    put(&platform, (0..3).map(|at| vec![at]));
    work(&platform, 0).unwrap();
    run(queue::forget(&platform, 1)).unwrap();
    assert_eq!(platform.rows("SELECT seq FROM events WHERE topic = 'raw-sensor-data'"), [[Value::Integer(3)]]);
    put(&platform, [vec![1]]);
    assert_eq!(run(queue::after(&platform, Topic::Raw, "asset", 3)).unwrap()[0].seq, 4);
    assert_eq!(run(queue::waiting(&platform)).unwrap()[1], (Topic::Processed, "asset".to_owned()));
}

#[test]
fn instances_that_race_and_die_end_as_one_that_does_not() {
    let bodies = || (0..200_u8).map(|at| vec![at.wrapping_mul(37)]);
    let clean = Platform::new();
    put(&clean, bodies());
    work(&clean, 0).unwrap();
    for round in 0..5_u32 {
        let stormy = Platform::new();
        let instances: Vec<_> = (0..4_u32)
            .map(|instance| {
                let platform = stormy.clone();
                thread::spawn(move || {
                    for (at, body) in (0..200_u8).map(|at| vec![at.wrapping_mul(37)]).enumerate() {
                        // Each event comes once from each instance.
                        run(queue::append(&platform, Topic::Raw, "asset", &format!("id-{at}"), 0, &body)).unwrap();
                        let calls = (at as u32 * 7 + instance * 3 + round) % 23;
                        let _ = work(&platform.dying_after(calls), 0);
                    }
                })
            })
            .collect();
        for instance in instances {
            instance.join().unwrap();
        }
        work(&stormy, 0).unwrap();
        // The order in which four bring them is theirs; the line must keep that order, whatever it is.
        let order: Vec<u8> = stormy
            .rows("SELECT body FROM events WHERE topic = 'raw-sensor-data' ORDER BY seq")
            .into_iter()
            .map(|row| match row.as_slice() {
                [Value::Blob(body)] => body[0],
                other => panic!("{other:?}"),
            })
            .collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let mut wanted: Vec<u8> = bodies().flatten().collect();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "each event is in the queue once");
        let replayed = Platform::new();
        put(&replayed, order.iter().map(|&body| vec![body]));
        work(&replayed, 0).unwrap();
        assert_eq!(end(&stormy), end(&replayed));
    }
}

#[test]
fn what_a_stage_refuses_is_a_dead_letter_and_the_rest_goes_on() {
    let platform = Platform::new();
    put(&platform, [vec![1], b"refused".to_vec(), vec![2]]);
    work(&platform, 0).unwrap();
    assert_eq!(platform.rows("SELECT count(*) FROM drifts"), [[Value::Integer(2)]]);
    let letters =
        run(line(&platform, Drive::Inline).look(Table::DeadLetters, &Filter { limit: 9, ..Filter::default() }));
    let letters = letters.unwrap();
    assert!(letters.contains("featurize refused: no") && letters.contains("stage-failure"), "{letters}");
}

#[test]
fn what_kills_its_instance_again_and_again_is_given_up() {
    let platform = Platform::new();
    put(&platform, [vec![1], b"poison".to_vec(), vec![2]]);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut attempts = 0;
    // Not within the first minute, however many try.
    for now in [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30_000_000_000, 59_000_000_000] {
        assert!(catch_unwind(AssertUnwindSafe(|| work(&platform, now))).is_err());
        attempts += 1;
    }
    std::panic::set_hook(hook);
    assert!(attempts > 8);
    work(&platform, 61_000_000_000).unwrap();
    assert_eq!(platform.rows("SELECT count(*) FROM drifts"), [[Value::Integer(2)]]);
    assert_eq!(platform.rows("SELECT payload FROM dead_letters"), [[Value::Blob(b"poison".to_vec())]]);
}

#[test]
fn the_stage_that_follows_is_told_on_the_bus() {
    let platform = Platform::new();
    put(&platform, [vec![1]]);
    run(segment::drain::<Chain, _>(&line(&platform, Drive::Bus), "asset", 0)).unwrap();
    let nudges = || std::mem::take(&mut *platform.nudges.lock().unwrap());
    assert_eq!(nudges(), [(Topic::Processed, "asset".to_owned()), (Topic::Alerts, "plant".to_owned())]);
    run(queue::append(&platform, Topic::Raw, "asset", "bad", 0, b"refused")).unwrap();
    run(segment::drain::<Chain, _>(&line(&platform, Drive::Bus), "asset", 0)).unwrap();
    assert_eq!(nudges(), [(Topic::DeadLetters, "asset".to_owned())]);
}

#[test]
fn a_message_that_is_no_nudge_is_told() {
    let platform = Platform::new();
    let heard = run(line(&platform, Drive::Bus).heard(Topic::Raw, b"{\"sensor_id\": \"a\"}", 0));
    assert!(matches!(&heard, Err(LineError::Broken(text)) if text.contains("raw-sensor-data")), "{heard:?}");
    assert!(run(line(&platform, Drive::Bus).heard_somewhere(b"{\"topic\": \"lunch\", \"key\": \"a\"}", 0)).is_err());
    run(line(&platform, Drive::Bus).heard_somewhere(b"{\"topic\": \"alert-events\", \"key\": \"none\"}", 0)).unwrap();
}

#[test]
fn a_plant_that_is_none_is_told() {
    let told = Line::new(Platform::new(), "{\"ingset\": {}}", Drive::Inline).unwrap_err();
    assert!(told.to_string().contains("ingset") && told.to_string().contains("wheeltapper config plant"), "{told}");
}

#[test]
fn every_table_can_be_asked_in_every_way() {
    let platform = Platform::new();
    let line = line(&platform, Drive::Inline);
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
        assert_eq!(run(line.look(table, &all)).unwrap(), "[]", "{table:?}");
        let any = Filter { limit: 5, ..Filter::default() };
        assert_eq!(run(line.look(table, &any)).unwrap(), "[]", "{table:?}");
        for (filter, sites) in [(&any, &sites[..]), (&all, &[])] {
            let (statement, parameters) = question(table, filter, Some(sites));
            assert_eq!(run(store::run(&platform, &statement, &parameters)).unwrap().len(), 0, "{table:?}");
        }
    }
}
