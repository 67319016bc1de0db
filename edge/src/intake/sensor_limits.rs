//! Rejects readings of new sensors beyond the limits: each sensor costs memory in every stage for as long as the host
//! runs.

use wheeltapper_store::StoreError;

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, RejectedPart},
        types::{Reason, Rejection},
    },
    name_dictionary,
    registry::{Registry, SensorRejection},
};

/// Maximum bytes of one sensor's readings that are kept with a rejection.
const MAX_KEPT_BYTES: usize = 64 << 10;

/// Registers the new sensors of one event, and removes the readings of sensors that may not be registered.
///
/// # Errors
/// [`StoreError`] when a sensor cannot be registered.
pub(super) fn admit(
    mut decoded: Decoded,
    envelope: &Envelope,
    registry: &Registry,
    sender: Option<&str>,
) -> Result<Decoded, StoreError> {
    let located = registry.locate(name_dictionary::names(&decoded.sensors), sender)?;
    if located.rejections.is_empty() {
        return Ok(decoded);
    }
    let names: Vec<String> = name_dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let admitted: Vec<bool> = located.locations.iter().map(Option::is_some).collect();
    let removed = remove_not_admitted(&mut decoded, &names, &admitted);
    let total = removed.iter().fold(0_u32, |sum, removed| sum.saturating_add(removed.readings));
    if let Some(accepted) = decoded.accepted.first_mut() {
        *accepted = accepted.saturating_sub(total);
    }
    for SensorRejection { index, message } in located.rejections {
        let Some(RemovedReadings { readings, payload }) = removed.get(index).cloned() else { continue };
        decoded.rejected.push(RejectedPart {
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

/// The readings of one sensor that were removed.
#[derive(Clone, Debug, Default)]
struct RemovedReadings {
    /// Number of readings and samples.
    readings: u32,
    /// The readings as NDJSON, up to the maximum size.
    payload: Vec<u8>,
}

/// Removes the readings and waveforms of sensors that are not admitted; returns what was removed, by sensor. The
/// dictionary is unchanged, so that indices stay valid.
fn remove_not_admitted(decoded: &mut Decoded, names: &[String], admitted: &[bool]) -> Vec<RemovedReadings> {
    let mut removed = vec![RemovedReadings::default(); admitted.len()];
    let is_admitted = |sensor: u32| admitted.get(sensor as usize).copied().unwrap_or(false);
    let columns = &decoded.readings;
    let mut keep = Vec::with_capacity(columns.sensor.len());
    for ((&sensor, time), value) in columns.sensor.iter().zip(&columns.time).zip(&columns.value) {
        keep.push(is_admitted(sensor));
        if is_admitted(sensor) {
            continue;
        }
        if let (Some(removed), Some(name)) = (removed.get_mut(sensor as usize), names.get(sensor as usize)) {
            removed.readings = removed.readings.saturating_add(1);
            let line = serde_json::json!({ "sensor_id": name, "timestamp": time, "value": value }).to_string();
            if removed.payload.len() + line.len() < MAX_KEPT_BYTES {
                removed.payload.extend_from_slice(line.as_bytes());
                removed.payload.push(b'\n');
            }
        }
    }
    retain_column(&mut decoded.readings.sensor, &keep);
    retain_column(&mut decoded.readings.time, &keep);
    retain_column(&mut decoded.readings.value, &keep);
    decoded.waveforms.retain(|waveform| {
        if let Some(removed) = removed.get_mut(waveform.sensor as usize).filter(|_| !is_admitted(waveform.sensor)) {
            let samples = u32::try_from(waveform.samples.len()).unwrap_or(u32::MAX);
            removed.readings = removed.readings.saturating_add(samples);
        }
        is_admitted(waveform.sensor)
    });
    removed
}

fn retain_column<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().copied().unwrap_or(false));
}
