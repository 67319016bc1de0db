//! `GET /api/v1/sensors/{id}/readings`: a sensor's course, thinned to as many points as a screen shows.

use http::{StatusCode, header};
use serde::{Deserialize, Serialize, Serializer};

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
    let count = readings.len() + left_out;
    let course = Course { sensor: id, count, next: next.as_deref(), items: Items(&thinned) };
    let answer = Answer::json(StatusCode::OK, &course);
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

/// What the route answers.
#[derive(Serialize)]
struct Course<'a> {
    sensor: &'a str,
    count: usize,
    next: Option<&'a str>,
    items: Items<'a>,
}

/// Readings as a client reads them. Written straight to text: there may be ten thousand.
pub(crate) struct Items<'a>(pub(crate) &'a [(i64, f64)]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Item {
            time: time::Text,
            value: f64,
        }
        serializer.collect_seq(self.0.iter().map(|&(at, value)| Item { time: time::Text(at), value }))
    }
}
