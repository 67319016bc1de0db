//! Tables as pages of items, and single items.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Filter, LineApi, Table,
    api_response::ApiResponse,
    problem::Problem,
    query_params::QueryParams,
    rows::{Row, format_columns, query_rows},
};

/// A route that lists a table. The route defines the query parameters.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The path below `/api/v1/`.
    pub(crate) name: &'static str,
    /// The name of one item, for messages.
    pub(crate) item_name: &'static str,
    pub(crate) table: Table,
    /// The parameters that map to [`Filter::kind`]. If two are given, the second one is applied here to the rows of the
    /// first.
    kind_params: &'static [&'static str],
}

pub(crate) static SENSORS: Listing =
    Listing { name: "sensors", item_name: "sensor", table: Table::Sensors, kind_params: &["kind"] };
pub(crate) static ANOMALIES: Listing =
    Listing { name: "anomalies", item_name: "anomaly", table: Table::Anomalies, kind_params: &["severity"] };
pub(crate) static ALERTS: Listing =
    Listing { name: "alerts", item_name: "alert", table: Table::Alerts, kind_params: &["severity", "state"] };
pub(crate) static WORK_ORDERS: Listing =
    Listing { name: "work-orders", item_name: "work order", table: Table::WorkOrders, kind_params: &["status"] };
pub(crate) static DEAD_LETTERS: Listing =
    Listing { name: "dead-letters", item_name: "dead letter", table: Table::DeadLetters, kind_params: &["reason"] };
pub(crate) static DRIFTS: Listing =
    Listing { name: "drifts", item_name: "drift", table: Table::Drifts, kind_params: &["kind"] };
pub(crate) static PROGNOSES: Listing =
    Listing { name: "prognoses", item_name: "prognosis", table: Table::Prognoses, kind_params: &[] };
pub(crate) static WINDOWS: Listing =
    Listing { name: "windows", item_name: "window", table: Table::Windows, kind_params: &[] };
pub(crate) static WAVEFORMS: Listing =
    Listing { name: "waveforms", item_name: "waveform", table: Table::Waveforms, kind_params: &[] };
pub(crate) static MACHINES: Listing =
    Listing { name: "machines", item_name: "machine", table: Table::Machines, kind_params: &[] };
pub(crate) static ACTIONS: Listing =
    Listing { name: "actions", item_name: "action", table: Table::Actions, kind_params: &[] };

impl Listing {
    /// Responds with a page of the rows that the query selects.
    pub(crate) fn respond_with_page(
        &self,
        line: &impl LineApi,
        path: &str,
        query: &QueryParams,
    ) -> Result<ApiResponse, Problem> {
        let (after, before) = query.time_range();
        let filter = Filter {
            asset: query.get_owned("asset"),
            sensor: query.get_owned("sensor"),
            after,
            before,
            limit: query.limit(),
            offset: query.offset(),
            ..Filter::default()
        };
        self.respond_with_filtered_page(line, path, query, filter)
    }

    /// Responds with a page of the rows that the filter selects.
    pub(crate) fn respond_with_filtered_page(
        &self,
        line: &impl LineApi,
        path: &str,
        query: &QueryParams,
        mut filter: Filter,
    ) -> Result<ApiResponse, Problem> {
        if matches!(self.table, Table::Windows | Table::Waveforms) && filter.offset > Filter::MAX_OFFSET {
            return Err(Problem::not_found(format!(
                "the cursor skips {} {}, at most {} are allowed; narrow the query with from and to, and start again",
                filter.offset,
                self.name,
                Filter::MAX_OFFSET
            )));
        }
        let mut kinds = self.kind_params.iter().filter_map(|name| Some((*name, query.get(name)?)));
        filter.kind = kinds.next().map(|(_, value)| value.to_owned());
        let (mut items, next) = match kinds.next() {
            None => query_page(line, self.table, &filter)?,
            Some((name, value)) => {
                query_matching_page(line, self.table, &filter, |row| row.get(name) == Some(&json!(value)))?
            }
        };
        items.iter_mut().for_each(format_columns);
        Ok(page_response(json!({ "items": items }), next.map(|next| query.page_url(path, next))))
    }

    /// Returns the item with this id.
    pub(crate) fn item(&self, line: &impl LineApi, id: &str) -> Result<Row, Problem> {
        // No id contains a NUL character, and some stores fail on a query with one.
        let row = if id.contains('\0') { None } else { query_rows(line, self.table, &by_id(id))?.into_iter().next() };
        let mut row = row.ok_or_else(|| self.not_found(id))?;
        format_columns(&mut row);
        Ok(row)
    }

    /// 404 for an item that does not exist.
    pub(crate) fn not_found(&self, id: &str) -> Problem {
        Problem::not_found(format!(
            "there is no {} {id:?}; GET /api/v1/{} lists the existing ones",
            self.item_name, self.name
        ))
    }
}

/// The filter for the row with this id.
pub(crate) fn by_id(id: &str) -> Filter {
    Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() }
}

/// Returns the rows that the filter selects, and the offset of the next page if there is one.
pub(crate) fn query_page(
    line: &impl LineApi,
    table: Table,
    filter: &Filter,
) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let extended_filter = Filter { limit: filter.limit.saturating_add(1).min(Filter::MAX_ROWS), ..filter.clone() };
    let mut rows: Vec<Row> = query_rows(line, table, &extended_filter)?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let is_full = rows.len() >= limit;
    let next = filter.offset.saturating_add(filter.limit);
    let has_more = match rows.len() > limit {
        true => true,
        // One row more than the maximum cannot be queried at once.
        false if is_full && extended_filter.limit == filter.limit => {
            !query_rows(line, table, &Filter { limit: 1, offset: next, ..filter.clone() })?.is_empty()
        }
        false => false,
    };
    rows.truncate(limit);
    Ok((rows, has_more.then_some(next)))
}

/// Returns the rows that match a condition that the line cannot filter by, and the offset of the next page.
fn query_matching_page(
    line: &impl LineApi,
    table: Table,
    filter: &Filter,
    matches: impl Fn(&Row) -> bool,
) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let mut matching = Vec::new();
    let mut scan = Filter { limit: Filter::MAX_ROWS, ..filter.clone() };
    loop {
        let rows = query_rows(line, table, &scan)?;
        let last = rows.len() < Filter::MAX_ROWS as usize;
        for row in rows {
            if matching.len() >= filter.limit as usize {
                return Ok((matching, Some(scan.offset)));
            }
            scan.offset = scan.offset.saturating_add(1);
            if matches(&row) {
                matching.push(row);
            }
        }
        if last {
            return Ok((matching, None));
        }
    }
}

/// Responds with a page and the link to the next one.
pub(crate) fn page_response(mut body: Value, next: Option<String>) -> ApiResponse {
    let link = link_header(next.as_deref());
    body["next"] = json!(next);
    let response = ApiResponse::json(StatusCode::OK, &body);
    match link {
        Some(link) => response.with_header(header::LINK, link),
        None => response,
    }
}

/// Returns the `Link` header with the path of the next page.
pub(crate) fn link_header(next: Option<&str>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{}>; rel=\"next\"", next?)).ok()
}
