//! Takes an event from outside: decodes it with ingest and appends its readings to the first queue.

use std::collections::BTreeMap;

use wheeltapper_domain::{DeadLetter, content_id};
use wheeltapper_line_api::Submission;

use crate::{
    Dispatch, Line, LineError, Ports, Topic,
    contract_mapping::reason_name,
    contracts::{
        ingest::{Decoded, Envelope, Ingester, RejectedPart as WitRejectedPart},
        types::{ReadingBatch, ReadingColumns, SensorTable},
    },
    dictionary,
    error::describe_stage_error,
    events::FeaturizeEvent,
    queue,
    rows::{DEAD_LETTERS, RowBatch, SENSORS, text_value},
};

/// The key of ingest's state, which holds the Sparkplug births.
const STATE_KEY: &str = "ingest";
/// How often a swap of the state is tried while other instances change it.
const MAX_ATTEMPTS: usize = 32;

/// The result of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The number of readings (scalars and samples) that were accepted and are durable.
    pub accepted: u32,
    /// The rejected parts, which are kept as dead letters.
    pub rejected: Vec<RejectedPart>,
}

/// A part of an event that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedPart {
    /// The line or element, counted from 1. 0 means the whole event.
    pub position: u32,
    /// The category of the error.
    pub reason: Reason,
    /// What was expected, what was received, and what to do.
    pub message: String,
    /// The number of readings in the rejected part.
    pub readings: u32,
}

pub use crate::contracts::types::Reason;

/// Takes an event. Returns the assets that it has readings of.
pub(crate) async fn submit<P: Ports>(
    line: &Line<P>,
    event: Submission,
    arrival: i64,
) -> Result<(Receipt, Vec<String>), LineError> {
    let envelope =
        Envelope { source: event.source, format: event.format, sensor: event.sensor, arrival, payload: event.payload };
    let decoded = decode(line, &envelope).await?;
    let mut rows = RowBatch::default();
    for part in &decoded.rejected {
        rows.add(DEAD_LETTERS, dead_letter_row(&envelope, part).into_values());
    }
    for sensor in dictionary::names(&decoded.sensors) {
        let (unit, kind) = line.plant.unit_and_kind(sensor);
        rows.add(
            SENSORS,
            vec![text_value(sensor), text_value(line.plant.asset_of(sensor)), text_value(unit), text_value(kind)],
        );
    }
    rows.write(&line.ports).await?;
    if line.dispatch == Dispatch::Bus && rows.has(DEAD_LETTERS) {
        line.notify(Topic::DeadLetters, &envelope.source).await;
    }
    let receipt = Receipt {
        accepted: decoded.accepted.first().copied().unwrap_or(0),
        rejected: decoded.rejected.iter().map(rejected_part).collect(),
    };
    let mut assets = Vec::new();
    for (asset, batch) in split_by_asset(line, decoded) {
        let body = postcard::to_allocvec(&FeaturizeEvent::Push(Box::new(batch)))
            .map_err(|error| LineError::Broken(format!("readings cannot be written to the queue: {error}")))?;
        // The id is that of the decoded readings, not of the payload: a payload without a time is a new reading each
        // time.
        queue::append(&line.ports, Topic::Raw, &asset, &content_id(&body), arrival, &body).await?;
        assets.push(asset);
    }
    Ok((receipt, assets))
}

/// Decodes with the known Sparkplug births, and saves the births that the event contains.
async fn decode<P: Ports>(line: &Line<P>, envelope: &Envelope) -> Result<Decoded, LineError> {
    let config = line.plant.stage_config("ingest");
    let broken = |error| LineError::Broken(format!("ingest: {}", describe_stage_error(&error)));
    for _ in 0..MAX_ATTEMPTS {
        let (stored, version) = line.ports.load(STATE_KEY).await?;
        let ingester = match &stored {
            None => Ingester::open(&config),
            Some(snapshot) => Ingester::restore(&config, snapshot),
        }
        .map_err(broken)?;
        let decoded = ingester.decode(std::slice::from_ref(envelope)).map_err(broken)?;
        if !decoded.state_changed || line.ports.swap(STATE_KEY, version, ingester.snapshot()).await? {
            return Ok(decoded);
        }
    }
    Err(LineError::Unavailable("too many Sparkplug births at once; send the event again".to_owned()))
}

