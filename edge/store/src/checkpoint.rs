//! Writes a checkpoint in steps.
//!
//! Its chunks of readings are written in small transactions. Each chunk is listed in the table `staged` with its
//! partition, checkpoint and attempt. Staged chunks are not visible to reads, and are neither merged nor expired. The
//! last transaction writes everything else and removes the entries of this attempt, and only of this attempt, from
//! `staged`. After a crash or an error before that, the chunks are deleted by [`Store::discard_all_staged`],
//! [`Store::discard_staged`] or the next attempt of the same partition. A commit without a checkpoint does not change
//! `staged`.

use std::{borrow::Cow, collections::BTreeMap, sync::atomic::Ordering};

use rusqlite::{Connection, Row, params};

use crate::{
    Commit, SensorReadings, Store, StoreError, WaveformRow,
    chunk::{INSERT_CHUNK, ReadingChunk},
    chunk_merge,
    column_codec::{encode_f32, encode_f64, encode_i64},
    counts::add_to_counter,
    duplicates::without_duplicates,
    finding_writes::{
        put_alerts, put_anomalies, put_dead_letters, put_drifts, put_partition, put_prognoses, put_skipped,
        put_work_orders, to_sql_integer,
    },
    window_chunks::{self, WindowChunk},
};

/// Maximum number of waveforms of one sensor with the same start.
const MAX_CONFLICTING_WAVEFORMS: i64 = 256;
const HOUR: i64 = 3_600_000_000_000;

struct HourlySums {
    count: i64,
    mean: f64,
    m2: f64,
    min: f64,
    max: f64,
}

/// Writes one commit. If it is dropped early, the next attempt deletes the staged chunks.
#[must_use = "the data is visible only after `finish`"]
pub struct CheckpointWriter<'a> {
    store: Store,
    commit: &'a Commit<'a>,
    attempt: i64,
    hours: BTreeMap<(u32, i64), HourlySums>,
    chunks: Vec<ReadingChunk>,
    waveforms: Vec<Vec<u8>>,
    windows: Vec<WindowChunk<'a>>,
    progress: Progress,
    /// Number of readings of the commit that were not written, because they are stored already.
    duplicates: u64,
    /// Number of chunks that were staged.
    staged: i64,
    /// Indexes of chunks with the same start time as an existing chunk. The last transaction merges them.
    conflicting: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Chunks staged by earlier attempts are to be deleted.
    DiscardingStaged,
    /// Index of the next chunk to stage.
    Staging(usize),
    Finished,
}

impl std::fmt::Debug for CheckpointWriter<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { commit, attempt, progress, chunks, staged, .. } = self;
        formatter
            .debug_struct("CheckpointWriter")
            .field("partition", &commit.partition)
            .field("attempt", attempt)
            .field("progress", progress)
            .field("chunks", &chunks.len())
            .field("staged", staged)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Starts writing a commit: removes readings that are already stored, and compresses the columns, but writes nothing
    /// yet. Only one checkpoint per partition is written at a time: a later attempt deletes the staged chunks of an
    /// earlier one, which then cannot be finished.
    ///
    /// # Errors
    /// [`StoreError`] if the stored readings, which are compared with those of the commit, cannot be read.
    pub fn begin_checkpoint<'a>(&self, commit: &'a Commit<'a>) -> Result<CheckpointWriter<'a>, StoreError> {
        let mut hours = BTreeMap::new();
        let new_readings = self.read(|connection| without_duplicates(connection, commit.readings))?;
        let pairs = commit.readings.iter().zip(&new_readings);
        let duplicates = pairs.map(|(all, new)| (all.times.len() - new.times.len()) as u64).sum();
        let chunks: Vec<ReadingChunk> = new_readings
            .iter()
            .filter(|column| !column.times.is_empty())
            .map(|column| compress_readings(column, &mut hours))
            .collect();
        // Readings without a checkpoint are not staged; the last transaction writes them.
        let progress = if commit.checkpoint.is_some() { Progress::DiscardingStaged } else { Progress::Staging(0) };
        Ok(CheckpointWriter {
            store: self.clone(),
            commit,
            attempt: self.shared.next_attempt.fetch_add(1, Ordering::Relaxed),
            hours,
            chunks,
            waveforms: commit.waveforms.iter().map(|waveform| encode_f32(&waveform.samples)).collect(),
            windows: commit.windows.iter().map(WindowChunk::new).collect(),
            progress,
            duplicates,
            staged: 0,
            conflicting: Vec::new(),
        })
    }

    /// Deletes the chunks staged by checkpoints that a crash interrupted. Only the host may call this, before its first
    /// commit. A checkpoint that is being written at the same time fails and must be written again.
    ///
    /// # Errors
    /// [`StoreError`]; the next call deletes the remaining chunks.
    pub fn discard_all_staged(&self) -> Result<(), StoreError> {
        let batch_size = self.chunks_per_transaction();
        while self.write(|to| discard_staged_chunks(to, None, batch_size))? {}
        Ok(())
    }

    /// Deletes the chunks staged by an unfinished checkpoint of this partition. The partition's next checkpoint does
    /// the same.
    ///
    /// # Errors
    /// [`StoreError`]; the next call deletes the remaining chunks.
    pub fn discard_staged(&self, partition: u16) -> Result<(), StoreError> {
        let batch_size = self.chunks_per_transaction();
        while self.write(|to| discard_staged_chunks(to, Some(partition), batch_size))? {}
        Ok(())
    }

    fn chunks_per_transaction(&self) -> usize {
        self.shared.options.chunks_per_transaction.max(1)
    }
}

