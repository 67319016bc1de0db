//! An event from outside: through ingest into the first queue.

use std::collections::BTreeMap;

use wheeltapper_front::Submission;

use crate::{
    Drive, Line, LineError, Ports, Topic, Value,
    contracts::{
        ingest::{Decoded, Envelope, Ingester, Refusal},
        types::{ReadingBatch, ReadingColumns, SensorTable},
    },
    dictionary,
    error::words,
    events::Raw,
    names::reason,
    queue,
    rows::{DEAD_LETTERS, Rows, SENSORS, content_id, maybe_text, text},
};

/// Where ingest's state lies: Sparkplug's births.
const STATE: &str = "ingest";
/// How often another instance may have been faster.
const TRIES: usize = 32;

/// What became of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Readings (scalars and samples) that were taken and are durable.
    pub accepted: u32,
    /// Parts that were refused; they lie in the dead letters.
    pub refused: Vec<Refused>,
}

/// A part of an event that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line or element, from 1; 0 speaks of the whole event.
    pub position: u32,
    /// Why.
    pub reason: Reason,
    /// What was expected, what came, what to do.
    pub message: String,
    /// How many readings were refused with it.
    pub readings: u32,
}

pub use crate::contracts::types::Reason;

/// Takes an event; gives the assets that it had readings of.
pub(crate) async fn submit<P: Ports>(
    line: &Line<P>,
    event: Submission,
    arrival: i64,
) -> Result<(Receipt, Vec<String>), LineError> {
    let envelope =
        Envelope { source: event.source, format: event.format, sensor: event.sensor, arrival, payload: event.payload };
    let decoded = decode(line, &envelope).await?;
    let mut rows = Rows::default();
    for refusal in &decoded.refusals {
        rows.add(DEAD_LETTERS, letter(&envelope, refusal));
    }
    for sensor in dictionary::names(&decoded.sensors) {
        let (unit, kind) = line.plant.about(sensor);
        rows.add(SENSORS, vec![text(sensor), text(line.plant.asset(sensor)), text(unit), text(kind)]);
    }
    rows.write(&line.ports).await?;
    if line.drive == Drive::Bus && rows.has(DEAD_LETTERS) {
        line.nudge(Topic::DeadLetters, &envelope.source).await;
    }
    let receipt = Receipt {
        accepted: decoded.accepted.first().copied().unwrap_or(0),
        refused: decoded.refusals.iter().map(refused).collect(),
    };
    let mut assets = Vec::new();
    for (asset, batch) in split(line, decoded) {
        let body = postcard::to_allocvec(&Raw::Push(Box::new(batch)))
            .map_err(|error| LineError::Broken(format!("readings cannot be written to the queue: {error}")))?;
        // What was decoded, not what was sent: a payload without a time is another reading each time it comes.
        queue::append(&line.ports, Topic::Raw, &asset, &content_id(&body), arrival, &body).await?;
        assets.push(asset);
    }
    Ok((receipt, assets))
}

/// Decodes with the births that are known, and keeps those that the event brings.
async fn decode<P: Ports>(line: &Line<P>, envelope: &Envelope) -> Result<Decoded, LineError> {
    let config = line.plant.stage("ingest");
    let broken = |error| LineError::Broken(format!("ingest: {}", words(&error)));
    for _ in 0..TRIES {
        let (stored, held) = line.ports.load(STATE).await?;
        let ingester = match &stored {
            None => Ingester::open(&config),
            Some(snapshot) => Ingester::restore(&config, snapshot),
        }
        .map_err(broken)?;
        let decoded = ingester.decode(std::slice::from_ref(envelope)).map_err(broken)?;
        if !decoded.state_changed || line.ports.swap(STATE, held, ingester.snapshot()).await? {
            return Ok(decoded);
        }
    }
    Err(LineError::Unavailable("too many births at once; send the event again".to_owned()))
}

