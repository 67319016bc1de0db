//! Alerts to work orders.

use crate::{
    Topic, Value,
    contracts::{
        schedule::Scheduler,
        types::{OrderStatus, WorkOrder},
    },
    error::words,
    events::Plan,
    queue::Queued,
    rows::{Rows, WORK_ORDERS, maybe_integer, maybe_text, text},
    segment::{Output, Segment},
};

pub(crate) struct Planning(Scheduler);

impl Segment for Planning {
    const INPUT: Topic = Topic::Alerts;
    const OUTPUT: Option<Topic> = None;
    const NAME: &'static str = "schedule";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Scheduler::open(config),
            Some(snapshot) => Scheduler::restore(config, snapshot),
        };
        opened.map(Self).map_err(|error| words(&error))
    }

    fn step(&self, _key: &str, event: &Queued, rows: &mut Rows) -> Result<Output, String> {
        let plan: Plan = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let orders = match plan {
            Plan::Alerts(alerts) => self.0.push(&alerts),
            Plan::Tick(now) => self.0.tick(now),
        };
        for order in orders.map_err(|error| words(&error))? {
            rows.add(WORK_ORDERS, row(&order, event.seq));
        }
        Ok(Output::default())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn letter(event: &Queued) -> (Option<&'static str>, Vec<u8>, i64) {
        (None, event.body.clone(), 0)
    }
}

fn row(order: &WorkOrder, seq: i64) -> Vec<Value> {
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
        Value::Integer(seq),
    ]
}
