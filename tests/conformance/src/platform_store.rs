//! Reads the store of a platform that keeps no instance: the schema of `components/line`, on SQLite or PostgreSQL.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::{CanonicalTables, SqlStore, shared_tables};

/// Reads all tables of the store.
///
/// # Errors
/// If the store does not answer, or a column has an unexpected type.
pub fn read_tables(store: &mut dyn SqlStore) -> anyhow::Result<CanonicalTables> {
    let mut found = shared_tables::read_shared_tables(store)?;
    for row in store.rows("SELECT sensor, times, vals FROM readings").context("readings")? {
        let [sensor, times, values] = row.as_slice() else { anyhow::bail!("readings: {row:?}") };
        let (times, values) = (times.bytes()?, values.bytes()?);
        let times = eight_byte_chunks(&times)?.map(i64::from_le_bytes);
        let values = eight_byte_chunks(&values)?.map(f64::from_le_bytes);
        anyhow::ensure!(times.len() == values.len(), "readings of {sensor:?}: times and values differ in number");
        found.add_readings(sensor.text()?, times.zip(values));
    }
    for row in store.rows("SELECT sensor, start_time, rate, samples FROM waveforms").context("waveforms")? {
        let [sensor, start, rate, samples] = row.as_slice() else { anyhow::bail!("waveforms: {row:?}") };
        found.add_waveform(sensor.text()?, start.integer()?, rate.real()?, &samples.bytes()?);
    }
    let mut lists = BTreeMap::new();
    for row in store.rows("SELECT id, names FROM feature_lists").context("feature_lists")? {
        let [id, names] = row.as_slice() else { anyhow::bail!("feature_lists: {row:?}") };
        lists.insert(id.text()?.to_owned(), names.text()?.to_owned());
    }
    let windows = "SELECT sensor, asset, start_time, end_time, count, features, vals FROM windows";
    for row in store.rows(windows).context("windows")? {
        let [sensor, asset, start, end, count, features, values] = row.as_slice() else {
            anyhow::bail!("windows: {row:?}")
        };
        let names = lists.get(features.text()?).with_context(|| format!("no feature list {features:?}"))?;
        let values: Vec<f64> = eight_byte_chunks(&values.bytes()?)?.map(f64::from_le_bytes).collect();
        let names: Vec<&str> = names.split(',').collect();
        anyhow::ensure!(names.len() == values.len(), "a window of {sensor:?}: names and values differ");
        found.add_window(
            sensor.text()?,
            asset.text()?,
            start.integer()?,
            end.integer()?,
            count.integer()?,
            &names,
            &values,
        );
    }
    Ok(found)
}

fn eight_byte_chunks(bytes: &[u8]) -> anyhow::Result<impl ExactSizeIterator<Item = [u8; 8]>> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    anyhow::ensure!(rest.is_empty(), "{} bytes are not a list of 64-bit numbers", bytes.len());
    Ok(chunks.iter().copied())
}
