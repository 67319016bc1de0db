//! What can be asked for.

use async_graphql::{Context, Enum, Error, Object, OutputType, SimpleObject};
use serde::de::DeserializeOwned;

use super::desk::Desk;
use crate::{
    Filter, Table, assets,
    query::{LIMIT, cursor, cursor_of},
    shapes::{Action, Alert, Anomaly, Asset, Machine, Moment, Sensor, WorkOrder},
};

/// How bad.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// Whether an alert still stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum AlertState {
    Open,
    Resolved,
}

/// Where a work order stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum OrderStatus {
    Planned,
    Unscheduled,
    Done,
    Cancelled,
}

/// How a sensor's machine is: `ALERTING` where an alert is open.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum SensorStatus {
    Ok,
    Alerting,
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a page ends.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// Give it as `after` to go on.
    end_cursor: Option<String>,
    has_next_page: bool,
}

/// A page of rows.
#[derive(SimpleObject)]
#[graphql(concrete(name = "SensorPage", params(Sensor)))]
#[graphql(concrete(name = "AnomalyPage", params(Anomaly)))]
#[graphql(concrete(name = "AlertPage", params(Alert)))]
#[graphql(concrete(name = "WorkOrderPage", params(WorkOrder)))]
#[graphql(concrete(name = "MachinePage", params(Machine)))]
#[graphql(concrete(name = "ActionPage", params(Action)))]
pub(super) struct Page<T: OutputType> {
    nodes: Vec<T>,
    page_info: PageInfo,
}

/// What a page costs: its fields once for each row.
fn cost(first: Option<i32>, of_each: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(LIMIT as usize);
    rows.saturating_mul(of_each).saturating_add(1)
}

/// How many are asked for, and from where.
fn bounds(first: Option<i32>, after: Option<&str>) -> Result<(u32, u32), Error> {
    let limit = match first {
        None => LIMIT,
        Some(first) => {
            u32::try_from(first).ok().filter(|first| (1..=Filter::MOST).contains(first)).ok_or_else(|| {
                Error::new(format!(
                    "first is {first}, which is not from 1 to {}; give one, or leave it out",
                    Filter::MOST
                ))
            })?
        }
    };
    let offset = match after {
        None => 0,
        Some(after) => cursor(after).ok_or_else(|| {
            Error::new(format!("after is {after:?}, which was not given out; give the endCursor of the page before"))
        })?,
    };
    Ok((limit, offset))
}

/// A page of the rows that are wanted. What the line cannot tell apart is told apart here.
async fn page<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
    wanted: impl Fn(&T) -> bool,
) -> Result<Page<T>, Error> {
    let (limit, offset) = bounds(first, after.as_deref())?;
    let texts = [&filter.id, &filter.asset, &filter.sensor, &filter.kind];
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(Page { nodes: Vec::new(), page_info: PageInfo { end_cursor: None, has_next_page: false } });
    }
    filter.limit = Filter::MOST.min(limit.saturating_add(1));
    filter.offset = offset;
    let mut nodes = Vec::new();
    let mut more = false;
    loop {
        let rows: Vec<T> = context.data::<Desk>()?.look(table, filter.clone()).await?;
        let last = rows.len() < filter.limit as usize;
        for row in rows {
            if nodes.len() == limit as usize {
                more = true;
                break;
            }
            filter.offset = filter.offset.saturating_add(1);
            if wanted(&row) {
                nodes.push(row);
            }
        }
        if last || more {
            break;
        }
    }
    let end_cursor = (!nodes.is_empty()).then(|| cursor_of(filter.offset));
    Ok(Page { nodes, page_info: PageInfo { end_cursor, has_next_page: more } })
}

fn span(start: Option<Moment>, end: Option<Moment>) -> (Option<i64>, Option<i64>) {
    (start.map(|start| start.0.saturating_sub(1)), end.map(|end| end.0))
}

/// The root of queries.
pub(super) struct Query;