impl CheckpointWriter<'_> {
    /// Number of readings of the commit that are not written, because they are stored already. Waveform samples are
    /// included after [`Self::finish`].
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Runs one small transaction. Returns whether another step is needed before [`Self::finish`].
    ///
    /// # Errors
    /// [`StoreError`]; the step was not executed and can be repeated.
    pub fn step(&mut self) -> Result<bool, StoreError> {
        let Some(checkpoint) = &self.commit.checkpoint else { return Ok(false) };
        let (partition, attempt) = (self.commit.partition, self.attempt);
        let next = match self.progress {
            Progress::DiscardingStaged => 0,
            Progress::Staging(next) => next,
            Progress::Finished => return Ok(false),
        };
        let batch_size = self.store.chunks_per_transaction();
        if self.progress == Progress::DiscardingStaged
            && self.store.write(|to| discard_staged_chunks(to, Some(partition), batch_size))?
        {
            return Ok(true);
        }
        self.progress = Progress::Staging(next);
        let batch = self.chunks.get(next..self.chunks.len().min(next.saturating_add(batch_size))).unwrap_or_default();
        if batch.is_empty() {
            return Ok(false);
        }
        let offset = to_sql_integer(checkpoint.snapshot_offset);
        let met = self.store.write(|to| {
            let mut insert = to.prepare_cached(INSERT_CHUNK)?;
            let mut list_staged = to.prepare_cached("INSERT INTO staged VALUES (?1, ?2, ?3, ?4, ?5)")?;
            let mut met = Vec::new();
            for (index, chunk) in batch.iter().enumerate() {
                if insert.execute(chunk.insert_params())? == 0 {
                    met.push(next + index);
                } else {
                    list_staged.execute(params![chunk.sensor, chunk.start, partition, offset, attempt])?;
                }
            }
            Ok(met)
        })?;
        self.staged += i64::try_from(batch.len() - met.len()).unwrap_or(i64::MAX);
        self.conflicting.extend(met);
        let next = next + batch.len();
        self.progress = Progress::Staging(next);
        Ok(next < self.chunks.len())
    }

    /// Runs the remaining steps and the last transaction, which makes the whole commit visible. Does nothing if it is
    /// already finished.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is visible, and the call can be repeated. After [`StoreError::Superseded`] the commit
    /// must be started again.
    pub fn finish(&mut self) -> Result<(), StoreError> {
        while self.step()? {}
        let next = match self.progress {
            Progress::Staging(next) => next,
            Progress::DiscardingStaged => 0,
            Progress::Finished => return Ok(()),
        };
        let Self { commit, attempt, hours, chunks, waveforms, windows, staged, conflicting: met, .. } = &*self;
        let duplicate_samples = self.store.write(|to| {
            if commit.checkpoint.is_some() {
                let deleted = to
                    .prepare_cached("DELETE FROM staged WHERE partition = ?1 AND attempt = ?2")?
                    .execute(params![commit.partition, attempt])?;
                if i64::try_from(deleted).ok() != Some(*staged) {
                    return Err(StoreError::Superseded(commit.partition));
                }
            }
            let unstaged = chunks.get(next..).unwrap_or_default();
            for chunk in met.iter().filter_map(|&index| chunks.get(index)).chain(unstaged) {
                chunk_merge::insert_or_merge(to, chunk)?;
            }
            add_to_counter(to, "readings", chunks.iter().map(|chunk| chunk.count as u64).sum())?;
            put_hourly_sums(to, hours)?;
            let duplicate_samples = put_waveforms(to, commit.waveforms, waveforms)?;
            window_chunks::insert_or_merge(to, windows)?;
            put_anomalies(to, commit.anomalies)?;
            put_alerts(to, commit.alerts)?;
            put_drifts(to, commit.drifts)?;
            put_prognoses(to, commit.prognoses)?;
            let plan = commit.applied.map_or(0, |applied| to_sql_integer(applied.offset));
            put_work_orders(to, commit.work_orders, plan)?;
            put_dead_letters(to, commit.dead_letters)?;
            put_skipped(to, commit.partition, commit.skipped)?;
            put_partition(to, commit)?;
            Ok(duplicate_samples)
        })?;
        self.duplicates += duplicate_samples;
        self.progress = Progress::Finished;
        Ok(())
    }
}

