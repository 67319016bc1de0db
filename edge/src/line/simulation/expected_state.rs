//! The expected state: what was sent and what was acknowledged, and the comparison with the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use wheeltapper_log::Reader;
use wheeltapper_store::{Cell, Filter, Store};

use super::plain_stages::{FoldState, is_alert, is_anomaly};
use crate::{registry::Registry, topics::Finding};

/// Readings of appends that were answered, and whether they are durable.
#[derive(Clone, Debug, Default)]
pub(super) struct AppendOutcomes(Arc<Mutex<BTreeMap<u64, bool>>>);

impl AppendOutcomes {
    pub(super) fn record(&self, readings: &[u64], durable: bool) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.extend(readings.iter().map(|&reading| (reading, durable)));
    }

    fn acknowledged(&self) -> BTreeSet<u64> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().filter_map(|(&reading, &durable)| durable.then_some(reading)).collect()
    }
}

/// The expected state, independent of the host.
#[derive(Debug, Default)]
pub(super) struct ExpectedState {
    /// The sensor of each reading that was sent; a reading's number is its value.
    pub(super) sent: BTreeMap<u64, String>,
    pub(super) append_outcomes: AppendOutcomes,
    /// Readings in records that a flipped bit damaged.
    pub(super) damaged: BTreeSet<u64>,
    /// Number of resets of baselines that were sent.
    pub(super) resets: u64,
    /// Number of those that were acknowledged.
    pub(super) acknowledged_resets: Arc<AtomicU64>,
    /// Whether bits of the log were flipped, or the log was deleted.
    pub(super) is_log_damaged: bool,
    /// Per work order: the number of accepted amendments, and of those with an unknown outcome.
    pub(super) amendments: BTreeMap<String, (u32, u32)>,
}

/// Readings of a dead letter, by their values.
fn readings_of_dead_letter(payload: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(payload);
    let number = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of readings are small")]
        Some(row.get("value")?.as_f64()? as u64)
    };
    text.lines().filter_map(number).collect()
}

fn query_text(store: &Store, statement: &str) -> Result<Vec<Vec<String>>, String> {
    let rows = store.query_rows(statement, Vec::new()).map_err(|error| error.to_string())?;
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    Ok(rows.iter().map(|row| row.iter().map(cell).collect()).collect())
}

