//! The stage as a WebAssembly component: exports the WIT interface `featurize`, implemented by [`crate::Featurizer`].

use std::cell::RefCell;

wit_bindgen::generate!({ path: "../../wit", world: "featurize-stage" });

use exports::wheeltapper::pipeline::featurize::{Featurized, Featurizer as Handle, Guest, GuestFeaturizer, Rejected};
use wheeltapper::pipeline::types::{
    Dictionary, FeatureBatch, FeatureBlock, ReadingBatch, Reason, Rejection, SensorTable, StageError, Time,
};

use crate::features::{WAVEFORM_FEATURES, WINDOW_FEATURES};

struct Stage;

/// The exported resource `featurizer`.
pub struct FeaturizerResource(RefCell<crate::Featurizer>);

impl Guest for Stage {
    type Featurizer = FeaturizerResource;
}

impl GuestFeaturizer for FeaturizerResource {
    fn open(config: String) -> Result<Handle, StageError> {
        let featurizer = crate::Featurizer::open(&config).map_err(|error| StageError::Config(error.to_string()))?;
        Ok(Handle::new(Self(RefCell::new(featurizer))))
    }

    fn restore(config: String, snapshot: Vec<u8>) -> Result<Handle, StageError> {
        let featurizer = crate::Featurizer::restore(&config, &snapshot).map_err(|error| match error {
            crate::RestoreError::Config(error) => StageError::Config(error.to_string()),
            crate::RestoreError::Snapshot(_) => StageError::Snapshot(error.to_string()),
        })?;
        Ok(Handle::new(Self(RefCell::new(featurizer))))
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.borrow().snapshot()
    }

    fn push(&self, batch: ReadingBatch) -> Result<Featurized, StageError> {
        let names = dictionary_names(&batch.sensors.names)?;
        let assets = asset_names(&batch.sensors)?;
        if names.len() != assets.len() {
            return Err(StageError::Batch(format!(
                "the sensor table has {} names and {} assets",
                names.len(),
                assets.len()
            )));
        }
        let sensors: Vec<_> = names.into_iter().zip(assets).collect();
        let waveforms: Vec<_> = batch
            .waveforms
            .iter()
            .map(|waveform| crate::Waveform {
                sensor: waveform.sensor,
                start: waveform.start,
                rate: waveform.rate,
                samples: &waveform.samples,
            })
            .collect();
        let columns = &batch.readings;
        let arrivals: Vec<_> = batch.arrivals.iter().map(|arrival| (arrival.first, arrival.time)).collect();
        let input = crate::Batch {
            sensors: &sensors,
            sensor: &columns.sensor,
            time: &columns.time,
            value: &columns.value,
            waveforms: &waveforms,
            arrivals: &arrivals,
        };
        let out = self.0.borrow_mut().push(&input).map_err(|error| StageError::Batch(error.to_string()))?;
        Ok(featurized(out))
    }

    fn tick(&self, now: Time) -> Result<Featurized, StageError> {
        Ok(featurized(self.0.borrow_mut().tick(now)))
    }

    fn flush(&self) -> Result<Featurized, StageError> {
        Ok(featurized(self.0.borrow_mut().flush()))
    }

    fn resume(&self) -> Result<Featurized, StageError> {
        Ok(featurized(self.0.borrow_mut().resume()))
    }
}

fn dictionary_names(dictionary: &Dictionary) -> Result<Vec<&str>, StageError> {
    let mut from = 0;
    dictionary
        .ends
        .iter()
        .map(|&end| {
            let name = dictionary.text.get(from..end as usize);
            from = end as usize;
            name.ok_or_else(|| {
                StageError::Batch(format!(
                    "a dictionary's end {end} is not in its text of {} bytes",
                    dictionary.text.len()
                ))
            })
        })
        .collect()
}

fn asset_names(table: &SensorTable) -> Result<Vec<&str>, StageError> {
    let assets = dictionary_names(&table.assets)?;
    table
        .asset
        .iter()
        .map(|&at| {
            assets
                .get(at as usize)
                .copied()
                .ok_or_else(|| StageError::Batch(format!("asset {at} is not in the table of {}", assets.len())))
        })
        .collect()
}

fn featurized(out: crate::Featurized) -> Featurized {
    let mut table = SensorTable { names: empty(), assets: empty(), asset: Vec::new() };
    let mut known = std::collections::BTreeMap::new();
    for (name, asset) in &out.sensors {
        push(&mut table.names, name);
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let index = *known.entry(asset.as_ref()).or_insert_with(|| {
            push(&mut table.assets, asset);
            next
        });
        table.asset.push(index);
    }
    let mut blocks = Vec::new();
    if !out.windows.is_empty() {
        blocks.push(block(&WINDOW_FEATURES, &out.windows));
    }
    if !out.waveforms.is_empty() {
        blocks.push(block(&WAVEFORM_FEATURES, &out.waveforms));
    }
    Featurized {
        features: FeatureBatch { sensors: table, blocks },
        rejected: out.conflicts.iter().copied().map(conflict).collect(),
        repeated: out.repeated,
        late: out.late,
        has_more: out.has_more,
    }
}

fn block<const N: usize>(features: &[&str; N], rows: &[crate::FeatureRow<N>]) -> FeatureBlock {
    FeatureBlock {
        features: features.iter().map(|&name| name.to_owned()).collect(),
        sensor: rows.iter().map(|row| row.sensor).collect(),
        start: rows.iter().map(|row| row.start).collect(),
        end: rows.iter().map(|row| row.end).collect(),
        count: rows.iter().map(|row| row.count).collect(),
        values: rows.iter().flat_map(|row| row.values).collect(),
    }
}

fn conflict(index: u32) -> Rejected {
    let message = "another value of this sensor and time was received before; the first one counts: give each reading a time of its own";
    Rejected { index, rejection: Rejection { reason: Reason::Duplicate, message: message.to_owned() } }
}

fn empty() -> Dictionary {
    Dictionary { text: String::new(), ends: Vec::new() }
}

fn push(dictionary: &mut Dictionary, name: &str) {
    dictionary.text.push_str(name);
    dictionary.ends.push(u32::try_from(dictionary.text.len()).unwrap_or(u32::MAX));
}

export!(Stage);
