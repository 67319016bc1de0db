//! The tables as pages of items, and single items.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    Filter, Front, Reason, Table,
    answer::Answer,
    problem::Problem,
    query::Query,
    rows::{Row, ask, readable},
};

const SEVERITIES: &[&str] = &["low", "medium", "high", "critical"];
const STATES: &[&str] = &["open", "resolved"];
const STATUSES: &[&str] = &["planned", "unscheduled", "done", "cancelled"];
const DRIFTS: &[&str] = &["drifted", "kept", "switched"];

/// A route that lists a table.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Its path below `/api/v1/`.
    pub(crate) name: &'static str,
    /// One of its items, in words.
    pub(crate) one: &'static str,
    table: Table,
    /// Whether an item can be asked for by its id.
    pub(crate) single: bool,
    /// What the query may say beside `limit` and `cursor`.
    filters: &'static [&'static str],
    /// Those of them that are the filter's kind, with the values that they may have (none: any).
    kinds: &'static [(&'static str, &'static [&'static str])],
}

/// All of them.
pub(crate) const LISTINGS: [Listing; 9] = [
    Listing {
        name: "sensors",
        one: "sensor",
        table: Table::Sensors,
        single: true,
        filters: &["asset", "sensor"],
        kinds: &[("kind", &[])],
    },
    Listing {
        name: "anomalies",
        one: "anomaly",
        table: Table::Anomalies,
        single: true,
        filters: &["asset", "sensor", "from", "to"],
        kinds: &[("severity", SEVERITIES)],
    },
    Listing {
        name: "alerts",
        one: "alert",
        table: Table::Alerts,
        single: true,
        filters: &["asset", "sensor", "from", "to"],
        kinds: &[("severity", SEVERITIES), ("state", STATES)],
    },
    Listing {
        name: "work-orders",
        one: "work order",
        table: Table::WorkOrders,
        single: true,
        filters: &["asset", "from", "to"],
        kinds: &[("status", STATUSES)],
    },
    Listing {
        name: "dead-letters",
        one: "dead letter",
        table: Table::DeadLetters,
        single: false,
        filters: &["sensor", "from", "to"],
        kinds: &[("reason", &REASONS)],
    },
    Listing {
        name: "drifts",
        one: "drift",
        table: Table::Drifts,
        single: false,
        filters: &["asset", "from", "to"],
        kinds: &[("kind", DRIFTS)],
    },
    Listing {
        name: "prognoses",
        one: "prognosis",
        table: Table::Prognoses,
        single: false,
        filters: &["asset", "from", "to"],
        kinds: &[],
    },
    Listing {
        name: "windows",
        one: "window",
        table: Table::Windows,
        single: false,
        filters: &["asset", "sensor", "from", "to"],
        kinds: &[],
    },
    Listing {
        name: "waveforms",
        one: "waveform",
        table: Table::Waveforms,
        single: false,
        filters: &["sensor", "from", "to"],
        kinds: &[],
    },
];

const REASONS: [&str; Reason::ALL.len()] = {
    let mut names = [""; Reason::ALL.len()];
    let mut index = 0;
    // Iterators do not run at compile time.
    while index < names.len() {
        names[index] = Reason::ALL[index].name();
        index += 1;
    }
    names
};

impl Listing {
    /// A page of it.
    pub(crate) fn page(&self, front: &impl Front, path: &str, query: Option<&str>) -> Result<Answer, Problem> {
        let mut known = self.filters.to_vec();
        known.extend(self.kinds.iter().map(|(name, _)| *name));
        known.extend(["limit", "cursor"]);
        let query = Query::of(query, &known)?;
        let (after, before) = query.span()?;
        let filter = Filter {
            asset: query.owned("asset"),
            sensor: query.owned("sensor"),
            kind: self.kind(&query)?,
            after,
            before,
            limit: query.limit()?,
            offset: query.offset()?,
            id: None,
        };
        let (mut items, more) = rows(front, self.table, &filter)?;
        items.iter_mut().for_each(readable);
        let next = more.then(|| query.link(path, filter.offset.saturating_add(filter.limit)));
        Ok(page(json!({ "items": items }), next))
    }

    /// One item.
    pub(crate) fn item(&self, front: &impl Front, id: &str, query: Option<&str>) -> Result<Answer, Problem> {
        Query::of(query, &[])?;
        let mut rows: Vec<Row> = ask(front, self.table, &by_id(id))?;
        let Some(row) = rows.first_mut() else { return Err(self.missing(id)) };
        readable(row);
        Ok(Answer::json(StatusCode::OK, &json!(row)))
    }

    /// There is no such item.
    pub(crate) fn missing(&self, id: &str) -> Problem {
        Problem::not_found(format!("there is no {} {id:?}; GET /api/v1/{} lists those there are", self.one, self.name))
    }

    fn kind(&self, query: &Query) -> Result<Option<String>, Problem> {
        let mut kind = None;
        for (name, values) in self.kinds {
            let Some(value) = query.get(name) else { continue };
            if !values.is_empty() && !values.contains(&value) {
                return Err(Problem::bad_request(format!("{name}={value:?} is not one of {}", values.join(", "))));
            }
            if let Some((earlier, _)) = kind.replace((name, value)) {
                return Err(Problem::bad_request(format!("{earlier} and {name} are given; give one of the two")));
            }
        }
        Ok(kind.map(|(_, value)| value.to_owned()))
    }
}

/// The filter for one row.
pub(crate) fn by_id(id: &str) -> Filter {
    Filter { id: Some(id.to_owned()), limit: 1, ..Filter::default() }
}

/// The rows that the filter asks for, and whether others follow.
fn rows(front: &impl Front, table: Table, filter: &Filter) -> Result<(Vec<Row>, bool), Problem> {
    let asked = Filter { limit: filter.limit.saturating_add(1).min(Filter::MOST), ..filter.clone() };
    let mut rows: Vec<Row> = ask(front, table, &asked)?;
    let wanted = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let full = rows.len() >= wanted;
    let more = match rows.len() > wanted {
        true => true,
        // One more than the most cannot be asked for at once.
        false if full && asked.limit == filter.limit => {
            let offset = filter.offset.saturating_add(filter.limit);
            !ask(front, table, &Filter { limit: 1, offset, ..filter.clone() })?.is_empty()
        }
        false => false,
    };
    rows.truncate(wanted);
    Ok((rows, more))
}

/// A page, with where the next one is.
pub(crate) fn page(mut body: Value, next: Option<String>) -> Answer {
    let link = next.as_ref().and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    body["next"] = json!(next);
    let answer = Answer::json(StatusCode::OK, &body);
    match link {
        Some(link) => answer.with(header::LINK, link),
        None => answer,
    }
}