/// Deletes up to `batch_size` staged chunks, of one partition or of all. Returns whether there may be more.
fn discard_staged_chunks(to: &Connection, partition: Option<u16>, batch_size: usize) -> Result<bool, StoreError> {
    let limit = i64::try_from(batch_size).unwrap_or(i64::MAX);
    let key = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let batch: Vec<(u32, i64)> = match partition {
        Some(partition) => to
            .prepare_cached("SELECT sensor, start_time FROM staged WHERE partition = ?1 LIMIT ?2")?
            .query_map(params![partition, limit], key)?
            .collect::<Result<_, _>>()?,
        None => to
            .prepare_cached("SELECT sensor, start_time FROM staged LIMIT ?1")?
            .query_map([limit], key)?
            .collect::<Result<_, _>>()?,
    };
    let mut chunk = to.prepare_cached("DELETE FROM reading_chunks WHERE sensor = ?1 AND start_time = ?2")?;
    let mut unlist = to.prepare_cached("DELETE FROM staged WHERE sensor = ?1 AND start_time = ?2")?;
    for (sensor, start) in &batch {
        chunk.execute(params![sensor, start])?;
        unlist.execute(params![sensor, start])?;
    }
    Ok(batch.len() == batch_size)
}

/// Sorts and compresses one sensor's readings, and aggregates them by hour.
fn compress_readings(column: &SensorReadings, hours: &mut BTreeMap<(u32, i64), HourlySums>) -> ReadingChunk {
    let (times, values): (Cow<'_, [i64]>, Cow<'_, [f64]>) = if column.times.is_sorted() {
        (Cow::Borrowed(&column.times), Cow::Borrowed(&column.values))
    } else {
        let mut rows: Vec<(i64, f64)> = column.times.iter().copied().zip(column.values.iter().copied()).collect();
        rows.sort_by_key(|&(time, _)| time);
        let (times, values): (Vec<i64>, Vec<f64>) = rows.into_iter().unzip();
        (Cow::Owned(times), Cow::Owned(values))
    };
    let mut rest = times.as_ref();
    let mut at = 0;
    while let Some(&first) = rest.first() {
        let hour = first.div_euclid(HOUR) * HOUR;
        let count = rest.partition_point(|&time| time.div_euclid(HOUR) * HOUR == hour);
        if let Some(values) = values.get(at..at + count) {
            hours.insert((column.sensor, hour), hourly_sums(values));
        }
        at += count;
        rest = rest.get(count..).unwrap_or_default();
    }
    ReadingChunk {
        sensor: column.sensor,
        start: times.first().copied().unwrap_or(0),
        end: times.last().copied().unwrap_or(0),
        count: times.len(),
        times: encode_i64(&times),
        values: encode_f64(&values),
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of an hour are far below 2^52")]
fn hourly_sums(values: &[f64]) -> HourlySums {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    HourlySums {
        count: i64::try_from(values.len()).unwrap_or(i64::MAX),
        mean,
        m2: values.iter().map(|value| (value - mean) * (value - mean)).sum(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// Merges the counts, means and sums of squared deviations of two sets (Chan et al. 1979).
fn put_hourly_sums(to: &Connection, hours: &BTreeMap<(u32, i64), HourlySums>) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT INTO reading_hourly_sums AS old VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (sensor, hour) DO UPDATE SET
            count = old.count + excluded.count,
            mean = old.mean + (excluded.mean - old.mean) * excluded.count / (old.count + excluded.count),
            m2 = old.m2 + excluded.m2 + (excluded.mean - old.mean) * (excluded.mean - old.mean)
                * old.count * excluded.count / (old.count + excluded.count),
            min = min(old.min, excluded.min), max = max(old.max, excluded.max)",
    )?;
    for ((sensor, hour), sums) in hours {
        upsert.execute(params![sensor, hour, sums.count, sums.mean, sums.m2, sums.min, sums.max])?;
    }
    Ok(())
}

/// Writes waveforms, and returns the number of samples that were not written, because the same waveform is stored already.
/// A waveform that conflicts with a stored one, of the same sensor and start, is stored at the next free nanosecond; at
/// most [`MAX_CONFLICTING_WAVEFORMS`] are, and the others count as duplicates.
fn put_waveforms(to: &Connection, waveforms: &[WaveformRow], encoded: &[Vec<u8>]) -> Result<u64, StoreError> {
    let mut insert = to.prepare_cached("INSERT OR IGNORE INTO waveform_chunks VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut is_same = to.prepare_cached(
        "SELECT rate = ?3 AND samples = ?4 FROM waveform_chunks WHERE sensor = ?1 AND start_time = ?2",
    )?;
    let (mut samples, mut duplicates) = (0, 0);
    for (waveform, encoded) in waveforms.iter().zip(encoded) {
        let count = i64::try_from(waveform.samples.len()).unwrap_or(i64::MAX);
        let mut is_stored = false;
        for start in (0..MAX_CONFLICTING_WAVEFORMS).map(|later| waveform.start.saturating_add(later)) {
            is_stored = insert.execute(params![waveform.sensor, start, waveform.rate, count, encoded])? > 0;
            if is_stored
                || is_same.query_row(params![waveform.sensor, start, waveform.rate, encoded], |row| row.get(0))?
            {
                break;
            }
        }
        *if is_stored { &mut samples } else { &mut duplicates } += waveform.samples.len() as u64;
    }
    add_to_counter(to, "waveform_samples", samples)?;
    Ok(duplicates)
}