/// Decodes with the births that are known, and keeps nothing.
#[cfg(all(feature = "featurize", feature = "detect"))]
pub(crate) async fn decode_aside<P: Ports>(line: &Line<P>, envelope: &Envelope) -> Result<Decoded, LineError> {
    let config = line.plant.stage("ingest");
    let broken = |error| LineError::Broken(format!("ingest: {}", words(&error)));
    let ingester = match &line.ports.load(STATE).await?.0 {
        None => Ingester::open(&config),
        Some(snapshot) => Ingester::restore(&config, snapshot),
    };
    ingester.map_err(broken)?.decode(std::slice::from_ref(envelope)).map_err(broken)
}

/// The readings of each asset, in its own order.
pub(crate) fn split<P>(line: &Line<P>, decoded: Decoded) -> BTreeMap<String, ReadingBatch> {
    let names: Vec<&str> = dictionary::names(&decoded.sensors).collect();
    let mut batches: BTreeMap<String, ReadingBatch> = BTreeMap::new();
    // By sensor: its asset's name, and its index there once it is met.
    let mut places: Vec<(&str, Option<u32>)> = names.iter().map(|name| (line.plant.asset(name), None)).collect();
    let mut place = |batches: &mut BTreeMap<String, ReadingBatch>, sensor: u32| -> Option<(String, u32)> {
        let name = names.get(sensor as usize)?;
        let (asset, index) = places.get_mut(sensor as usize)?;
        let batch = batches.entry((*asset).to_owned()).or_insert_with(|| empty(asset));
        let index = *index.get_or_insert_with(|| {
            dictionary::push(&mut batch.sensors.names, name);
            batch.sensors.asset.push(0);
            u32::try_from(batch.sensors.asset.len() - 1).unwrap_or(u32::MAX)
        });
        Some(((*asset).to_owned(), index))
    };
    let columns = decoded.readings;
    for ((sensor, time), value) in columns.sensor.into_iter().zip(columns.time).zip(columns.value) {
        if let Some((asset, index)) = place(&mut batches, sensor)
            && let Some(batch) = batches.get_mut(&asset)
        {
            batch.readings.sensor.push(index);
            batch.readings.time.push(time);
            batch.readings.value.push(value);
        }
    }
    for mut burst in decoded.waveforms {
        if let Some((asset, index)) = place(&mut batches, burst.sensor)
            && let Some(batch) = batches.get_mut(&asset)
        {
            burst.sensor = index;
            batch.waveforms.push(burst);
        }
    }
    batches
}

fn empty(asset: &str) -> ReadingBatch {
    let mut assets = dictionary::empty();
    dictionary::push(&mut assets, asset);
    ReadingBatch {
        sensors: SensorTable { names: dictionary::empty(), assets, asset: Vec::new() },
        readings: ReadingColumns { sensor: Vec::new(), time: Vec::new(), value: Vec::new() },
        waveforms: Vec::new(),
        // The queue knows it; here it would make another event of one that is sent again.
        arrivals: Vec::new(),
    }
}

fn letter(envelope: &Envelope, refusal: &Refusal) -> Vec<Value> {
    let mut of = format!("{}|{}|", envelope.source, refusal.position).into_bytes();
    of.extend_from_slice(&refusal.payload);
    vec![
        text(content_id(&of)),
        Value::Integer(envelope.arrival),
        text(refusal.source.as_str()),
        text(reason(refusal.rejection.reason)),
        text(refusal.rejection.message.as_str()),
        Value::Blob(refusal.payload.clone()),
        Value::Integer(i64::from(refusal.readings)),
        maybe_text(envelope.sensor.as_deref()),
        maybe_text(refusal.format.as_deref()),
    ]
}

fn refused(refusal: &Refusal) -> Refused {
    Refused {
        position: refusal.position,
        reason: refusal.rejection.reason,
        message: refusal.rejection.message.clone(),
        readings: refusal.readings,
    }
}
