//! The schedule stage: alerts and users' commands to work orders.

use crate::{
    Table, Topic, Value,
    action_rules::{self, OrderStatusChange, PlanRequest, WorkOrderChange},
    contract_mapping::work_order_row,
    contracts::{
        schedule::{Amendment, Scheduler},
        types::{OrderStatus, StageError, WorkOrder},
    },
    error::describe_stage_error,
    events::{PlanTask, PlannerCommand},
    query,
    queue::QueuedEvent,
    rows::{FINISHED_TASKS, RowBatch, WORK_ORDERS, text_value, with_sequence},
    stage_driver::{Stage, StageOutput},
};

pub(crate) struct ScheduleStage {
    scheduler: Scheduler,
    config: String,
}

impl Stage for ScheduleStage {
    const INPUT: Topic = Topic::Alerts;
    const OUTPUT: Option<Topic> = None;
    const NAME: &'static str = "schedule";

    fn open(config: &str, snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = match snapshot {
            None => Scheduler::open(config),
            Some(snapshot) => Scheduler::restore(config, snapshot),
        };
        let scheduler = opened.map_err(|error| describe_stage_error(&error))?;
        Ok(Self { scheduler, config: config.to_owned() })
    }

    fn process(&self, _key: &str, event: &QueuedEvent, rows: &mut RowBatch) -> Result<StageOutput, String> {
        let command: PlannerCommand = postcard::from_bytes(&event.body).map_err(|error| error.to_string())?;
        let orders = match command {
            PlannerCommand::Alerts(alerts) => self.scheduler.push(&alerts),
            PlannerCommand::Tick(now) => self.scheduler.tick(now),
            PlannerCommand::AmendWorkOrder { order, change, now } => self.amend_and_replan(order, change, now),
            PlannerCommand::PlanTask(task) => {
                rows.add(FINISHED_TASKS, task_row(&task, self.plan_what_if(&task)));
                return Ok(StageOutput::default());
            }
        };
        for order in orders.map_err(|error| describe_stage_error(&error))? {
            rows.add(WORK_ORDERS, with_sequence(work_order_row(&order).into_values(), event.seq));
        }
        Ok(StageOutput::default())
    }

    fn snapshot(&self) -> Vec<u8> {
        self.scheduler.snapshot()
    }

    fn to_dead_letter(event: &QueuedEvent) -> (Option<&'static str>, Vec<u8>, u32) {
        (None, event.body.clone(), 0)
    }
}

impl ScheduleStage {
    /// Amends the order first, then replans: if the amendment is rejected, nothing may have changed.
    fn amend_and_replan(&self, order: String, change: WorkOrderChange, now: i64) -> Result<Vec<WorkOrder>, StageError> {
        let WorkOrderChange { scheduled_time, technician, pinned, status } = change;
        let status = status.map(|status| match status {
            OrderStatusChange::Planned => OrderStatus::Planned,
            OrderStatusChange::Done => OrderStatus::Done,
            OrderStatusChange::Cancelled => OrderStatus::Cancelled,
        });
        let mut changed =
            self.scheduler.amend(&[Amendment { order, scheduled: scheduled_time, technician, pinned, status }])?;
        changed.extend(self.scheduler.tick(now)?);
        Ok(changed)
    }

    /// Computes a what-if plan on a copy of the scheduler.
    fn plan_what_if(&self, task: &PlanTask) -> Result<serde_json::Value, String> {
        let request = PlanRequest::parse(&task.request).map_err(|error| error.to_string())?;
        let config = request.restrict_config(&self.config).map_err(|error| error.to_string())?;
        let copy = || {
            let copy = Scheduler::restore(&config, &self.scheduler.snapshot())?;
            copy.tick(task.now)?;
            copy.amend(&[])?;
            copy.orders()
        };
        let orders = copy().map_err(|error| describe_stage_error(&error))?;
        let orders = orders
            .iter()
            .map(|order| query::row_to_json(Table::WorkOrders, work_order_row(order).into_values()))
            .collect();
        Ok(action_rules::summarize_plan(orders, task.assets.as_deref(), request.start_time(task.now)))
    }
}

fn task_row(task: &PlanTask, plan: Result<serde_json::Value, String>) -> Vec<Value> {
    let (status, result) = match plan {
        Ok(plan) => ("done", plan),
        Err(error) => ("failed", serde_json::json!({ "error": error })),
    };
    vec![
        text_value(task.id.as_str()),
        Value::Integer(task.now),
        text_value(status),
        text_value(task.request.as_str()),
        text_value(result.to_string()),
        // A fold has no clock, so the task is finished at the time of its request.
        Value::Integer(task.now),
    ]
}
