//! The state as bytes: one byte of format version, then postcard.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

use crate::scheduler::SchedulerState;
use crate::tracked_orders::TrackedOrder;
use crate::{Alert, OrderStatus, StageError, WorkOrder};

const VERSION: u8 = 2;
/// The version without changes by people.
const VERSION_1: u8 = 1;

/// The state in version 1.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct StateV1 {
    now: Option<i64>,
    alerts: BTreeMap<String, Alert>,
    orders: BTreeMap<String, TrackedOrderV1>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct TrackedOrderV1 {
    record: WorkOrderV1,
    is_waiting_for_slot: bool,
    is_overdue: bool,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct WorkOrderV1 {
    id: String,
    alert: String,
    asset: String,
    kind: String,
    priority: u8,
    status: OrderStatus,
    scheduled: Option<i64>,
    duration_minutes: u32,
    technician: Option<String>,
    skills: Vec<String>,
    after: Vec<String>,
    cost: f64,
    notes: String,
}

impl From<TrackedOrderV1> for TrackedOrder {
    fn from(old: TrackedOrderV1) -> Self {
        let TrackedOrderV1 { record, is_waiting_for_slot, is_overdue } = old;
        let record = WorkOrder {
            id: record.id,
            alert: record.alert,
            asset: record.asset,
            kind: record.kind,
            priority: record.priority,
            status: record.status,
            scheduled: record.scheduled,
            duration_minutes: record.duration_minutes,
            technician: record.technician,
            skills: record.skills,
            after: record.after,
            cost: record.cost,
            notes: record.notes,
            pinned: false,
        };
        Self { record, is_waiting_for_slot, is_overdue }
    }
}

impl From<StateV1> for SchedulerState {
    fn from(old: StateV1) -> Self {
        let orders = old.orders.into_iter().map(|(id, order)| (id, order.into())).collect();
        Self { now: old.now, alerts: old.alerts, orders, closed_orders: BTreeMap::new() }
    }
}

pub(crate) fn write(state: &SchedulerState) -> Vec<u8> {
    // Writing into a Vec fails only for types that postcard cannot represent, which a test would detect.
    postcard::to_extend(state, vec![VERSION]).unwrap_or_default()
}

pub(crate) fn read(bytes: &[u8]) -> Result<SchedulerState, StageError> {
    let (version, rest) = bytes
        .split_first()
        .ok_or_else(|| StageError::Snapshot("expected at least one byte, but it is empty".into()))?;
    match *version {
        VERSION => decode_exact(rest),
        VERSION_1 => decode_exact::<StateV1>(rest).map(SchedulerState::from),
        other => Err(StageError::Snapshot(format!(
            "expected format version {VERSION} or {VERSION_1}, but it is {other}; replay from the log instead"
        ))),
    }
}

fn decode_exact<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StageError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        Ok((_, extra)) => Err(StageError::Snapshot(format!("{} bytes too many; it is damaged", extra.len()))),
        Err(error) => Err(StageError::Snapshot(format!("it is damaged: {error}; replay from the log instead"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_read() {
        let record = WorkOrderV1 {
            id: "id".into(),
            alert: "alert".into(),
            asset: "p/1".into(),
            kind: "inspection".into(),
            priority: 3,
            status: OrderStatus::Planned,
            scheduled: Some(7),
            duration_minutes: 60,
            technician: Some("Ada".into()),
            skills: vec!["mechanic".into()],
            after: Vec::new(),
            cost: 60.0,
            notes: "notes".into(),
        };
        let orders =
            [("id".to_owned(), TrackedOrderV1 { record, is_waiting_for_slot: false, is_overdue: true })].into();
        let old = StateV1 { now: Some(5), alerts: BTreeMap::new(), orders };
        let state = read(&postcard::to_extend(&old, vec![VERSION_1]).unwrap()).unwrap();
        let order = &state.orders["id"];
        assert_eq!(
            (state.now, order.is_overdue, order.record.scheduled, order.record.pinned),
            (Some(5), true, Some(7), false)
        );
        assert_eq!(read(&write(&state)).unwrap(), state);
    }
}
