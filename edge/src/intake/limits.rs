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

/// At most this much of the event is kept with a refusal.
const KEPT: usize = 64 << 10;
/// Refusals with a message of their own in one answer; the rest is counted in the last one.
const MAX_MESSAGES: usize = 20;

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
    let admitted: Vec<bool> = located.places.iter().map(Option::is_some).collect();
    let lost = leave_out(&mut decoded, &admitted);
    let total: u32 = lost.iter().fold(0, |sum, &lost| sum.saturating_add(lost));
    if let Some(accepted) = decoded.accepted.first_mut() {
        *accepted = accepted.saturating_sub(total);
    }
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let lost_of = |refusal: &SensorRefusal| lost.get(refusal.index).copied().unwrap_or(0);
    let (told, rest) = located.refusals.split_at(located.refusals.len().min(MAX_MESSAGES));
    let untold: u32 = rest.iter().map(lost_of).fold(0, u32::saturating_add);
    let payload = envelope.payload.get(..envelope.payload.len().min(KEPT)).unwrap_or_default();
    for (number, refusal) in told.iter().enumerate() {
        let last = number + 1 == told.len() && !rest.is_empty();
        let mut message = refusal.message.clone();
        if last {
            message = format!("{message} (and so for {} more sensors of this event)", rest.len());
        }
        decoded.refusals.push(Refusal {
            envelope: 0,
            position: 0,
            sensor: names.get(refusal.index).cloned(),
            rejection: Rejection { reason: Reason::UnknownSensor, message },
            // The event is kept once.
            payload: if number == 0 { payload.to_vec() } else { Vec::new() },
            readings: lost_of(refusal).saturating_add(if last { untold } else { 0 }),
        });
    }
    Ok(decoded)
}

/// Takes the readings and waveforms of the sensors out that are not admitted; returns how many readings and samples each
/// sensor lost. The dictionary stays, so that indices keep their meaning.
fn leave_out(decoded: &mut Decoded, admitted: &[bool]) -> Vec<u32> {
    let mut lost = vec![0_u32; admitted.len()];
    let mut stays = |sensor: u32, readings: usize| {
        let stays = admitted.get(sensor as usize).copied().unwrap_or(false);
        if !stays && let Some(lost) = lost.get_mut(sensor as usize) {
            *lost = lost.saturating_add(u32::try_from(readings).unwrap_or(u32::MAX));
        }
        stays
    };
    let keep: Vec<bool> = decoded.readings.sensor.iter().map(|&sensor| stays(sensor, 1)).collect();
    retain(&mut decoded.readings.sensor, &keep);
    retain(&mut decoded.readings.time, &keep);
    retain(&mut decoded.readings.value, &keep);
    decoded.waveforms.retain(|waveform| stays(waveform.sensor, waveform.samples.len()));
    lost
}

fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().copied().unwrap_or(false));
}
