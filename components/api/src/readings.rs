//! `GET /api/v1/sensors/{id}/readings`: a sensor's course, thinned to as many points as a screen shows.

use serde_json::{Value, json};

use crate::{
    Filter, Front, Table,
    answer::Answer,
    listing::{self, Listing},
    lttb,
    problem::Problem,
    query::Query,
    rows::{Row, ask},
    time,
};

/// Points of an answer, if the client does not say.
const POINTS: u32 = 1_000;
/// And at most.
const MOST_POINTS: u32 = 10_000;
/// An answer is made of so many chunks at most, for it has to fit into memory; `next` goes on from there.
const CHUNKS: u32 = 64 * ASKED;
/// Readings of an answer: with so many the page ends.
const READINGS: usize = 500_000;
/// Chunks that are asked for at once: one may hold thousands of readings.
const ASKED: u32 = 250;

pub(crate) fn readings(
    front: &impl Front,
    sensors: &Listing,
    id: &str,
    path: &str,
    query: Option<&str>,
) -> Result<Answer, Problem> {
    let query = Query::of(query, &["from", "to", "points", "cursor"])?;
    let (after, before) = query.span()?;
    let points = query.number("points", 2, MOST_POINTS)?.unwrap_or(POINTS);
    let start = query.offset()?;
    let mut filter =
        Filter { sensor: Some(id.to_owned()), after, before, limit: ASKED, offset: start, ..Filter::default() };
    let mut readings: Vec<(i64, f64)> = Vec::new();
    let more = loop {
        let chunks = ask(front, Table::Readings, &filter)?;
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        for chunk in &chunks {
            readings.extend(pairs(chunk).filter(|&(time, _)| {
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
    if readings.is_empty() && start == 0 && ask(front, Table::Sensors, &listing::by_id(id))?.is_empty() {
        return Err(sensors.missing(id));
    }
    // Chunks come newest first and may overlap, and what was sent twice may lie in two of them.
    readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
    let items: Vec<Value> = lttb::thin(&readings, usize::try_from(points).unwrap_or(usize::MAX))
        .into_iter()
        .map(|(at, value)| json!({ "time": time::text(at), "value": value }))
        .collect();
    let next = more.then(|| query.link(path, filter.offset));
    Ok(listing::page(json!({ "sensor": id, "count": readings.len(), "items": items }), next))
}

/// The readings of a chunk. JSON has no number for a value that is not finite: such a one is left out.
fn pairs(chunk: &Row) -> impl Iterator<Item = (i64, f64)> {
    let list = |column| chunk.get(column).and_then(Value::as_array).into_iter().flatten();
    list("times").zip(list("vals")).filter_map(|(time, value)| Some((time.as_i64()?, value.as_f64()?)))
}
