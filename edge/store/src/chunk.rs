//! A chunk of readings: one sensor's readings, compressed.

use rusqlite::Params;

use crate::{
    StoreError,
    column_codec::{decode_f64, decode_i64, encode_f64, encode_i64},
};

/// The compressed readings of one sensor.
pub(crate) struct ReadingChunk {
    pub(crate) sensor: u32,
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) count: usize,
    pub(crate) times: Vec<u8>,
    pub(crate) values: Vec<u8>,
}

/// Inserts a chunk, unless the sensor has one with the same start time.
pub(crate) const INSERT_CHUNK: &str =
    "INSERT INTO reading_chunks VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";

impl ReadingChunk {
    /// The chunk as a row of `reading_chunks`.
    pub(crate) fn insert_params(&self) -> impl Params + '_ {
        self.insert_params_at(self.start)
    }

    /// The same, under another start time.
    pub(crate) fn insert_params_at(&self, key: i64) -> impl Params + '_ {
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        (self.sensor, key, self.end, count, &self.times, &self.values)
    }

    /// Creates a chunk from readings in any order.
    pub(crate) fn from_readings(sensor: u32, mut rows: Vec<(i64, f64)>) -> Option<Self> {
        rows.sort_by_key(|&(time, _)| time);
        let (times, values): (Vec<i64>, Vec<f64>) = rows.into_iter().unzip();
        let (&start, &end) = (times.first()?, times.last()?);
        let (count, times, values) = (times.len(), encode_i64(&times), encode_f64(&values));
        Some(Self { sensor, start, end, count, times, values })
    }
}

/// Decodes the columns of a chunk.
pub(crate) fn decode_rows(times: &[u8], values: &[u8]) -> Result<Vec<(i64, f64)>, StoreError> {
    Ok(decode_i64(times)?.into_iter().zip(decode_f64(values)?).collect())
}
