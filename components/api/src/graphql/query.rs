//! Queries.

use std::collections::BTreeSet;

use async_graphql::{Context, Enum, Error, Object, OutputType, SimpleObject};
use serde::de::DeserializeOwned;

use super::desk::Desk;
use crate::{
    Filter, Table, assets,
    query::{LIMIT, cursor, cursor_of},
    shapes::{Action, Alert, Anomaly, Asset, Machine, Moment, Sensor, WorkOrder},
};

/// The severity of an anomaly or an alert.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

/// The state of an alert.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum AlertState {
    Open,
    Resolved,
}

/// The status of a work order.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum OrderStatus {
    Planned,
    Unscheduled,
    Done,
    Cancelled,
}

/// The status of a sensor's machine: `ALERTING` if an alert is open.
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

/// The end of a page.
#[derive(SimpleObject)]
pub(super) struct PageInfo {
    /// The value of `after` for the next page.
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

/// The complexity of a query to the store in addition to its rows: it may have to skip many.
const QUERY_COST: usize = 50;
/// The complexity of a query to the store that scans a whole table.
const SCAN_COST: usize = 500;
/// The complexity of the asset tree, which contains all sensors.
const TREE_COST: usize = 2_000;
/// Maximum number of queries to the store per page, if rows are filtered here. A client continues with `endCursor`.
const MAX_QUERIES: u32 = 10;

/// Returns the complexity of a page: its fields once per row, and the query to the store.
fn page_cost(first: Option<i32>, cost_per_row: usize, query_cost: usize) -> usize {
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(LIMIT as usize);
    rows.saturating_mul(cost_per_row).saturating_add(query_cost)
}

/// Returns the complexity of a query to the store that may have to scan a whole table.
const fn query_cost(is_scan: bool) -> usize {
    if is_scan { SCAN_COST } else { QUERY_COST }
}

/// Returns limit and offset of the requested page.
fn page_bounds(first: Option<i32>, after: Option<&str>) -> Result<(u32, u32), Error> {
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
            Error::new(format!("after is {after:?}, which is not a cursor; give the endCursor of the previous page"))
        })?,
    };
    Ok((limit, offset))
}