#[Object]
impl Query {
    /// Sensors by name.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn sensors(
        &self,
        context: &Context<'_>,
        status: Option<SensorStatus>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Sensor>, Error> {
        let alerting = match status {
            None => Vec::new(),
            Some(_) => open_alerts(context).await?,
        };
        let wanted = |sensor: &Sensor| {
            let alerts = alerting.contains(&sensor.asset);
            status.is_none_or(|status| alerts == (status == SensorStatus::Alerting))
        };
        page(context, Table::Sensors, Filter { asset, ..Filter::default() }, (first, after), wanted).await
    }

    /// Anomalies, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn anomalies(
        &self,
        context: &Context<'_>,
        sensor_id: Option<String>,
        asset: Option<String>,
        start_time: Option<Moment>,
        end_time: Option<Moment>,
        severity: Option<Severity>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Anomaly>, Error> {
        let (from, before) = span(start_time, end_time);
        let kind = severity.map(|severity| severity.name().to_owned());
        let filter = Filter { sensor: sensor_id, asset, kind, after: from, before, ..Filter::default() };
        page(context, Table::Anomalies, filter, (first, after), |_| true).await
    }

    /// One anomaly.
    async fn anomaly(&self, context: &Context<'_>, id: String) -> Result<Option<Anomaly>, Error> {
        let filter = Filter { id: Some(id), ..Filter::default() };
        Ok(page(context, Table::Anomalies, filter, (Some(1), None), |_| true).await?.nodes.pop())
    }

    /// What people did, the newest first; with `target`, to this anomaly or work order.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn actions(
        &self,
        context: &Context<'_>,
        target: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Action>, Error> {
        page(context, Table::Actions, Filter { id: target, ..Filter::default() }, (first, after), |_| true).await
    }

    /// The tree of sites, areas and machines.
    #[graphql(complexity = "10 * child_complexity")]
    async fn assets(&self, context: &Context<'_>) -> Result<Vec<Asset>, Error> {
        let mut sensors: Vec<Sensor> = Vec::new();
        loop {
            let offset = u32::try_from(sensors.len()).unwrap_or(u32::MAX);
            let filter = Filter { limit: Filter::MOST, offset, ..Filter::default() };
            let rows = context.data::<Desk>()?.look(Table::Sensors, filter).await?;
            let last = rows.len() < Filter::MOST as usize;
            sensors.extend(rows);
            if last || sensors.len() >= assets::MOST as usize {
                return Ok(assets::tree(sensors));
            }
        }
    }

    /// Alerts, the newest first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn alerts(
        &self,
        context: &Context<'_>,
        state: Option<AlertState>,
        severity: Option<Severity>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Alert>, Error> {
        let state = state.map(|state| if state == AlertState::Open { "open" } else { "resolved" });
        let severity = severity.map(Severity::name);
        let filter = Filter { asset, kind: severity.or(state).map(str::to_owned), ..Filter::default() };
        let wanted = |alert: &Alert| state.is_none_or(|state| alert.state == state);
        page(context, Table::Alerts, filter, (first, after), wanted).await
    }

    /// Work orders, those that are due first, first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn work_orders(
        &self,
        context: &Context<'_>,
        status: Option<OrderStatus>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<WorkOrder>, Error> {
        let kind = status.map(|status| match status {
            OrderStatus::Planned => "planned",
            OrderStatus::Unscheduled => "unscheduled",
            OrderStatus::Done => "done",
            OrderStatus::Cancelled => "cancelled",
        });
        let filter = Filter { asset, kind: kind.map(str::to_owned), ..Filter::default() };
        page(context, Table::WorkOrders, filter, (first, after), |_| true).await
    }

    /// Machines, the worst first.
    #[graphql(complexity = "cost(first, child_complexity)")]
    async fn machines(
        &self,
        context: &Context<'_>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Machine>, Error> {
        page(context, Table::Machines, Filter { asset, ..Filter::default() }, (first, after), |_| true).await
    }
}

/// The machines that have an open alert.
async fn open_alerts(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let filter = Filter { kind: Some("open".to_owned()), limit: Filter::MOST, ..Filter::default() };
    let alerts: Vec<Alert> = context.data::<Desk>()?.look(Table::Alerts, filter).await?;
    Ok(alerts.into_iter().map(|alert| alert.asset).collect())
}
