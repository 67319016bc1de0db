//! Readings of new sensors beyond the limits: each sensor costs memory in every stage for as long as the host runs.

use wheeltapper_store::StoreError;

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, Refusal},
        types::{Reason, Rejection},
    },
    dictionary,
    registry::{Registry, SensorRefusal},
};

/// At most this many bytes of one sensor's readings are kept with a refusal.
const KEPT: usize = 64 << 10;

/// Registers the new sensors of one event and leaves out the readings of those that may not be registered.
///
/// # Errors
/// [`StoreError`] when a sensor cannot be registered.
pub(super) fn admit(
    mut decoded: Decoded,
    envelope: &Envelope,
    registry: &Registry,
    sender: Option<&str>,
) -> Result<Decoded, StoreError> {
    let located = registry.locate(dictionary::names(&decoded.sensors), sender)?;
    if located.refusals.is_empty() {
        return Ok(decoded);
    }
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let admitted: Vec<bool> = located.places.iter().map(Option::is_some).collect();
    let lost = leave_out(&mut decoded, &names, &admitted);
    let total = lost.iter().fold(0_u32, |sum, lost| sum.saturating_add(lost.readings));
    if let Some(accepted) = decoded.accepted.first_mut() {
        *accepted = accepted.saturating_sub(total);
    }
    for SensorRefusal { index, message } in located.refusals {
        let Some(Lost { readings, payload }) = lost.get(index).cloned() else { continue };
        decoded.refusals.push(Refusal {
            envelope: 0,
            position: 0,
            sensor: names.get(index).cloned(),
            rejection: Rejection { reason: Reason::UnknownSensor, message },
            payload,
            source: envelope.source.clone(),
            format: Some("ndjson".to_owned()),
            readings,
        });
    }
    Ok(decoded)
}

/// What was left out of one sensor.
#[derive(Clone, Debug, Default)]
struct Lost {
    /// Readings and samples.
    readings: u32,
    /// The readings as NDJSON, as far as they have room.
    payload: Vec<u8>,
}

/// Takes the readings and waveforms of the sensors out that are not admitted; returns what each sensor lost. The dictionary
/// stays, so that indices keep their meaning.
fn leave_out(decoded: &mut Decoded, names: &[String], admitted: &[bool]) -> Vec<Lost> {
    let mut lost = vec![Lost::default(); admitted.len()];
    let is_admitted = |sensor: u32| admitted.get(sensor as usize).copied().unwrap_or(false);
    let columns = &decoded.readings;
    let mut keep = Vec::with_capacity(columns.sensor.len());
    for ((&sensor, time), value) in columns.sensor.iter().zip(&columns.time).zip(&columns.value) {
        keep.push(is_admitted(sensor));
        if is_admitted(sensor) {
            continue;
        }
        if let (Some(lost), Some(name)) = (lost.get_mut(sensor as usize), names.get(sensor as usize)) {
            lost.readings = lost.readings.saturating_add(1);
            let line = serde_json::json!({ "sensor_id": name, "timestamp": time, "value": value }).to_string();
            if lost.payload.len() + line.len() < KEPT {
                lost.payload.extend_from_slice(line.as_bytes());
                lost.payload.push(b'\n');
            }
        }
    }
    retain(&mut decoded.readings.sensor, &keep);
    retain(&mut decoded.readings.time, &keep);
    retain(&mut decoded.readings.value, &keep);
    decoded.waveforms.retain(|waveform| {
        if let Some(lost) = lost.get_mut(waveform.sensor as usize).filter(|_| !is_admitted(waveform.sensor)) {
            let samples = u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX);
            lost.readings = lost.readings.saturating_add(samples);
        }
        is_admitted(waveform.sensor)
    });
    lost
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().copied().unwrap_or(false));
}
