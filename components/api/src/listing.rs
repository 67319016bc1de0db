//! Tables as pages of items, and single items.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Filter, Front, Table,
    answer::Answer,
    problem::Problem,
    query::Query,
    rows::{Row, ask, readable},
};

/// A route that lists a table. The route defines the query parameters.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The path below `/api/v1/`.
    pub(crate) name: &'static str,
    /// The name of one item, for messages.
    pub(crate) one: &'static str,
    pub(crate) table: Table,
    /// The parameters that map to [`Filter::kind`]. If two are given, the second one is applied here to the rows of the
    /// first.
    kinds: &'static [&'static str],
}

pub(crate) static SENSORS: Listing =
    Listing { name: "sensors", one: "sensor", table: Table::Sensors, kinds: &["kind"] };
pub(crate) static ANOMALIES: Listing =
    Listing { name: "anomalies", one: "anomaly", table: Table::Anomalies, kinds: &["severity"] };
pub(crate) static ALERTS: Listing =
    Listing { name: "alerts", one: "alert", table: Table::Alerts, kinds: &["severity", "state"] };
pub(crate) static WORK_ORDERS: Listing =
    Listing { name: "work-orders", one: "work order", table: Table::WorkOrders, kinds: &["status"] };
pub(crate) static DEAD_LETTERS: Listing =
    Listing { name: "dead-letters", one: "dead letter", table: Table::DeadLetters, kinds: &["reason"] };
pub(crate) static DRIFTS: Listing = Listing { name: "drifts", one: "drift", table: Table::Drifts, kinds: &["kind"] };
pub(crate) static PROGNOSES: Listing =
    Listing { name: "prognoses", one: "prognosis", table: Table::Prognoses, kinds: &[] };
pub(crate) static WINDOWS: Listing = Listing { name: "windows", one: "window", table: Table::Windows, kinds: &[] };
pub(crate) static WAVEFORMS: Listing =
    Listing { name: "waveforms", one: "waveform", table: Table::Waveforms, kinds: &[] };
pub(crate) static MACHINES: Listing = Listing { name: "machines", one: "machine", table: Table::Machines, kinds: &[] };
pub(crate) static ACTIONS: Listing = Listing { name: "actions", one: "action", table: Table::Actions, kinds: &[] };

impl Listing {
    /// Responds with a page of the rows that the query selects.
    pub(crate) fn page(&self, line: &impl Front, path: &str, query: &Query) -> Result<Answer, Problem> {
        let (after, before) = query.span();
        let filter = Filter {
            asset: query.owned("asset"),
            sensor: query.owned("sensor"),
            after,
            before,
            limit: query.limit(),
            offset: query.offset(),
            ..Filter::default()
        };
        self.narrowed(line, path, query, filter)
    }

    /// Responds with a page of the rows that the filter selects.
    pub(crate) fn narrowed(
        &self,
        line: &impl Front,
        path: &str,
        query: &Query,
        mut filter: Filter,
    ) -> Result<Answer, Problem> {
        if matches!(self.table, Table::Windows | Table::Waveforms) && filter.offset > Filter::DEEPEST {
            return Err(Problem::not_found(format!(
                "the cursor skips {} {}, at most {} are allowed; narrow the query with from and to, and start again",
                filter.offset,
                self.name,
                Filter::DEEPEST
            )));
        }
        let mut kinds = self.kinds.iter().filter_map(|name| Some((*name, query.get(name)?)));
        filter.kind = kinds.next().map(|(_, value)| value.to_owned());
        let (mut items, next) = match kinds.next() {
            None => rows(line, self.table, &filter)?,
            Some((name, value)) => picked(line, self.table, &filter, |row| row.get(name) == Some(&json!(value)))?,
        };
        items.iter_mut().for_each(readable);
        Ok(page(json!({ "items": items }), next.map(|next| query.link(path, next))))
    }

    /// Returns the item with this id.
    pub(crate) fn item(&self, line: &impl Front, id: &str) -> Result<Row, Problem> {
        // No id contains a NUL character, and some stores fail on a query with one.
        let row = if id.contains('\0') { None } else { ask(line, self.table, &by_id(id))?.into_iter().next() };
        let mut row = row.ok_or_else(|| self.missing(id))?;
        readable(&mut row);
        Ok(row)
    }

    /// 404 for an item that does not exist.
    pub(crate) fn missing(&self, id: &str) -> Problem {
        Problem::not_found(format!(
            "there is no {} {id:?}; GET /api/v1/{} lists the existing ones",
            self.one, self.name
        ))
    }
}

/// The filter for the row with this id.
pub(crate) fn by_id(id: &str) -> Filter {
    Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() }
}

/// Returns the rows that the filter selects, and the offset of the next page if there is one.
pub(crate) fn rows(line: &impl Front, table: Table, filter: &Filter) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let one_more = Filter { limit: filter.limit.saturating_add(1).min(Filter::MOST), ..filter.clone() };
    let mut rows: Vec<Row> = ask(line, table, &one_more)?;
    let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let is_full = rows.len() >= limit;
    let next = filter.offset.saturating_add(filter.limit);
    let has_more = match rows.len() > limit {
        true => true,
        // One row more than the maximum cannot be queried at once.
        false if is_full && one_more.limit == filter.limit => {
            !ask(line, table, &Filter { limit: 1, offset: next, ..filter.clone() })?.is_empty()
        }
        false => false,
    };
    rows.truncate(limit);
    Ok((rows, has_more.then_some(next)))
}

/// Returns the rows that match a condition that the line cannot filter by, and the offset of the next page.
fn picked(
    line: &impl Front,
    table: Table,
    filter: &Filter,
    matches: impl Fn(&Row) -> bool,
) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let mut matching = Vec::new();
    let mut scan = Filter { limit: Filter::MOST, ..filter.clone() };
    loop {
        let rows = ask(line, table, &scan)?;
        let last = rows.len() < Filter::MOST as usize;
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
pub(crate) fn page(mut body: Value, next: Option<String>) -> Answer {
    let link = link(next.as_deref());
    body["next"] = json!(next);
    let answer = Answer::json(StatusCode::OK, &body);
    match link {
        Some(link) => answer.with(header::LINK, link),
        None => answer,
    }
}

/// Returns the `Link` header with the path of the next page.
pub(crate) fn link(next: Option<&str>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{}>; rel=\"next\"", next?)).ok()
}
