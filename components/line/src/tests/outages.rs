//! Failures of the store, the state and the stage: only the stage's failures count against an event.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{HashChainStage, MemoryPlatform, append_events, run};
use crate::{Dialect, Dispatch, Line, LineError, PortError, Ports, Topic, Value, queue, stage_driver};

const SECOND: i64 = 1_000_000_000;

/// The part of a platform that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Nothing,
    /// The whole platform.
    Everything,
    /// Writes of state.
    State,
    /// Statements that contain this text.
    Store(&'static str),
    /// Statements that contain this text, with an error about their values.
    Values(&'static str),
}

/// A platform with a part that can fail.
struct FailingPlatform {
    platform: MemoryPlatform,
    outage: Cell<Outage>,
}

impl Ports for FailingPlatform {
    type Version = u64;

    fn dialect(&self) -> Dialect {
        self.platform.dialect()
    }

    async fn sql(&self, statement: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, PortError> {
        match self.outage.get() {
            Outage::Everything => Err(PortError("the store does not answer".into())),
            Outage::Store(text) if statement.contains(text) => Err(PortError("disk I/O error".into())),
            Outage::Values(text) if statement.contains(text) => Err(PortError("string or blob too big".into())),
            _ => self.platform.sql(statement, parameters).await,
        }
    }

    async fn load(&self, key: &str) -> Result<(Option<Vec<u8>>, u64), PortError> {
        match self.outage.get() {
            Outage::Everything => Err(PortError("the state does not answer".into())),
            _ => self.platform.load(key).await,
        }
    }

    async fn swap(&self, key: &str, version: u64, body: Vec<u8>) -> Result<bool, PortError> {
        match self.outage.get() {
            Outage::Everything | Outage::State => Err(PortError("the state does not answer".into())),
            _ => self.platform.swap(key, version, body).await,
        }
    }

    async fn publish(&self, topic: Topic, key: &str, body: &[u8]) -> Result<(), PortError> {
        self.platform.publish(topic, key, body).await
    }
}

fn line(platform: &MemoryPlatform, outage: Outage) -> Line<FailingPlatform> {
    Line::new(FailingPlatform { platform: platform.clone(), outage: Cell::new(outage) }, "", Dispatch::Inline).unwrap()
}

fn process(line: &Line<FailingPlatform>, now: i64) -> Result<(), LineError> {
    run(stage_driver::drain_queue::<HashChainStage, _>(line, "asset", now))
}

fn count(platform: &MemoryPlatform, table: &str) -> i64 {
    // The table is created by the first write to it.
    let table_count = platform.rows(&format!("SELECT count(*) FROM sqlite_master WHERE name = '{table}'"));
    match (table_count[0][0].clone(), platform) {
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
        Outage::Everything,
        Outage::State,
        Outage::Store("INSERT INTO drifts"),
        Outage::Store("INSERT INTO events"),
        Outage::Store("SELECT seq, id"),
    ];
    for outage in all {
        let platform = MemoryPlatform::new();
        append_events(&platform, [vec![1], vec![2]]);
        let broken = line(&platform, outage);
        for second in (0..3600).step_by(5) {
            assert!(matches!(process(&broken, second * SECOND), Err(LineError::Unavailable(_))), "{outage:?}");
        }
        let working = line(&platform, Outage::Nothing);
        process(&working, 3600 * SECOND).unwrap();
        assert_eq!((count(&platform, "drifts"), count(&platform, "dead_letters")), (2, 0), "{outage:?}");
        assert!(
            run(queue::pending_queues(&platform)).unwrap().iter().all(|(topic, _)| *topic != Topic::Raw),
            "{outage:?}"
        );
    }
}

#[test]
fn an_event_that_traps_its_stage_is_quarantined_despite_outages() {
    let platform = MemoryPlatform::new();
    append_events(&platform, [vec![1], b"poison".to_vec(), vec![2]]);
    let (broken, working) = (line(&platform, Outage::State), line(&platform, Outage::Nothing));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut traps = 0;
    for second in 0..120 {
        // The outage fails the valid event that comes first; the poison event kills the instance when it is reached.
        let _ = catch_unwind(AssertUnwindSafe(|| process(&broken, second * SECOND)));
        let trapped = catch_unwind(AssertUnwindSafe(|| process(&working, second * SECOND)));
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
fn an_event_whose_values_the_store_rejects_is_quarantined() {
    let platform = MemoryPlatform::new();
    append_events(&platform, [vec![1], vec![2]]);
    let rejecting = line(&platform, Outage::Values("INSERT INTO drifts"));
    let mut tries = 0;
    for second in (0..600).step_by(5) {
        tries += 1;
        if process(&rejecting, second * SECOND).is_ok() {
            break;
        }
    }
    assert!((20..60).contains(&tries), "{tries}");
    assert_eq!((count(&platform, "drifts"), count(&platform, "dead_letters")), (0, 2));
}