impl ExpectedState {
    /// Compares the store, the topics of findings and the stages' states with the readings that were sent.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn verify(
        &self,
        store: &Store,
        registry: &Registry,
        findings: &mut [Reader],
        states: &[FoldState],
    ) -> Result<(), String> {
        let stored = self.stored(store, registry)?;
        let mut rejected: BTreeMap<u64, u32> = BTreeMap::new();
        for dead_letter in store.dead_letters(&Filter::default()).map_err(|error| error.to_string())? {
            for value in readings_of_dead_letter(&dead_letter.payload) {
                *rejected.entry(value).or_default() += 1;
            }
        }
        let acknowledged = self.append_outcomes.acknowledged();
        let clean = self.damaged.is_empty();
        for (&reading, sensor) in &self.sent {
            let times = stored.get(&reading).copied().unwrap_or(0) + rejected.get(&reading).copied().unwrap_or(0);
            if times > 1 {
                return Err(format!("reading {reading} of {sensor} is stored {times} times"));
            }
            let lost = times == 0 && acknowledged.contains(&reading);
            if lost && !self.damaged.contains(&reading) {
                return Err(format!("reading {reading} of {sensor} was acknowledged and is lost"));
            }
        }
        if let Some(unsent) = stored.keys().find(|reading| !self.sent.contains_key(reading)) {
            return Err(format!("reading {unsent} was never sent"));
        }
        self.verify_states(&stored, states)?;
        Self::verify_sums(store, &stored)?;
        self.verify_findings(store, findings, &stored, clean)?;
        self.verify_orders(store)
    }

    fn stored(&self, store: &Store, registry: &Registry) -> Result<BTreeMap<u64, u32>, String> {
        let mut stored: BTreeMap<u64, u32> = BTreeMap::new();
        let sensors: BTreeSet<&String> = self.sent.values().collect();
        for sensor in sensors {
            let Some((location, _)) = registry.find_with_asset(sensor) else { continue };
            let (times, values) =
                store.readings(location.sensor, i64::MIN, i64::MAX).map_err(|error| error.to_string())?;
            for (time, value) in times.iter().zip(values) {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "readings are whole numbers"
                )]
                let reading = value as u64;
                if self.sent.get(&reading) != Some(sensor) || *time != time_of(reading) {
                    return Err(format!("reading {reading} is stored for {sensor} at {time}"));
                }
                *stored.entry(reading).or_default() += 1;
            }
        }
        Ok(stored)
    }

    /// Checks that the stages counted exactly the stored readings, and each acknowledged reset once.
    fn verify_states(&self, stored: &BTreeMap<u64, u32>, states: &[FoldState]) -> Result<(), String> {
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        for reading in stored.keys() {
            if let Some(sensor) = self.sent.get(reading) {
                *expected.entry(sensor).or_default() += 1;
            }
        }
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for state in states {
            for (sensor, count) in &state.readings {
                *counted.entry(sensor).or_default() += count;
            }
        }
        if counted != expected {
            return Err(format!("the stages took {counted:?}, the store holds {expected:?}"));
        }
        let resets: u64 = states.iter().map(|state| state.resets).sum();
        let least = if self.is_log_damaged { 0 } else { self.acknowledged_resets.load(Ordering::Acquire) };
        if !(least..=self.resets).contains(&resets) {
            return Err(format!("{resets} resets were executed; {least} were acknowledged, {} were sent", self.resets));
        }
        Ok(())
    }

    /// Checks that the hourly sums count exactly the stored readings.
    fn verify_sums(store: &Store, stored: &BTreeMap<u64, u32>) -> Result<(), String> {
        let rows = query_text(store, "SELECT coalesce(sum(count), 0) FROM reading_hourly_sums")?;
        let counted = rows.first().and_then(|row| row.first()?.parse::<usize>().ok());
        if counted != Some(stored.len()) {
            return Err(format!("the hourly sums count {counted:?} readings, the store holds {}", stored.len()));
        }
        Ok(())
    }

    fn verify_findings(
        &self,
        store: &Store,
        findings: &mut [Reader],
        stored: &BTreeMap<u64, u32>,
        clean: bool,
    ) -> Result<(), String> {
        let ids = |statement| -> Result<BTreeSet<String>, String> {
            Ok(query_text(store, statement)?.into_iter().filter_map(|row| row.into_iter().next()).collect())
        };
        let (anomalies, alerts) = (ids("SELECT id FROM anomalies")?, ids("SELECT id FROM alerts")?);
        for (kind, found, matches) in
            [("anomaly", &anomalies, is_anomaly as fn(u64) -> bool), ("alert", &alerts, is_alert as fn(u64) -> bool)]
        {
            let expected: BTreeSet<String> =
                stored.keys().filter(|&&reading| matches(reading)).map(|reading| format!("{kind}-{reading}")).collect();
            if let Some(missing) = expected.difference(found).next() {
                return Err(format!("{missing} was found and is not in the store"));
            }
            // A reading may be damaged after its finding was committed.
            if clean && let Some(extra) = found.difference(&expected).next() {
                return Err(format!("{extra} is in the store without its reading"));
            }
        }
        let mut in_topic: BTreeMap<String, u32> = BTreeMap::new();
        for reader in findings {
            let mut at = reader.start();
            while at < reader.end() {
                let records = reader.read(at, u64::MAX, 1 << 20).map_err(|error| format!("findings: {error}"))?;
                for record in &records {
                    let id = match serde_json::from_slice(&record.payload) {
                        Ok(Finding::Anomaly(anomaly)) => anomaly.id,
                        Ok(Finding::Alert(alert)) => alert.id,
                        other => return Err(format!("a finding cannot be read: {other:?}")),
                    };
                    *in_topic.entry(id).or_default() += 1;
                    at = record.next_offset;
                }
            }
        }
        if let Some((id, times)) = in_topic.iter().find(|(_, times)| **times != 1) {
            return Err(format!("{id} is in the topic {times} times"));
        }
        let in_topic: BTreeSet<String> = in_topic.into_keys().collect();
        let in_store: BTreeSet<String> = anomalies.union(&alerts).cloned().collect();
        if in_topic != in_store {
            let difference: Vec<_> = in_topic.symmetric_difference(&in_store).collect();
            return Err(format!("topic and store differ in {difference:?}"));
        }
        Ok(())
    }

    fn verify_orders(&self, store: &Store) -> Result<(), String> {
        let orders: BTreeMap<String, String> = query_text(store, "SELECT alert, notes FROM work_orders")?
            .into_iter()
            .filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone())))
            .collect();
        for row in query_text(store, "SELECT id FROM alerts")? {
            if let Some(alert) = row.first().filter(|alert| !orders.contains_key(*alert)) {
                return Err(format!("{alert} has no work order"));
            }
        }
        for (order, &(confirmed, unknown)) in &self.amendments {
            let alert = order.strip_prefix("order-").unwrap_or_default();
            let times = orders.get(alert).and_then(|notes| notes.parse::<u32>().ok()).unwrap_or(0);
            if !(confirmed..=confirmed + unknown).contains(&times) {
                return Err(format!(
                    "{order} was amended {times} times instead of {confirmed} (and {unknown} unknown)"
                ));
            }
        }
        Ok(())
    }
}

/// The time of a reading: 20 s apart, so that some are in the next hour.
pub(super) fn time_of(reading: u64) -> i64 {
    1_700_000_000_000_000_000 + i64::try_from(reading).unwrap_or(0) * 20_000_000_000
}
