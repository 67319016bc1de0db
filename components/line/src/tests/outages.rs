//! What fails may be the store, the state or the stage; only the stage's failures count against an event.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{Chain, Platform, put, run};
use crate::{Dialect, Drive, Line, LineError, PortError, Ports, Topic, Value, queue, segment};

const SECOND: i64 = 1_000_000_000;

/// What of a platform is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Nothing,
    /// All of it.
    Everything,
    /// State cannot be written.
    State,
    /// Statements that hold this text fail ...
    Store(&'static str),
    /// ... or are refused for their values.
    Values(&'static str),
}

/// A platform of which something can be out.
struct Flaky {
    platform: Platform,
    out: Cell<Out>,
}

impl Ports for Flaky {
    type Version = u64;

    fn dialect(&self) -> Dialect {
        self.platform.dialect()
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        match self.out.get() {
            Out::Everything => Err(PortError("the store does not answer".into())),
            Out::Store(text) if statement.contains(text) => Err(PortError("disk I/O error".into())),
            Out::Values(text) if statement.contains(text) => Err(PortError("string or blob too big".into())),
            _ => self.platform.sql(statement, parameters).await,
        }
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, u64), PortError> {
        match self.out.get() {
            Out::Everything => Err(PortError("the state does not answer".into())),
            _ => self.platform.load(key).await,
        }
    }

    async fn swap(&self, key: &str, held: u64, body: Vec<u8>) -> Result<bool, PortError> {
        match self.out.get() {
            Out::Everything | Out::State => Err(PortError("the state does not answer".into())),
            _ => self.platform.swap(key, held, body).await,
        }
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        self.platform.publish(topic, key, body).await
    }
}

fn line(platform: &Platform, out: Out) -> Line<Flaky> {
    Line::new(Flaky { platform: platform.clone(), out: Cell::new(out) }, "", Drive::Inline).unwrap()
}

fn work(line: &Line<Flaky>, now: i64) -> Result<(), LineError> {
    run(segment::drain::<Chain, _>(line, "asset", now))
}

fn count(platform: &Platform, table: &str) -> i64 {
    // The table is made by the first that writes to it.
    let made = platform.rows(&format!("SELECT count(*) FROM sqlite_master WHERE name = '{table}'"));
    match (made[0][0].clone(), platform) {
        (Value::Integer(0), _) => 0,
        _ => match platform.rows(&format!("SELECT count(*) FROM {table}"))[0][0] {
            Value::Integer(count) => count,
            _ => -1,
        },
    }
}

#[test]
fn an_outage_of_an_hour_costs_no_event() {
    let all = [
        Out::Everything,
        Out::State,
        Out::Store("INSERT INTO drifts"),
        Out::Store("INSERT INTO events"),
        Out::Store("SELECT seq, id"),
    ];
    for out in all {
        let platform = Platform::new();
        put(&platform, [vec![1], vec![2]]);
        let broken = line(&platform, out);
        for second in (0..3600).step_by(5) {
            assert!(matches!(work(&broken, second * SECOND), Err(LineError::Unavailable(_))), "{out:?}");
        }
        let sound = line(&platform, Out::Nothing);
        work(&sound, 3600 * SECOND).unwrap();
        assert_eq!((count(&platform, "drifts"), count(&platform, "dead_letters")), (2, 0), "{out:?}");
        assert!(run(queue::waiting(&platform)).unwrap().iter().all(|(topic, _)| *topic != Topic::Raw), "{out:?}");
    }
}

#[test]
fn a_stage_that_traps_is_given_up_outages_or_not() {
    let platform = Platform::new();
    put(&platform, [vec![1], b"poison".to_vec(), vec![2]]);
    let (broken, sound) = (line(&platform, Out::State), line(&platform, Out::Nothing));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut traps = 0;
    for second in 0..120 {
        // Where the good event before it is alone, the outage fails it; where the poison is met, it kills.
        let _ = catch_unwind(AssertUnwindSafe(|| work(&broken, second * SECOND)));
        let trapped = catch_unwind(AssertUnwindSafe(|| work(&sound, second * SECOND)));
        traps += u32::from(trapped.is_err());
        if matches!(trapped, Ok(Ok(()))) {
            break;
        }
    }
    std::panic::set_hook(hook);
    assert!(traps > 8, "{traps}");
    assert_eq!((count(&platform, "drifts"), count(&platform, "dead_letters")), (2, 1));
    assert_eq!(platform.rows("SELECT payload FROM dead_letters"), [[Value::Blob(b"poison".to_vec())]]);
}

#[test]
fn what_the_store_refuses_for_its_values_does_not_hold_the_queue_for_ever() {
    let platform = Platform::new();
    put(&platform, [vec![1], vec![2]]);
    let refusing = line(&platform, Out::Values("INSERT INTO drifts"));
    let mut tries = 0;
    for second in (0..600).step_by(5) {
        tries += 1;
        if work(&refusing, second * SECOND).is_ok() {
            break;
        }
    }
    assert!((20..60).contains(&tries), "{tries}");
    assert_eq!((count(&platform, "drifts"), count(&platform, "dead_letters")), (0, 2));
}
