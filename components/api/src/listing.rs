//! The tables as pages of items, and single items.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Filter, Front, Table,
    answer::Answer,
    problem::Problem,
    query::Query,
    rows::{Row, ask, readable},
};

/// A route that lists a table. What its query may say is the route's to tell.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Its path below `/api/v1/`.
    pub(crate) name: &'static str,
    /// One of its items, in words.
    pub(crate) one: &'static str,
    pub(crate) table: Table,
    /// The parameters that are the filter's kind. A second one picks among the rows of the first.
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
    /// A page of it.
    pub(crate) fn page(&self, front: &impl Front, path: &str, query: &Query) -> Result<Answer, Problem> {
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
        self.narrowed(front, path, query, filter)
    }

    /// A page of the rows that the filter is for.
    pub(crate) fn narrowed(
        &self,
        front: &impl Front,
        path: &str,
        query: &Query,
        mut filter: Filter,
    ) -> Result<Answer, Problem> {
        if matches!(self.table, Table::Windows | Table::Waveforms) && filter.offset > Filter::DEEPEST {
            return Err(Problem::not_found(format!(
                "the cursor passes over {} {}, at most {} can be; narrow the question by from and to, and begin anew",
                filter.offset,
                self.name,
                Filter::DEEPEST
            )));
        }
        let mut kinds = self.kinds.iter().filter_map(|name| Some((*name, query.get(name)?)));
        filter.kind = kinds.next().map(|(_, value)| value.to_owned());
        let (mut items, next) = match kinds.next() {
            None => rows(front, self.table, &filter)?,
            Some((name, value)) => picked(front, self.table, &filter, |row| row.get(name) == Some(&json!(value)))?,
        };
        items.iter_mut().for_each(readable);
        Ok(page(json!({ "items": items }), next.map(|next| query.link(path, next))))
    }

    /// One item.
    pub(crate) fn item(&self, front: &impl Front, id: &str) -> Result<Row, Problem> {
        // No store has a name with a NUL in it, and some take offence at being asked.
        let found = if id.contains('\0') { None } else { ask(front, self.table, &by_id(id))?.into_iter().next() };
        let mut row = found.ok_or_else(|| self.missing(id))?;
        readable(&mut row);
        Ok(row)
    }

    /// There is no such item.
    pub(crate) fn missing(&self, id: &str) -> Problem {
        Problem::not_found(format!("there is no {} {id:?}; GET /api/v1/{} lists those there are", self.one, self.name))
    }
}

/// The filter for one row.
pub(crate) fn by_id(id: &str) -> Filter {
    Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() }
}

/// The rows that the filter asks for, and where those that follow begin.
pub(crate) fn rows(front: &impl Front, table: Table, filter: &Filter) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let asked = Filter { limit: filter.limit.saturating_add(1).min(Filter::MOST), ..filter.clone() };
    let mut rows: Vec<Row> = ask(front, table, &asked)?;
    let wanted = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let full = rows.len() >= wanted;
    let next = filter.offset.saturating_add(filter.limit);
    let more = match rows.len() > wanted {
        true => true,
        // One more than the most cannot be asked for at once.
        false if full && asked.limit == filter.limit => {
            !ask(front, table, &Filter { limit: 1, offset: next, ..filter.clone() })?.is_empty()
        }
        false => false,
    };
    rows.truncate(wanted);
    Ok((rows, more.then_some(next)))
}

/// Rows of which the line cannot tell which are wanted are picked here.
fn picked(
    front: &impl Front,
    table: Table,
    filter: &Filter,
    wanted: impl Fn(&Row) -> bool,
) -> Result<(Vec<Row>, Option<u32>), Problem> {
    let mut found = Vec::new();
    let mut asked = Filter { limit: Filter::MOST, ..filter.clone() };
    loop {
        let rows = ask(front, table, &asked)?;
        let last = rows.len() < Filter::MOST as usize;
        for row in rows {
            if found.len() >= filter.limit as usize {
                return Ok((found, Some(asked.offset)));
            }
            asked.offset = asked.offset.saturating_add(1);
            if wanted(&row) {
                found.push(row);
            }
        }
        if last {
            return Ok((found, None));
        }
    }
}

/// A page, with where the next one is.
pub(crate) fn page(mut body: Value, next: Option<String>) -> Answer {
    let link = link(next.as_deref());
    body["next"] = json!(next);
    let answer = Answer::json(StatusCode::OK, &body);
    match link {
        Some(link) => answer.with(header::LINK, link),
        None => answer,
    }
}

/// The header that tells where the next page is.
pub(crate) fn link(next: Option<&str>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("<{}>; rel=\"next\"", next?)).ok()
}
