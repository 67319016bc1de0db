//! Readings of whoever may send for some sites only.
//!
//! A site is the beginning of a sensor's id. Most formats name the sensors in the payload, so that what lies elsewhere is
//! left out after decoding ([`keep`]). Sparkplug is checked before ([`refuse_unseen`]), by the edge node that its topic
//! names: births and deaths change what later data of that node means.

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, Refusal},
        types::{ReadingColumns, Reason, Rejection},
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

/// What a Sparkplug topic starts with.
const SPARKPLUG: &str = "spBv1.0/";

/// A Sparkplug topic: `spBv1.0/group/kind/node` or `spBv1.0/group/kind/node/device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sparkplug<'a> {
    group: &'a str,
    kind: &'a str,
    node: &'a str,
    device: Option<&'a str>,
}

impl<'a> Sparkplug<'a> {
    /// Whether a topic is Sparkplug's at all, well-formed or not.
    pub(crate) fn is(topic: &str) -> bool {
        topic.starts_with(SPARKPLUG)
    }

    /// `None` for other topics, for such as are not well-formed, and for a host application's state, which is of no site.
    pub(crate) fn of(topic: &'a str) -> Option<Self> {
        let mut levels = topic.strip_prefix(SPARKPLUG)?.split('/');
        let (group, kind, node, device) = (levels.next()?, levels.next()?, levels.next()?, levels.next());
        (group != "STATE" && levels.next().is_none()).then_some(Self { group, kind, node, device })
    }

    /// What its sensors' ids begin with: `group/node`, or `group/node/device`. So whoever has the site of this path has that
    /// of each sensor of the message.
    pub(crate) fn path(&self) -> String {
        let Self { group, node, device, .. } = self;
        device.map_or_else(|| format!("{group}/{node}"), |device| format!("{group}/{node}/{device}"))
    }

    /// The path that has to lie at a sender's sites. For a device's birth it is the node's: aliases are the node's, and a
    /// birth may take one from another device.
    pub(crate) fn owner(&self) -> String {
        let node = Self { device: None, ..*self };
        if self.kind == "DBIRTH" { node.path() } else { self.path() }
    }
}

/// The path that has to lie at a sender's sites before a message of this Sparkplug topic may be looked into. `None`: no
/// edge node's topic.
pub(crate) fn sparkplug_site(topic: &str) -> Option<String> {
    Sparkplug::of(topic).map(|topic| topic.owner())
}

/// What to answer to an event that must not even be decoded, as its Sparkplug topic is not of the sender's sites.
pub(super) fn refuse_unseen(envelope: &Envelope, sites: &[String]) -> Option<Decoded> {
    if !Sparkplug::is(&envelope.source) || sparkplug_site(&envelope.source).is_some_and(|path| lies(&path, sites)) {
        return None;
    }
    let refusal = refusal(1, "the event is", "send for its own sites' edge nodes only", envelope, sites);
    Some(Decoded {
        sensors: dictionary::empty(),
        readings: ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
        waveforms: vec![],
        accepted: vec![0],
        refusals: vec![refusal],
        state_changed: false,
    })
}

fn refusal(readings: u32, what: &str, remedy: &str, envelope: &Envelope, sites: &[String]) -> Refusal {
    Refusal {
        envelope: 0,
        position: 0,
        sensor: None,
        rejection: Rejection {
            reason: Reason::UnknownSensor,
            message: format!(
                "{what} of sensors at none of the sites that this sender may send for: {}; {remedy}",
                sites.join(", ")
            ),
        },
        payload: envelope.payload.get(..envelope.payload.len().min(KEPT)).unwrap_or_default().to_vec(),
        source: envelope.source.clone(),
        format: envelope.format.clone(),
        readings,
    }
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
        let what = format!("{lost} of the readings are");
        decoded.refusals.push(refusal(lost, &what, "leave them out", envelope, sites));
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
    use crate::components::wit::types::Waveform;

    #[test]
    fn sparkplug_is_refused_by_its_topic_before_it_can_change_anything() {
        let refused = |topic: &str, sites: &[&str]| {
            let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
            let envelope =
                Envelope { source: topic.into(), format: None, sensor: None, arrival: 0, payload: b"body".to_vec() };
            let decoded = refuse_unseen(&envelope, &sites);
            if let Some(decoded) = &decoded {
                assert_eq!((decoded.accepted.as_slice(), decoded.refusals.len()), (&[0][..], 1));
                assert!(!decoded.refusals[0].rejection.message.contains("alias"), "nothing is told of it");
            }
            decoded.is_some()
        };
        for kind in ["NBIRTH", "NDEATH", "NDATA", "NCMD"] {
            let topic = format!("spBv1.0/north/{kind}/node");
            assert!(refused(&topic, &["south"]) && refused(&topic, &["nort"]) && refused(&topic, &[]), "{kind}");
            assert!(refused(&topic, &["north/node/device"]), "{kind}: a part of the node is not enough");
            assert!(!refused(&topic, &["north"]) && !refused(&topic, &["south", "north/node"]), "{kind}");
        }
        for kind in ["DDATA", "DDEATH", "DCMD"] {
            let topic = format!("spBv1.0/north/{kind}/node/device");
            assert!(refused(&topic, &["south"]) && refused(&topic, &["north/node/other"]), "{kind}");
            assert!(!refused(&topic, &["north/node/device"]) && !refused(&topic, &["north"]), "{kind}");
        }
        // A device's birth could take the alias of another device of its node.
        assert!(refused("spBv1.0/north/DBIRTH/node/device", &["north/node/device"]));
        assert!(!refused("spBv1.0/north/DBIRTH/node/device", &["north/node"]));
        // What is no edge node's topic is nobody's who is kept to sites.
        for odd in ["spBv1.0/", "spBv1.0/north", "spBv1.0/north/NBIRTH", "spBv1.0/a/b/c/d/e", "spBv1.0/STATE/scada"] {
            assert!(refused(odd, &["north", "a", "STATE"]), "{odd}");
        }
        // Other topics are told by what they hold.
        assert!(!refused("north/node", &["south"]) && !refused("/api/v1/ingest", &["south"]));
    }

    #[test]
    fn both_checks_of_a_sparkplug_message_agree() {
        for (topic, sensor) in [
            ("spBv1.0/north/NDATA/node", "north/node/metric"),
            ("spBv1.0/north/DDATA/node/device", "north/node/device/metric"),
        ] {
            for site in ["north", "north/node", "north/node/device", "south", "north/nod"] {
                let sites = [site.to_owned()];
                let path = sparkplug_site(topic).unwrap();
                assert!(
                    !lies(&path, &sites) || lies(sensor, &sites),
                    "{topic} {site}: what passes the first passes both"
                );
            }
        }
    }

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
