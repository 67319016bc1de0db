//! The schedule stage: alerts and users' commands to work orders.

use crate::{
    Table, Topic, Value,
    acts::{self, Asked, Status, Wish},
    contracts::{
        schedule::{Amendment, Scheduler},
        types::{OrderStatus, StageError, WorkOrder},
    },
    error::words,
    events::{Plan, Task},
    look,
    queue::Queued,
    rows::{ANSWERED, Rows, WORK_ORDERS, maybe_integer, maybe_text, text},
    segment::{Output, Segment},
};

pub(crate) struct Planning {
    scheduler: Scheduler,
    config: String,
}

impl Segment for Planning {
    const INPUT: Topic = Topic::Alerts;
    const OUTPUT: Option<Topic> = None;
    const NAME: &'static str = "schedule";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Scheduler::open(config),
            Some(snapshot) => Scheduler::restore(config, snapshot),
        };
        let scheduler = opened.map_err(|error| words(&error))?;
        Ok(Self { scheduler, config: config.to_owned() })
    }

    fn step(&self, _key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String> {
        let command: Plan = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let orders = match command {
            Plan::Alerts(alerts) => self.scheduler.push(&alerts),
            Plan::Tick(now) => self.scheduler.tick(now),
            Plan::Amend { order, wish: change, now } => self.amend(order, change, now),
            Plan::Task(task) => {
                rows.add(ANSWERED, answer(&task, self.plan(&task)));
                return Ok(Output::default());
            }
        };
        for order in orders.map_err(|error| words(&error))? {
            rows.add(WORK_ORDERS, row(&order, event.seq));
        }
        Ok(Output::default())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.scheduler.snapshot()
    }

    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 0)
    }
}

impl Planning {
    /// Amends the order first, then replans: if the amendment is rejected, nothing may have changed.
    fn amend(&self, order: String, change: Wish, now: i64) -> Result<Vec<WorkOrder>, StageError> {
        let Wish { scheduled_time, technician, pinned, status } = change;
        let status = status.map(|status| match status {
            Status::Planned => OrderStatus::Planned,
            Status::Done => OrderStatus::Done,
            Status::Cancelled => OrderStatus::Cancelled,
        });
        let mut changed =
            self.scheduler.amend(&[Amendment { order, scheduled: scheduled_time, technician, pinned, status }])?;
        changed.extend(self.scheduler.tick(now)?);
        Ok(changed)
    }

    /// Computes a what-if plan on a copy of the scheduler.
    fn plan(&self, task: &Task) -> Result<serde_json::Value, String> {
        let request = Asked::parse(&task.request).map_err(|error| error.to_string())?;
        let config = request.narrow(&self.config).map_err(|error| error.to_string())?;
        let copy = || {
            let copy = Scheduler::restore(&config, &self.scheduler.snapshot())?;
            copy.tick(task.now)?;
            copy.amend(&[])?;
            copy.orders()
        };
        let orders = copy().map_err(|error| words(&error))?;
        let orders = orders.iter().map(|order| look::object(Table::WorkOrders, columns(order))).collect();
        Ok(acts::plan(orders, task.assets.as_deref(), request.from(task.now)))
    }
}

fn answer(task: &Task, plan: Result<serde_json::Value, String>) -> Vec<Value> {
    let (status, result) = match plan {
        Ok(plan) => ("done", plan),
        Err(error) => ("failed", serde_json::json!({ "error": error })),
    };
    vec![
        text(task.id.as_str()),
        Value::Integer(task.now),
        text(status),
        text(task.request.as_str()),
        text(result.to_string()),
        // A fold has no clock, so the task is finished at the time of its request.
        Value::Integer(task.now),
    ]
}

fn row(order: &WorkOrder, seq: i64) -> Vec<Value> {
    let mut row = columns(order);
    row.push(Value::Integer(seq));
    row
}

/// Returns the columns of a work order in the order of [`Table::WorkOrders`].
fn columns(order: &WorkOrder) -> Vec<Value> {
    let status = match order.status {
        OrderStatus::Planned => "planned",
        OrderStatus::Unscheduled => "unscheduled",
        OrderStatus::Done => "done",
        OrderStatus::Cancelled => "cancelled",
    };
    vec![
        text(order.id.as_str()),
        text(order.alert.as_str()),
        text(order.asset.as_str()),
        text(order.kind.as_str()),
        Value::Integer(i64::from(order.priority)),
        text(status),
        maybe_integer(order.scheduled),
        Value::Integer(i64::from(order.duration_minutes)),
        maybe_text(order.technician.as_deref()),
        text(serde_json::json!(order.skills).to_string()),
        text(serde_json::json!(order.after).to_string()),
        Value::Real(order.cost),
        text(order.notes.as_str()),
        Value::Integer(i64::from(order.pinned)),
    ]
}
