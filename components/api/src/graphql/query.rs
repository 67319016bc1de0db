//! Queries.

use std::collections::BTreeSet;

use async_graphql::{Context, Enum, Error, Object, OutputType, SimpleObject};
use serde::de::DeserializeOwned;

use super::data_loader::DataLoader;
use crate::{
    Filter, Table, assets,
    query_params::{DEFAULT_LIMIT, format_cursor, parse_cursor},
    schemas::{ActionRow, Alert, Anomaly, Asset, Machine, Sensor, Timestamp, WorkOrder},
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
#[graphql(concrete(name = "ActionPage", params(ActionRow)))]
pub(super) struct GraphQlPage<T: OutputType> {
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
    let rows = first.and_then(|first| usize::try_from(first).ok()).unwrap_or(DEFAULT_LIMIT as usize);
    rows.saturating_mul(cost_per_row).saturating_add(query_cost)
}

/// Returns the complexity of a query to the store that may have to scan a whole table.
const fn query_cost(is_scan: bool) -> usize {
    if is_scan { SCAN_COST } else { QUERY_COST }
}

/// Returns limit and offset of the requested page.
fn page_bounds(first: Option<i32>, after: Option<&str>) -> Result<(u32, u32), Error> {
    let limit = match first {
        None => DEFAULT_LIMIT,
        Some(first) => {
            u32::try_from(first).ok().filter(|first| (1..=Filter::MAX_ROWS).contains(first)).ok_or_else(|| {
                Error::new(format!(
                    "first is {first}, which is not from 1 to {}; give one, or leave it out",
                    Filter::MAX_ROWS
                ))
            })?
        }
    };
    let offset = match after {
        None => 0,
        Some(after) => parse_cursor(after).ok_or_else(|| {
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
) -> Result<GraphQlPage<T>, Error> {
    let (limit, offset) = page_bounds(first, after.as_deref())?;
    if can_match_nothing(&filter) {
        return Ok(GraphQlPage::new(Vec::new(), None, false));
    }
    let loader = context.data::<DataLoader>()?;
    (filter.limit, filter.offset) = (Filter::MAX_ROWS.min(limit.saturating_add(1)), offset);
    let mut nodes: Vec<T> = loader.query(table, filter.clone()).await?;
    let next = offset.saturating_add(limit);
    let has_more = match nodes.len() > limit as usize {
        true => true,
        // One row more than the maximum cannot be queried at once.
        false if limit == Filter::MAX_ROWS && nodes.len() == limit as usize => {
            (filter.limit, filter.offset) = (1, next);
            !loader.query::<T>(table, filter).await?.is_empty()
        }
        false => false,
    };
    nodes.truncate(limit as usize);
    let end = offset.saturating_add(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
    let end = (!nodes.is_empty()).then_some(end);
    Ok(GraphQlPage::new(nodes, end, has_more))
}

/// Returns a page of the rows that match a condition that the line cannot filter by. The number of queries to the store
/// is bounded by `MAX_QUERIES`: the page may be short, and continues at its end cursor.
async fn filtered_page<T: DeserializeOwned + OutputType>(
    context: &Context<'_>,
    table: Table,
    mut filter: Filter,
    (first, after): (Option<i32>, Option<String>),
    matches: impl Fn(&T) -> bool,
) -> Result<GraphQlPage<T>, Error> {
    let (limit, offset) = page_bounds(first, after.as_deref())?;
    if can_match_nothing(&filter) {
        return Ok(GraphQlPage::new(Vec::new(), None, false));
    }
    let loader = context.data::<DataLoader>()?;
    (filter.limit, filter.offset) = (Filter::MAX_ROWS, offset);
    let mut nodes = Vec::new();
    for _ in 0..MAX_QUERIES {
        let rows: Vec<T> = loader.query_cached(table, filter.clone()).await?;
        let last = rows.len() < filter.limit as usize;
        for row in rows {
            if nodes.len() == limit as usize {
                return Ok(GraphQlPage::new(nodes, Some(filter.offset), true));
            }
            filter.offset = filter.offset.saturating_add(1);
            if matches(&row) {
                nodes.push(row);
            }
        }
        if last {
            let end = (!nodes.is_empty()).then_some(filter.offset);
            return Ok(GraphQlPage::new(nodes, end, false));
        }
    }
    Ok(GraphQlPage::new(nodes, Some(filter.offset), true))
}

/// Returns whether no row can match, because no name contains a NUL character. Some stores fail on a query with one.
fn can_match_nothing(filter: &Filter) -> bool {
    let texts = [&filter.id, &filter.asset, &filter.sensor, &filter.kind];
    texts.into_iter().flatten().any(|text| text.contains('\0'))
}

impl<T: OutputType> GraphQlPage<T> {
    fn new(nodes: Vec<T>, end: Option<u32>, has_next_page: bool) -> Self {
        Self { nodes, page_info: PageInfo { end_cursor: end.map(format_cursor), has_next_page } }
    }
}

fn time_range(start: Option<Timestamp>, end: Option<Timestamp>) -> (Option<i64>, Option<i64>) {
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
    ) -> Result<GraphQlPage<Sensor>, Error> {
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
        start_time: Option<Timestamp>,
        end_time: Option<Timestamp>,
        severity: Option<Severity>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<GraphQlPage<Anomaly>, Error> {
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
    ) -> Result<GraphQlPage<ActionRow>, Error> {
        page(context, Table::Actions, Filter { id: target, ..Filter::default() }, (first, after)).await
    }

    /// The tree of sites, areas and machines.
    #[graphql(complexity = "10 * child_complexity + TREE_COST")]
    async fn assets(&self, context: &Context<'_>) -> Result<Vec<Asset>, Error> {
        let mut sensors: Vec<Sensor> = Vec::new();
        loop {
            let offset = u32::try_from(sensors.len()).unwrap_or(u32::MAX);
            let filter = Filter { limit: Filter::MAX_ROWS, offset, ..Filter::default() };
            let rows = context.data::<DataLoader>()?.query_cached(Table::Sensors, filter).await?;
            let last = rows.len() < Filter::MAX_ROWS as usize;
            sensors.extend(rows);
            if last || sensors.len() >= assets::MAX_SENSORS as usize {
                return Ok(assets::asset_tree(sensors));
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
    ) -> Result<GraphQlPage<Alert>, Error> {
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
    ) -> Result<GraphQlPage<WorkOrder>, Error> {
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
    ) -> Result<GraphQlPage<Machine>, Error> {
        page(context, Table::Machines, Filter { asset, ..Filter::default() }, (first, after)).await
    }
}

/// Returns the machines with an open alert.
async fn open_alerts(context: &Context<'_>) -> Result<BTreeSet<String>, Error> {
    let filter = Filter { kind: Some("open".to_owned()), limit: Filter::MAX_ROWS, ..Filter::default() };
    let alerts: Vec<Alert> = context.data::<DataLoader>()?.query_cached(Table::Alerts, filter).await?;
    Ok(alerts.into_iter().map(|alert| alert.asset).collect())
}
