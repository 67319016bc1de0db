//! What can be asked for.

use std::collections::BTreeSet;

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

/// What a look into the store costs beside its rows: it may pass over many to find them.
const LOOK: usize = 50;
/// What it costs where the rows are found by reading a whole table.
const WHOLE: usize = 500;
/// The tree is made of all sensors, and tells them all.
const TREE: usize = 2_000;
/// So many looks a page, where it is told here which rows are wanted. A client goes on where they did not do.
const LOOKS: u32 = 10;

/// What a page costs: its fields once for each row, and the look.
fn cost(first: Option<i32>, of_each: usize, look: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(LIMIT as usize);
    rows.saturating_mul(of_each).saturating_add(look)
}

/// What a look costs that reads a whole table in some cases.
const fn whole(reads_all: bool) -> usize {
    if reads_all { WHOLE } else { LOOK }
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

/// A page of the rows.
async fn page<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
) -> Result<Page<T>, Error> {
    let (limit, offset) = bounds(first, after.as_deref())?;
    if cannot_be(&filter) {
        return Ok(Page::of(Vec::new(), None, false));
    }
    let desk = context.data::<Desk>()?;
    (filter.limit, filter.offset) = (Filter::MOST.min(limit.saturating_add(1)), offset);
    let mut nodes: Vec<T> = desk.look(table, filter.clone()).await?;
    let next = offset.saturating_add(limit);
    let more = match nodes.len() > limit as usize {
        true => true,
        // One more than the most cannot be asked for at once.
        false if limit == Filter::MOST && nodes.len() == limit as usize => {
            (filter.limit, filter.offset) = (1, next);
            !desk.look::<T>(table, filter).await?.is_empty()
        }
        false => false,
    };
    nodes.truncate(limit as usize);
    let end = offset.saturating_add(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
    let end = (!nodes.is_empty()).then_some(end);
    Ok(Page::of(nodes, end, more))
}

/// A page of the rows that are wanted, which the line cannot tell apart. Whatever is wanted, it takes few looks.
async fn picked<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
    wanted: impl Fn(&T) -> bool,
) -> Result<Page<T>, Error> {
    let (limit, offset) = bounds(first, after.as_deref())?;
    if cannot_be(&filter) {
        return Ok(Page::of(Vec::new(), None, false));
    }
    let desk = context.data::<Desk>()?;
    (filter.limit, filter.offset) = (Filter::MOST, offset);
    let mut nodes = Vec::new();
    for _ in 0..LOOKS {
        let rows: Vec<T> = desk.look_once(table, filter.clone()).await?;
        let last = rows.len() < filter.limit as usize;
        for row in rows {
            if nodes.len() == limit as usize {
                return Ok(Page::of(nodes, Some(filter.offset), true));
            }
            filter.offset = filter.offset.saturating_add(1);
            if wanted(&row) {
                nodes.push(row);
            }
        }
        if last {
            let end = (!nodes.is_empty()).then_some(filter.offset);
            return Ok(Page::of(nodes, end, false));
        }
    }
    Ok(Page::of(nodes, Some(filter.offset), true))
}

/// No store has a name with a NUL in it, and some take offence at being asked.
fn cannot_be(filter: &Filter) -> bool {
    let texts = [&filter.id, &filter.asset, &filter.sensor, &filter.kind];
    texts.into_iter().flatten().any(|text| text.contains('\0'))
}

impl<T: OutputType> Page<T> {
    fn of(nodes: Vec<T>, end: Option<u32>, has_next_page: bool) -> Self {
        Self { nodes, page_info: PageInfo { end_cursor: end.map(cursor_of), has_next_page } }
    }
}

fn span(start: Option<Moment>, end: Option<Moment>) -> (Option<i64>, Option<i64>) {
    (start.map(|start| start.0.saturating_sub(1)), end.map(|end| end.0))
}

/// The root of queries.
pub(super) struct Query;

