//! Exports the WIT interface: converts between the generated types and those of this crate.

use std::cell::RefCell;

use crate::{Alert, Amendment, OrderStatus, Scheduler, Severity, StageError, WorkOrder};

wit_bindgen::generate!({ path: "../../wit", world: "schedule-stage" });

use exports::wheeltapper::pipeline::schedule::{self, Guest, GuestScheduler};
use wheeltapper::pipeline::types;

struct Component;

export!(Component);

impl Guest for Component {
    type Scheduler = SchedulerResource;
}

/// The resource `scheduler` of the WIT interface.
struct SchedulerResource(RefCell<Scheduler>);

impl GuestScheduler for SchedulerResource {
    fn open(config: String) -> Result<schedule::Scheduler, types::StageError> {
        Ok(schedule::Scheduler::new(Self(RefCell::new(Scheduler::open(&config)?))))
    }

    fn restore(config: String, snapshot: Vec<u8>) -> Result<schedule::Scheduler, types::StageError> {
        Ok(schedule::Scheduler::new(Self(RefCell::new(Scheduler::restore(&config, &snapshot)?))))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn push(&self, alerts: Vec<types::Alert>) -> Result<Vec<types::WorkOrder>, types::StageError> {
        let alerts: Vec<Alert> = alerts.into_iter().map(Alert::from).collect();
        Ok(self.0.borrow_mut().push(&alerts).into_iter().map(types::WorkOrder::from).collect())
    }

    fn tick(&self, now: i64) -> Result<Vec<types::WorkOrder>, types::StageError> {
        Ok(self.0.borrow_mut().tick(now).into_iter().map(types::WorkOrder::from).collect())
    }

    fn amend(&self, amendments: Vec<schedule::Amendment>) -> Result<Vec<types::WorkOrder>, types::StageError> {
        let amendments: Vec<Amendment> = amendments.into_iter().map(Amendment::from).collect();
        Ok(self.0.borrow_mut().amend(&amendments)?.into_iter().map(types::WorkOrder::from).collect())
    }

    fn orders(&self) -> Result<Vec<types::WorkOrder>, types::StageError> {
        Ok(self.0.borrow().orders().cloned().map(types::WorkOrder::from).collect())
    }
}

impl From<schedule::Amendment> for Amendment {
    fn from(amendment: schedule::Amendment) -> Self {
        Self {
            order: amendment.order,
            scheduled: amendment.scheduled,
            technician: amendment.technician,
            pinned: amendment.pinned,
            status: amendment.status.map(|status| match status {
                types::OrderStatus::Planned => OrderStatus::Planned,
                types::OrderStatus::Unscheduled => OrderStatus::Unscheduled,
                types::OrderStatus::Done => OrderStatus::Done,
                types::OrderStatus::Cancelled => OrderStatus::Cancelled,
            }),
        }
    }
}

impl From<StageError> for types::StageError {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Config(message) => Self::Config(message),
            StageError::Snapshot(message) => Self::Snapshot(message),
            StageError::Batch(message) => Self::Batch(message),
        }
    }
}

impl From<types::Alert> for Alert {
    fn from(alert: types::Alert) -> Self {
        Self {
            id: alert.id,
            asset: alert.asset,
            sensor: alert.sensor,
            severity: match alert.severity {
                types::Severity::Low => Severity::Low,
                types::Severity::Medium => Severity::Medium,
                types::Severity::High => Severity::High,
                types::Severity::Critical => Severity::Critical,
            },
            open: matches!(alert.state, types::AlertState::Open),
            opened: alert.opened,
            updated: alert.updated,
            fault_mode: alert.fault_mode,
            title: alert.title,
            recommendation: alert.recommendation,
        }
    }
}

impl From<WorkOrder> for types::WorkOrder {
    fn from(order: WorkOrder) -> Self {
        Self {
            id: order.id,
            alert: order.alert,
            asset: order.asset,
            kind: order.kind,
            priority: order.priority,
            status: match order.status {
                OrderStatus::Planned => types::OrderStatus::Planned,
                OrderStatus::Unscheduled => types::OrderStatus::Unscheduled,
                OrderStatus::Done => types::OrderStatus::Done,
                OrderStatus::Cancelled => types::OrderStatus::Cancelled,
            },
            scheduled: order.scheduled,
            duration_minutes: order.duration_minutes,
            technician: order.technician,
            skills: order.skills,
            after: order.after,
            cost: order.cost,
            notes: order.notes,
            pinned: order.pinned,
        }
    }
}
