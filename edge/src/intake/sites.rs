//! Readings of whoever may send for some sites only.

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, Refusal},
        types::{Reason, Rejection},
    },
    dictionary,
};

/// So much of the event is kept with each refusal.
const KEPT: usize = 4096;

/// Whether a sensor or an asset lies at one of the sites, or is below a part of one.
pub(crate) fn lies(name: &str, sites: &[String]) -> bool {
    let below =
        |site: &String| name.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    sites.iter().any(below)
}

/// Temporary.
pub(super) fn refuse_event(_: &Envelope, _: &[String]) -> Option<Decoded> {
    None
}

/// What one event gave, without what is of sensors that lie elsewhere: that is refused as one, in the same words whether there
/// are such sensors or not, so that nobody can ask which sensors others have and what these can read.
pub(super) fn keep(mut decoded: Decoded, envelope: &Envelope, sites: &[String]) -> Decoded {
    let names: Vec<String> = dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let mut lost = 0_u32;
    if !names.iter().all(|name| lies(name, sites)) {
        lost = leave_out(&mut decoded, &names, sites);
        if let Some(accepted) = decoded.accepted.first_mut() {
            *accepted = accepted.saturating_sub(lost);
        }
    }
    decoded.refusals.retain(|refusal| {
        let others = refusal.sensor.as_ref().is_some_and(|sensor| !lies(sensor, sites));
        if others {
            lost = lost.saturating_add(refusal.readings);
        }
        !others
    });
    if lost > 0 {
        decoded.refusals.push(Refusal {
            envelope: 0,
            position: 0,
            sensor: None,
            rejection: Rejection {
                reason: Reason::UnknownSensor,
                message: format!(
                    "{lost} of the readings are of sensors at none of the sites that this sender may send for: {}; leave them out",
                    sites.join(", ")
                ),
            },
            payload: envelope.payload.get(..envelope.payload.len().min(KEPT)).unwrap_or_default().to_vec(),
            source: envelope.source.clone(),
            format: envelope.format.clone(),
            readings: lost,
        });
    }
    decoded
}

/// Takes the readings out that are of sensors elsewhere; tells how many.
fn leave_out(decoded: &mut Decoded, names: &[String], sites: &[String]) -> u32 {
    // A sensor that is not to be known must not come into the dictionary either: the host would make it known.
    let mut kept = dictionary::empty();
    let new: Vec<Option<u32>> =
        names.iter().map(|name| lies(name, sites).then(|| dictionary::push(&mut kept, name))).collect();
    let at = |sensor: u32| new.get(sensor as usize).copied().flatten();
    let mut lost = 0_usize;

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
            None => lost += 1,
        }
    }
    let mut waveforms = Vec::new();
    for mut waveform in std::mem::take(&mut decoded.waveforms) {
        match at(waveform.sensor) {
            Some(sensor) => {
                waveform.sensor = sensor;
                waveforms.push(waveform);
            }
            None => lost += waveform.samples.len(),
        }
    }
    decoded.waveforms = waveforms;
    decoded.sensors = kept;
    u32::try_from(lost).unwrap_or(u32::MAX)
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
        assert_eq!(refused, [6]);
        let message = &kept.refusals[0].rejection.message;
        assert!(message.starts_with("6 of the readings") && !message.contains("other"), "{message}");
    }

    #[test]
    fn others_sensors_are_refused_alike_whatever_is_wrong_with_them() {
        let refusal = |sensor: Option<&str>, reason: Reason| Refusal {
            envelope: 0,
            position: 1,
            sensor: sensor.map(str::to_owned),
            rejection: Rejection { reason, message: format!("of {sensor:?}") },
            payload: vec![],
            source: "s".into(),
            format: None,
            readings: 1,
        };
        let sites = ["plant".to_owned()];
        let envelope =
            Envelope { source: "s".into(), format: None, sensor: None, arrival: 0, payload: b"body".to_vec() };
        let empty = || Decoded {
            sensors: dictionary::empty(),
            readings: ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
            waveforms: vec![],
            accepted: vec![0],
            refusals: vec![],
            state_changed: false,
        };
        let told = |decoded: Decoded| {
            let kept = keep(decoded, &envelope, &sites);
            let told = |refusal: &Refusal| {
                let Rejection { reason, message } = &refusal.rejection;
                (refusal.position, *reason, message.clone(), refusal.readings)
            };
            (kept.accepted, kept.refusals.iter().map(told).collect::<Vec<_>>())
        };
        let refused =
            |sensor: Option<&str>, reason| told(Decoded { refusals: vec![refusal(sensor, reason)], ..empty() });
        let mut sensors = dictionary::empty();
        dictionary::push(&mut sensors, "plants/m/t");
        let readings = ReadingColumns { sensor: vec![0], time: vec![1], value: vec![900.0] };
        let taken = told(Decoded { sensors, readings, accepted: vec![1], ..empty() });
        assert_eq!(taken.1[0].1, Reason::UnknownSensor);
        for reason in [Reason::OutOfRange, Reason::UnknownSensor, Reason::TooOld, Reason::InFuture, Reason::NonFinite] {
            assert_eq!(refused(Some("plants/m/t"), reason), taken);
            for own in [Some("plant/m/t"), Some("plant"), None] {
                assert_eq!(refused(own, reason).1[0].2, format!("of {own:?}"), "one's own are told of as they are");
            }
        }
    }
}