#[Object]
impl Query {
    /// Sensors by name.
    #[graphql(complexity = "cost(first, child_complexity, whole(status.is_some()))")]
    async fn sensors(
        &self,
        context: &Context<'_>,
        status: Option<SensorStatus>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Sensor>, Error> {
        let filter = Filter { asset, ..Filter::default() };
        let Some(status) = status else { return page(context, Table::Sensors, filter, (first, after)).await };
        let alerting = open_alerts(context).await?;
        let wanted = |sensor: &Sensor| alerting.contains(&sensor.asset) == (status == SensorStatus::Alerting);
        picked(context, Table::Sensors, filter, (first, after), wanted).await
    }

    /// Anomalies, the newest first.
    #[graphql(complexity = "cost(first, child_complexity, LOOK)")]
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
        page(context, Table::Anomalies, filter, (first, after)).await
    }

    /// One anomaly.
    async fn anomaly(&self, context: &Context<'_>, id: String) -> Result<Option<Anomaly>, Error> {
        let filter = Filter { id: Some(id), ..Filter::default() };
        Ok(page(context, Table::Anomalies, filter, (Some(1), None)).await?.nodes.pop())
    }

    /// What people did, the newest first; with `target`, to this anomaly or work order.
    #[graphql(complexity = "cost(first, child_complexity, LOOK)")]
    async fn actions(
        &self,
        context: &Context<'_>,
        target: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Action>, Error> {
        page(context, Table::Actions, Filter { id: target, ..Filter::default() }, (first, after)).await
    }

    /// The tree of sites, areas and machines.
    #[graphql(complexity = "10 * child_complexity + TREE")]
    async fn assets(&self, context: &Context<'_>) -> Result<Vec<Asset>, Error> {
        let mut sensors: Vec<Sensor> = Vec::new();
        loop {
            let offset = u32::try_from(sensors.len()).unwrap_or(u32::MAX);
            let filter = Filter { limit: Filter::MOST, offset, ..Filter::default() };
            let rows = context.data::<Desk>()?.look_once(Table::Sensors, filter).await?;
            let last = rows.len() < Filter::MOST as usize;
            sensors.extend(rows);
            if last || sensors.len() >= assets::MOST as usize {
                return Ok(assets::tree(sensors));
            }
        }
    }

    /// Alerts, the newest first.
    #[graphql(complexity = "cost(first, child_complexity, whole(state.is_some() && severity.is_some()))")]
    async fn alerts(
        &self,
        context: &Context<'_>,
        state: Option<AlertState>,
        severity: Option<Severity>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Alert>, Error> {
        let of = |kind: &str| Filter { asset: asset.clone(), kind: Some(kind.to_owned()), ..Filter::default() };
        let severity = severity.map(Severity::name);
        match (state, severity) {
            (None, None) => page(context, Table::Alerts, Filter { asset, ..Filter::default() }, (first, after)).await,
            (Some(AlertState::Open), None) => page(context, Table::Alerts, of("open"), (first, after)).await,
            (Some(AlertState::Resolved), None) => page(context, Table::Alerts, of("resolved"), (first, after)).await,
            (None, Some(severity)) => page(context, Table::Alerts, of(severity), (first, after)).await,
            // Of those that are open there are few.
            (Some(AlertState::Open), Some(severity)) => {
                let wanted = |alert: &Alert| alert.severity == severity;
                picked(context, Table::Alerts, of("open"), (first, after), wanted).await
            }
            (Some(AlertState::Resolved), Some(severity)) => {
                let wanted = |alert: &Alert| alert.state == "resolved";
                picked(context, Table::Alerts, of(severity), (first, after), wanted).await
            }
        }
    }

    /// Work orders, those that are due first, first.
    #[graphql(complexity = "cost(first, child_complexity, LOOK)")]
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
        page(context, Table::WorkOrders, filter, (first, after)).await
    }

    /// Machines, the worst first.
    #[graphql(complexity = "cost(first, child_complexity, WHOLE)")]
    async fn machines(
        &self,
        context: &Context<'_>,
        asset: Option<String>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Page<Machine>, Error> {
        page(context, Table::Machines, Filter { asset, ..Filter::default() }, (first, after)).await
    }
}

/// The machines that have an open alert.
async fn open_alerts(context: &Context<'_>) -> Result<BTreeSet<String>, Error> {
    let filter = Filter { kind: Some("open".to_owned()), limit: Filter::MOST, ..Filter::default() };
    let alerts: Vec<Alert> = context.data::<Desk>()?.look_once(Table::Alerts, filter).await?;
    Ok(alerts.into_iter().map(|alert| alert.asset).collect())
}
