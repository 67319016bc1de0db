//! The edge host in this process, with its real log, line, planner and store, but without triggers and timer.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use wheeltapper::{host, intake::Envelope};
use wheeltapper_conformance::{CanonicalTables, Case, Event, Host, Receipt, RejectedPart, Sqlite, read_shared_tables};
use wheeltapper_store::{Filter, Store};

/// The arrival of every event: 2026-06-01T00:00:00Z. No case depends on it.
const ARRIVAL: i64 = 1_780_272_000_000_000_000;
/// The timeout for processing one event.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The edge host.
#[derive(Debug, Default)]
pub struct Edge {
    running: Option<(host::Host, TempDir)>,
    /// The compiled components, which all cases share.
    cache: Option<TempDir>,
}

impl Edge {
    fn running(&self) -> anyhow::Result<&(host::Host, TempDir)> {
        self.running.as_ref().ok_or_else(|| anyhow::anyhow!("the host is not started"))
    }

    fn stop(&mut self) {
        if let Some((host, _)) = self.running.take() {
            host.stop();
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Host for Edge {
    fn is_reference(&self) -> bool {
        true
    }

    fn start(&mut self, case: &Case) -> anyhow::Result<()> {
        self.stop();
        let folder = tempfile::tempdir()?;
        let mut config = case.config.clone();
        config.data = folder.path().join("data");
        let cache = config.data.join("cache");
        if let Some(compiled) = &self.cache {
            copy(compiled.path(), &cache)?;
        }
        let host = host::Host::start(config)?;
        if self.cache.is_none() {
            let compiled = tempfile::tempdir()?;
            copy(&cache, compiled.path())?;
            self.cache = Some(compiled);
        }
        self.running = Some((host, folder));
        Ok(())
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<Option<Receipt>> {
        let (host, _) = self.running()?;
        let envelope = Envelope {
            source: event.source.clone(),
            format: event.format.clone(),
            sensor: event.sensor.clone(),
            arrival: ARRIVAL,
            payload: event.payload.clone().into(),
        };
        let receipts = host.intake.submit(0, vec![envelope])?.blocking_recv()??;
        host.wait_until_stored(TIMEOUT)?;
        let receipt = receipts.into_iter().next().unwrap_or_default();
        let rejected = receipt.rejected.iter().map(|part| u64::from(part.readings)).sum();
        let rejected_parts = receipt.rejected.into_iter().map(|part| RejectedPart {
            position: u64::from(part.position),
            reason: part.reason.to_owned(),
            message: part.message,
        });
        Ok(Some(Receipt { accepted: receipt.accepted, rejected, rejected_parts: rejected_parts.collect() }))
    }

    fn tick(&mut self, now: i64) -> anyhow::Result<()> {
        self.running()?.0.tick_and_wait(now, TIMEOUT)
    }

    fn tables(&mut self) -> anyhow::Result<CanonicalTables> {
        let (_, folder) = self.running()?;
        let path = wheeltapper::data_folder::store_path(&folder.path().join("data"));
        let mut found = read_shared_tables(&mut Sqlite::open(&path)?)?;
        let store = Store::open_read_only(&path)?;
        let sensors = store.sensors()?;
        for sensor in &sensors {
            let (times, values) = store.readings(sensor.id, i64::MIN, i64::MAX)?;
            found.add_readings(&sensor.name, times.into_iter().zip(values));
            for (start, rate, samples) in store.waveforms(sensor.id, i64::MIN, i64::MAX)? {
                let samples: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                found.add_waveform(&sensor.name, start, rate, &samples);
            }
        }
        for block in store.windows(&Filter::default())? {
            let names: Vec<&str> = block.features.iter().map(String::as_str).collect();
            for (row, values) in block.rows.iter().zip(block.values.chunks_exact(names.len())) {
                let name = sensors.get(row.sensor as usize).map_or("", |sensor| sensor.name.as_str());
                found.add_window(name, &block.asset, row.start, row.end, i64::from(row.count), &names, values);
            }
        }
        Ok(found)
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
