//! `GET /api/v1/sensors/{id}/readings`: the readings of a sensor, downsampled to the number of points that a chart
//! shows.

use http::{StatusCode, header};
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Filter, LineApi, Table, api_response::ApiResponse, listing, lttb, problem::Problem, query_params::QueryParams,
    rows::query_as, time,
};

/// Default number of points in a response.
const DEFAULT_POINTS: u32 = 1_000;
/// Maximum number of chunks in one response, which has to fit into memory. `next` continues with older ones.
const MAX_CHUNKS: u32 = 64 * CHUNKS_PER_QUERY;
/// A page ends once it has at least this many readings.
const MAX_READINGS: usize = 500_000;
/// Number of chunks per query: a chunk may contain thousands of readings.
const CHUNKS_PER_QUERY: u32 = 250;

/// A stored chunk of readings. A value that is not finite is null, as JSON has no number for it.
#[derive(Deserialize)]
pub(crate) struct Chunk {
    /// Number of readings in the chunk, also if the host returns fewer.
    #[serde(default)]
    count: usize,
    times: Vec<i64>,
    vals: Vec<Option<f64>>,
}

impl Chunk {
    /// Returns the number of readings that the host left out by downsampling.
    fn omitted_count(&self) -> usize {
        self.count.saturating_sub(self.times.len())
    }

    /// Returns the readings that have a value, as time and value.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.times.iter().zip(&self.vals).filter_map(|(&time, &value)| Some((time, value?)))
    }
}

pub(crate) fn readings(line: &impl LineApi, id: &str, path: &str, query: &QueryParams) -> Result<ApiResponse, Problem> {
    let (after, before) = query.time_range();
    let points = query.number("points").unwrap_or(DEFAULT_POINTS);
    let start = query.offset();
    if id.contains('\0') {
        return Err(listing::SENSORS.not_found(id));
    }
    let mut filter = Filter {
        sensor: Some(id.to_owned()),
        after,
        before,
        limit: CHUNKS_PER_QUERY,
        offset: start,
        // Preselection for LTTB (MinMaxLTTB: Van Der Donckt et al., IEEE VIS 2023).
        points: Some(points.saturating_mul(4)),
        ..Filter::default()
    };
    let mut readings: Vec<(i64, f64)> = Vec::new();
    let mut omitted = 0;
    let has_more = loop {
        let chunks: Vec<Chunk> = query_as(line, Table::Readings, &filter)?;
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        for chunk in &chunks {
            omitted += chunk.omitted_count();
            readings.extend(chunk.pairs().filter(|&(time, _)| {
                after.is_none_or(|after| time > after) && before.is_none_or(|before| time < before)
            }));
        }
        filter.offset = filter.offset.saturating_add(count);
        if count < CHUNKS_PER_QUERY {
            break false;
        }
        if readings.len() >= MAX_READINGS || filter.offset - start >= MAX_CHUNKS {
            break true;
        }
    };
    if readings.is_empty() && start == 0 {
        // An unknown sensor is a 404, a sensor without readings is not.
        listing::SENSORS.item(line, id)?;
    }
    sort_and_dedup(&mut readings);
    let points = lttb::downsample(&readings, usize::try_from(points).unwrap_or(usize::MAX));
    let next = has_more.then(|| query.page_url(path, filter.offset));
    let count = readings.len() + omitted;
    let body = ReadingsBody { sensor: id, count, next: next.as_deref(), items: Items(&points) };
    let response = ApiResponse::json(StatusCode::OK, &body);
    Ok(match listing::link_header(next.as_deref()) {
        Some(link) => response.with_header(header::LINK, link),
        None => response,
    })
}

/// Sorts by time and removes duplicates. Chunks arrive newest first and may overlap, and a reading that was sent twice
/// may be in two of them.
pub(crate) fn sort_and_dedup(readings: &mut Vec<(i64, f64)>) {
    readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
}

/// The body of the response.
#[derive(Serialize)]
struct ReadingsBody<'a> {
    sensor: &'a str,
    count: usize,
    next: Option<&'a str>,
    items: Items<'a>,
}

/// Readings in the format of the API. Serialised directly, without an intermediate `Value`: there may be ten thousand.
pub(crate) struct Items<'a>(pub(crate) &'a [(i64, f64)]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Item {
            time: time::Rfc3339,
            value: f64,
        }
        serializer.collect_seq(self.0.iter().map(|&(at, value)| Item { time: time::Rfc3339(at), value }))
    }
}