/// Decodes with the known Sparkplug births, and saves nothing.
#[cfg(all(feature = "featurize", feature = "detect"))]
pub(crate) async fn decode_without_saving<P: Ports>(line: &Line<P>, envelope: &Envelope) -> Result<Decoded, LineError> {
    let config = line.plant.stage_config("ingest");
    let broken = |error| LineError::Broken(format!("ingest: {}", describe_stage_error(&error)));
    let ingester = match &line.ports.load(STATE_KEY).await?.0 {
        None => Ingester::open(&config),
        Some(snapshot) => Ingester::restore(&config, snapshot),
    };
    ingester.map_err(broken)?.decode(std::slice::from_ref(envelope)).map_err(broken)
}

/// Returns the readings of each asset, in the order of the event.
pub(crate) fn split_by_asset<P>(line: &Line<P>, decoded: Decoded) -> BTreeMap<String, ReadingBatch> {
    let names: Vec<&str> = dictionary::names(&decoded.sensors).collect();
    let mut batches: BTreeMap<String, ReadingBatch> = BTreeMap::new();
    // By sensor: the name of its asset, and its index in that asset's batch once it has one.
    let mut locations: Vec<(&str, Option<u32>)> = names.iter().map(|name| (line.plant.asset_of(name), None)).collect();
    let mut locate = |batches: &mut BTreeMap<String, ReadingBatch>, sensor: u32| -> Option<(String, u32)> {
        let name = names.get(sensor as usize)?;
        let (asset, index) = locations.get_mut(sensor as usize)?;
        let batch = batches.entry((*asset).to_owned()).or_insert_with(|| empty_batch(asset));
        let index = *index.get_or_insert_with(|| {
            dictionary::push_name(&mut batch.sensors.names, name);
            batch.sensors.asset.push(0);
            u32::try_from(batch.sensors.asset.len() - 1).unwrap_or(u32::MAX)
        });
        Some(((*asset).to_owned(), index))
    };
    let columns = decoded.readings;
    for ((sensor, time), value) in columns.sensor.into_iter().zip(columns.time).zip(columns.value) {
        if let Some((asset, index)) = locate(&mut batches, sensor)
            && let Some(batch) = batches.get_mut(&asset)
        {
            batch.readings.sensor.push(index);
            batch.readings.time.push(time);
            batch.readings.value.push(value);
        }
    }
    for mut waveform in decoded.waveforms {
        if let Some((asset, index)) = locate(&mut batches, waveform.sensor)
            && let Some(batch) = batches.get_mut(&asset)
        {
            waveform.sensor = index;
            batch.waveforms.push(waveform);
        }
    }
    batches
}

fn empty_batch(asset: &str) -> ReadingBatch {
    let mut assets = dictionary::empty();
    dictionary::push_name(&mut assets, asset);
    ReadingBatch {
        sensors: SensorTable { names: dictionary::empty(), assets, asset: Vec::new() },
        readings: ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() },
        waveforms: Vec::new(),
        // The queue stores the arrival. Here it would change the event's id when the event is sent again.
        arrivals: Vec::new(),
    }
}

fn dead_letter_row(envelope: &Envelope, part: &WitRejectedPart) -> DeadLetter {
    let mut content = format!("{}|{}|", envelope.source, part.position).into_bytes();
    content.extend_from_slice(&part.payload);
    DeadLetter {
        id: content_id(&content),
        time: envelope.arrival,
        source: part.source.clone(),
        reason: reason_name(part.rejection.reason).to_owned(),
        message: part.rejection.message.clone(),
        payload: part.payload.clone(),
        readings: part.readings,
        sensor: envelope.sensor.clone(),
        format: part.format.clone(),
    }
}

fn rejected_part(part: &WitRejectedPart) -> RejectedPart {
    RejectedPart {
        position: part.position,
        reason: part.rejection.reason,
        message: part.rejection.message.clone(),
        readings: part.readings,
    }
}