/// Returns a page of the rows that the filter selects.
async fn page<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
) -> Result<Page<T>, Error> {
    let (limit, offset) = page_bounds(first, after.as_deref())?;
    if can_match_nothing(&filter) {
        return Ok(Page::of(Vec::new(), None, false));
    }
    let desk = context.data::<Desk>()?;
    (filter.limit, filter.offset) = (Filter::MOST.min(limit.saturating_add(1)), offset);
    let mut nodes: Vec<T> = desk.look(table, filter.clone()).await?;
    let next = offset.saturating_add(limit);
    let has_more = match nodes.len() > limit as usize {
        true => true,
        // One row more than the maximum cannot be queried at once.
        false if limit == Filter::MOST && nodes.len() == limit as usize => {
            (filter.limit, filter.offset) = (1, next);
            !desk.look::<T>(table, filter).await?.is_empty()
        }
        false => false,
    };
    nodes.truncate(limit as usize);
    let end = offset.saturating_add(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
    let end = (!nodes.is_empty()).then_some(end);
    Ok(Page::of(nodes, end, has_more))
}

/// Returns a page of the rows that match a condition that the line cannot filter by. The number of queries to the store
/// is bounded by `MAX_QUERIES`: the page may be short, and continues at its end cursor.
async fn filtered_page<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
    matches: impl Fn(&T) -> bool,
) -> Result<Page<T>, Error> {
    let (limit, offset) = page_bounds(first, after.as_deref())?;
    if can_match_nothing(&filter) {
        return Ok(Page::of(Vec::new(), None, false));
    }
    let desk = context.data::<Desk>()?;
    (filter.limit, filter.offset) = (Filter::MOST, offset);
    let mut nodes = Vec::new();
    for _ in 0..MAX_QUERIES {
        let rows: Vec<T> = desk.look_once(table, filter.clone()).await?;
        let last = rows.len() < filter.limit as usize;
        for row in rows {
            if nodes.len() == limit as usize {
                return Ok(Page::of(nodes, Some(filter.offset), true));
            }
            filter.offset = filter.offset.saturating_add(1);
            if matches(&row) {
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

/// Returns whether no row can match, because no name contains a NUL character. Some stores fail on a query with one.
fn can_match_nothing(filter: &Filter) -> bool {
    let texts = [&filter.id, &filter.asset, &filter.sensor, &filter.kind];
    texts.into_iter().flatten().any(|text| text.contains('\0'))
}

impl<T: OutputType> Page<T> {
    fn of(nodes: Vec<T>, end: Option<u32>, has_next_page: bool) -> Self {
        Self { nodes, page_info: PageInfo { end_cursor: end.map(cursor_of), has_next_page } }
    }
}

fn time_range(start: Option<Moment>, end: Option<Moment>) -> (Option<i64>, Option<i64>) {
    (start.map(|start| start.0.saturating_sub(1)), end.map(|end| end.0))
}

/// The root of queries.
pub(super) struct Query;

#[Object]
impl Query {
    /// Sensors, ordered by name.
    #[graphql(complexity = "page_cost(first, child_complexity, query_cost(status.is_some()))")]
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
        let matches = |sensor: &Sensor| alerting.contains(&sensor.asset) == (status == SensorStatus::Alerting);
        filtered_page(context, Table::Sensors, filter, (first, after), matches).await
    }

    /// Anomalies, newest first.
    #[graphql(complexity = "page_cost(first, child_complexity, QUERY_COST)")]
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
        let (from, before) = time_range(start_time, end_time);
        let kind = severity.map(|severity| severity.name().to_owned());
        let filter = Filter { sensor: sensor_id, asset, kind, after: from, before, ..Filter::default() };
        page(context, Table::Anomalies, filter, (first, after)).await
    }

    /// One anomaly.
    async fn anomaly(&self, context: &Context<'_>, id: String) -> Result<Option<Anomaly>, Error> {
        let filter = Filter { id: Some(id), ..Filter::default() };
        Ok(page(context, Table::Anomalies, filter, (Some(1), None)).await?.nodes.pop())
    }

    /// User actions, newest first. `target`: only actions on this anomaly or work order.
    #[graphql(complexity = "page_cost(first, child_complexity, QUERY_COST)")]
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
    #[graphql(complexity = "10 * child_complexity + TREE_COST")]
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

    /// Alerts, newest first.
    #[graphql(complexity = "page_cost(first, child_complexity, query_cost(state.is_some() && severity.is_some()))")]
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
            // There are few open alerts, so they are filtered by severity here.
            (Some(AlertState::Open), Some(severity)) => {
                let matches = |alert: &Alert| alert.severity == severity;
                filtered_page(context, Table::Alerts, of("open"), (first, after), matches).await
            }
            (Some(AlertState::Resolved), Some(severity)) => {
                let matches = |alert: &Alert| alert.state == "resolved";
                filtered_page(context, Table::Alerts, of(severity), (first, after), matches).await
            }
        }
    }

    /// Work orders, earliest due first.
    #[graphql(complexity = "page_cost(first, child_complexity, QUERY_COST)")]
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

    /// Machines, most severe first.
    #[graphql(complexity = "page_cost(first, child_complexity, SCAN_COST)")]
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

/// Returns the machines with an open alert.
async fn open_alerts(context: &Context<'_>) -> Result<BTreeSet<String>, Error> {
    let filter = Filter { kind: Some("open".to_owned()), limit: Filter::MOST, ..Filter::default() };
    let alerts: Vec<Alert> = context.data::<Desk>()?.look_once(Table::Alerts, filter).await?;
    Ok(alerts.into_iter().map(|alert| alert.asset).collect())
}
