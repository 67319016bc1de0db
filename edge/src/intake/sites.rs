//! Readings of whoever may send for some sites only.

use std::collections::BTreeMap;

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, Refusal},
        types::{Reason, Rejection},
    },
    dictionary,
};

/// So much of the event is kept with each refusal.
const KEPT: usize = 4096;

/// Whether a sensor lies at one of the sites, or is below a part of one.
fn lies(sensor: &str, sites: &[String]) -> bool {
    let below =
        |site: &String| sensor.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    sites.iter().any(below)
}

/// What one event gave, without the readings of sensors that lie elsewhere: these are refused.
pub(super) fn keep(mut decoded: Decoded, envelope: &Envelope, sites: &[String]) -> Decoded {
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    if names.iter().all(|name| lies(name, sites)) {
        return decoded;
    }
    // A sensor that is not to be known must not come into the dictionary either: the host would make it known.
    let mut kept = dictionary::empty();
    let new: Vec<Option<u32>> =
        names.iter().map(|name| lies(name, sites).then(|| dictionary::push(&mut kept, name))).collect();
    let at = |sensor: u32| new.get(sensor as usize).copied().flatten();
    let mut refused: BTreeMap<u32, u32> = BTreeMap::new();
    let mut refuse = |sensor: u32, readings: usize| {
        let count = refused.entry(sensor).or_default();
        *count = count.saturating_add(u32::try_from(readings).unwrap_or(u32::MAX));
    };

    let old = std::mem::take(&mut decoded.readings.sensor);
    let times = std::mem::take(&mut decoded.readings.time);
    let values = std::mem::take(&mut decoded.readings.value);
    for ((sensor, time), value) in old.into_iter().zip(times).zip(values) {
        match at(sensor) {
            Some(sensor) => {
                decoded.readings.sensor.push(sensor);
                decoded.readings.time.push(time);
                decoded.readings.value.push(value);
            }
            None => refuse(sensor, 1),
        }
    }
    let mut waveforms = Vec::new();
    for mut waveform in std::mem::take(&mut decoded.waveforms) {
        match at(waveform.sensor) {
            Some(sensor) => {
                waveform.sensor = sensor;
                waveforms.push(waveform);
            }
            None => refuse(waveform.sensor, waveform.samples.len()),
        }
    }
    decoded.waveforms = waveforms;
    decoded.sensors = kept;

    let lost: u32 = refused.values().fold(0, |sum, count| sum.saturating_add(*count));
    if let Some(accepted) = decoded.accepted.first_mut() {
        *accepted = accepted.saturating_sub(lost);
    }
    for (sensor, readings) in refused {
        let name = names.get(sensor as usize).map_or("", String::as_str);
        decoded.refusals.push(Refusal {
            envelope: 0,
            position: 0,
            rejection: Rejection {
                reason: Reason::UnknownSensor,
                message: format!("{name} is at none of the sites that this sender may send for: {}", sites.join(", ")),
            },
            payload: envelope.payload.get(..envelope.payload.len().min(KEPT)).unwrap_or_default().to_vec(),
            readings,
        });
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::wit::types::{ReadingColumns, Waveform};

    #[test]
    fn what_lies_elsewhere_is_refused_and_not_even_named() {
        let mut sensors = dictionary::empty();
        for name in ["other/m/t", "plant/m/t", "plants/m/t", "plant/m/v"] {
            dictionary::push(&mut sensors, name);
        }
        let decoded = Decoded {
            sensors,
            readings: ReadingColumns {
                sensor: vec![0, 1, 2, 1, 0],
                time: vec![1, 2, 3, 4, 5],
                value: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            },
            waveforms: vec![
                Waveform { sensor: 0, start: 1, rate: 1.0, samples: vec![0.0; 3] },
                Waveform { sensor: 3, start: 1, rate: 1.0, samples: vec![0.0; 2] },
            ],
            accepted: vec![10],
            refusals: vec![],
            state_changed: false,
        };
        let envelope =
            Envelope { source: "s".into(), format: None, sensor: None, arrival: 0, payload: b"body".to_vec() };
        let kept = keep(decoded, &envelope, &["plant".into()]);
        assert_eq!(dictionary::names(&kept.sensors).collect::<Vec<_>>(), ["plant/m/t", "plant/m/v"]);
        assert_eq!((kept.readings.sensor, kept.readings.time), (vec![0, 0], vec![2, 4]));
        assert_eq!(kept.waveforms.len(), 1);
        assert_eq!(kept.waveforms[0].sensor, 1);
        assert_eq!(kept.accepted, [4]);
        let refused: Vec<_> = kept.refusals.iter().map(|refusal| refusal.readings).collect();
        assert_eq!(refused, [5, 1]);
        assert!(kept.refusals[0].rejection.message.starts_with("other/m/t is at none"));
    }
}
