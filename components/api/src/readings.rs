//! `GET /api/v1/sensors/{id}/readings`: a sensor's course, thinned to as many points as a screen shows.

use std::fmt::Write as _;

use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use crate::{Filter, Front, Table, answer::Answer, listing, lttb, problem::Problem, query::Query, rows::ask_as, time};

/// Points of an answer, if the client does not say.
const POINTS: u32 = 1_000;
/// An answer is made of so many chunks at most, for it has to fit into memory; `next` goes on from there.
const CHUNKS: u32 = 64 * ASKED;
/// Readings of an answer: with so many the page ends.
const READINGS: usize = 500_000;
/// Chunks that are asked for at once: one may hold thousands of readings.
const ASKED: u32 = 250;

/// Readings as the line keeps them. One that is not finite is null, as JSON has no number for it.
#[derive(Deserialize)]
pub(crate) struct Chunk {
    /// How many there are, also where a host gives fewer.
    #[serde(default)]
    count: usize,
    times: Vec<i64>,
    vals: Vec<Option<f64>>,
}

impl Chunk {
    /// Those that the host left out, as the others are enough.
    fn left_out(&self) -> usize {
        self.count.saturating_sub(self.times.len())
    }

    /// The readings that have a value.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.times.iter().zip(&self.vals).filter_map(|(&time, &value)| Some((time, value?)))
    }
}

pub(crate) fn readings(front: &impl Front, id: &str, path: &str, query: &Query) -> Result<Answer, Problem> {
    let (after, before) = query.span();
    let points = query.number("points").unwrap_or(POINTS);
    let start = query.offset();
    if id.contains('\0') {
        return Err(listing::SENSORS.missing(id));
    }
    let mut filter = Filter {
        sensor: Some(id.to_owned()),
        after,
        before,
        limit: ASKED,
        offset: start,
        // Enough to choose from (MinMaxLTTB: Van Der Donckt et al., IEEE VIS 2023).
        points: Some(points.saturating_mul(4)),
        ..Filter::default()
    };
    let mut readings: Vec<(i64, f64)> = Vec::new();
    let mut left_out = 0;
    let more = loop {
        let chunks: Vec<Chunk> = ask_as(front, Table::Readings, &filter)?;
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        for chunk in &chunks {
            left_out += chunk.left_out();
            readings.extend(chunk.pairs().filter(|&(time, _)| {
                after.is_none_or(|after| time > after) && before.is_none_or(|before| time < before)
            }));
        }
        filter.offset = filter.offset.saturating_add(count);
        if count < ASKED {
            break false;
        }
        if readings.len() >= READINGS || filter.offset - start >= CHUNKS {
            break true;
        }
    };
    if readings.is_empty() && start == 0 {
        // Nothing of it, or nobody knows it?
        listing::SENSORS.item(front, id)?;
    }
    sort(&mut readings);
    let thinned = lttb::thin(&readings, usize::try_from(points).unwrap_or(usize::MAX));
    let next = more.then(|| query.link(path, filter.offset));
    let mut body = format!(
        "{{\"sensor\":{},\"count\":{},\"next\":{},\"items\":",
        json!(id),
        readings.len() + left_out,
        json!(next)
    );
    write_items(&mut body, &thinned);
    body.push('}');
    let answer = Answer::text(StatusCode::OK, HeaderValue::from_static("application/json"), body);
    Ok(match listing::link(next.as_deref()) {
        Some(link) => answer.with(header::LINK, link),
        None => answer,
    })
}

/// By time. Chunks come newest first and may overlap, and what was sent twice may lie in two of them.
pub(crate) fn sort(readings: &mut Vec<(i64, f64)>) {
    readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
}

/// Readings as a JSON array, straight into the body: there may be ten thousand.
pub(crate) fn write_items(body: &mut String, readings: &[(i64, f64)]) {
    body.reserve(readings.len() * 60);
    body.push('[');
    for (index, &(at, value)) in readings.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a text cannot fail.
        let _ = write!(body, "{comma}{{\"time\":\"{}\",\"value\":{}}}", time::text(at), json!(value));
    }
    body.push(']');
}
