//! Access control for senders that may send only for certain sites.
//!
//! A site is a prefix of a sensor's id. Most formats name the sensors in the payload, so readings of other sites are
//! removed after decoding ([`remove_foreign_readings`]). Sparkplug messages are checked before decoding
//! ([`reject_before_decoding`]) by the edge node in their topic, because births and deaths change how later data of
//! that node is decoded.

use crate::{
    components::wit::{
        ingest::{Decoded, Envelope, RejectedPart},
        types::{ReadingColumns, Reason, Rejection},
    },
    name_dictionary,
};

/// Maximum bytes of the event that are kept with each rejection.
const MAX_KEPT_PAYLOAD: usize = 4096;

/// Whether a sensor or an asset belongs to one of the sites.
pub(crate) fn is_at_sites(name: &str, sites: &[String]) -> bool {
    let below =
        |site: &String| name.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    sites.iter().any(below)
}

/// Prefix of Sparkplug topics.
const SPARKPLUG_PREFIX: &str = "spBv1.0/";

/// A Sparkplug topic: `spBv1.0/group/kind/node` or `spBv1.0/group/kind/node/device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SparkplugTopic<'a> {
    group: &'a str,
    kind: &'a str,
    node: &'a str,
    device: Option<&'a str>,
}

impl<'a> SparkplugTopic<'a> {
    /// Whether a topic is in the Sparkplug namespace, well-formed or not.
    pub(crate) fn is_sparkplug(topic: &str) -> bool {
        topic.starts_with(SPARKPLUG_PREFIX)
    }

    /// Parses a topic. `None` for other topics, for malformed ones, and for the state of a host application, which
    /// belongs to no site.
    pub(crate) fn parse(topic: &'a str) -> Option<Self> {
        let mut levels = topic.strip_prefix(SPARKPLUG_PREFIX)?.split('/');
        let (group, kind, node, device) = (levels.next()?, levels.next()?, levels.next()?, levels.next());
        (group != "STATE" && levels.next().is_none()).then_some(Self { group, kind, node, device })
    }

    /// The prefix of its sensors' ids: `group/node`, or `group/node/device`. A sender with the site of this path has
    /// access to each sensor of the message.
    pub(crate) fn sensor_prefix(&self) -> String {
        let Self { group, node, device, .. } = self;
        device.map_or_else(|| format!("{group}/{node}"), |device| format!("{group}/{node}/{device}"))
    }

    /// The path that must be at the sender's sites. For a device's birth it is the path of the node: aliases belong to
    /// the node, and a birth may redefine an alias of another device.
    pub(crate) fn required_site(&self) -> String {
        let node = Self { device: None, ..*self };
        if self.kind == "DBIRTH" { node.sensor_prefix() } else { self.sensor_prefix() }
    }
}

/// The path that must be at the sender's sites before a message with this Sparkplug topic may be decoded. `None`: not a
/// topic of an edge node.
pub(crate) fn required_sparkplug_site(topic: &str) -> Option<String> {
    SparkplugTopic::parse(topic).map(|topic| topic.required_site())
}

/// Rejects an event that must not be decoded because its Sparkplug topic is not at the sender's sites; `None` when it
/// may be decoded.
pub(super) fn reject_before_decoding(envelope: &Envelope, sites: &[String]) -> Option<Decoded> {
    if !SparkplugTopic::is_sparkplug(&envelope.source)
        || required_sparkplug_site(&envelope.source).is_some_and(|path| is_at_sites(&path, sites))
    {
        return None;
    }
    let part = build_rejected_part(1, "the event is", "send for its own sites' edge nodes only", envelope, sites);
    Some(Decoded {
        sensors: name_dictionary::empty(),
        readings: ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
        waveforms: vec![],
        accepted: vec![0],
        rejected: vec![part],
        state_changed: false,
    })
}

fn build_rejected_part(readings: u32, what: &str, remedy: &str, envelope: &Envelope, sites: &[String]) -> RejectedPart {
    RejectedPart {
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
        payload: envelope.payload.get(..envelope.payload.len().min(MAX_KEPT_PAYLOAD)).unwrap_or_default().to_vec(),
        source: envelope.source.clone(),
        format: envelope.format.clone(),
        readings,
    }
}

/// Removes the readings of sensors at other sites. They are rejected as one, with the same message whether the sensors
/// exist or not, so that a sender cannot find out which sensors others have or what values are valid for them.
pub(super) fn remove_foreign_readings(mut decoded: Decoded, envelope: &Envelope, sites: &[String]) -> Decoded {
    let names: Vec<String> = name_dictionary::names(&decoded.sensors).map(str::to_owned).collect();
    let mut removed = 0_u32;
    if !names.iter().all(|name| is_at_sites(name, sites)) {
        removed = remove_sensors_elsewhere(&mut decoded, &names, sites);
        if let Some(accepted) = decoded.accepted.first_mut() {
            *accepted = accepted.saturating_sub(removed);
        }
    }
    decoded.rejected.retain(|part| {
        let others = part.sensor.as_ref().is_some_and(|sensor| !is_at_sites(sensor, sites));
        if others {
            removed = removed.saturating_add(part.readings);
        }
        !others
    });
    if removed > 0 {
        let what = format!("{removed} of the readings are");
        decoded.rejected.push(build_rejected_part(removed, &what, "leave them out", envelope, sites));
    }
    decoded
}

/// Removes the readings of sensors at other sites; returns their number.
fn remove_sensors_elsewhere(decoded: &mut Decoded, names: &[String], sites: &[String]) -> u32 {
    // The names of removed sensors must not stay in the dictionary: the host would register them.
    let mut kept = name_dictionary::empty();
    let new: Vec<Option<u32>> = names
        .iter()
        .map(|name| is_at_sites(name, sites).then(|| name_dictionary::push_name(&mut kept, name)))
        .collect();
    let at = |sensor: u32| new.get(sensor as usize).copied().flatten();
    let mut removed = 0_usize;

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
            None => removed += 1,
        }
    }
    let mut waveforms = Vec::new();
    for mut waveform in std::mem::take(&mut decoded.waveforms) {
        match at(waveform.sensor) {
            Some(sensor) => {
                waveform.sensor = sensor;
                waveforms.push(waveform);
            }
            None => removed += waveform.samples.len(),
        }
    }
    decoded.waveforms = waveforms;
    decoded.sensors = kept;
    u32::try_from(removed).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::wit::types::Waveform;

    #[test]
    fn sparkplug_is_rejected_by_its_topic_before_it_can_change_state() {
        let rejected = |topic: &str, sites: &[&str]| {
            let sites: Vec<String> = sites.iter().map(|site| (*site).to_owned()).collect();
            let envelope =
                Envelope { source: topic.into(), format: None, sensor: None, arrival: 0, payload: b"body".to_vec() };
            let decoded = reject_before_decoding(&envelope, &sites);
            if let Some(decoded) = &decoded {
                assert_eq!((decoded.accepted.as_slice(), decoded.rejected.len()), (&[0][..], 1));
                assert!(!decoded.rejected[0].rejection.message.contains("alias"), "the message reveals nothing");
            }
            decoded.is_some()
        };
        for kind in ["NBIRTH", "NDEATH", "NDATA", "NCMD"] {
            let topic = format!("spBv1.0/north/{kind}/node");
            assert!(rejected(&topic, &["south"]) && rejected(&topic, &["nort"]) && rejected(&topic, &[]), "{kind}");
            assert!(rejected(&topic, &["north/node/device"]), "{kind}: a part of the node is not enough");
            assert!(!rejected(&topic, &["north"]) && !rejected(&topic, &["south", "north/node"]), "{kind}");
        }
        for kind in ["DDATA", "DDEATH", "DCMD"] {
            let topic = format!("spBv1.0/north/{kind}/node/device");
            assert!(rejected(&topic, &["south"]) && rejected(&topic, &["north/node/other"]), "{kind}");
            assert!(!rejected(&topic, &["north/node/device"]) && !rejected(&topic, &["north"]), "{kind}");
        }
        // A device's birth could redefine the alias of another device of its node.
        assert!(rejected("spBv1.0/north/DBIRTH/node/device", &["north/node/device"]));
        assert!(!rejected("spBv1.0/north/DBIRTH/node/device", &["north/node"]));
        // A topic of no edge node is rejected for every sender with sites.
        for odd in ["spBv1.0/", "spBv1.0/north", "spBv1.0/north/NBIRTH", "spBv1.0/a/b/c/d/e", "spBv1.0/STATE/scada"] {
            assert!(rejected(odd, &["north", "a", "STATE"]), "{odd}");
        }
        // Other topics are checked by their content.
        assert!(!rejected("north/node", &["south"]) && !rejected("/api/v1/ingest", &["south"]));
    }

    #[test]
    fn both_checks_of_a_sparkplug_message_agree() {
        for (topic, sensor) in [
            ("spBv1.0/north/NDATA/node", "north/node/metric"),
            ("spBv1.0/north/DDATA/node/device", "north/node/device/metric"),
        ] {
            for site in ["north", "north/node", "north/node/device", "south", "north/nod"] {
                let sites = [site.to_owned()];
                let path = required_sparkplug_site(topic).unwrap();
                assert!(
                    !is_at_sites(&path, &sites) || is_at_sites(sensor, &sites),
                    "{topic} {site}: what passes the first passes both"
                );
            }
        }
    }

    #[test]
    fn readings_of_other_sites_are_rejected_without_naming_their_sensors() {
        let mut sensors = name_dictionary::empty();
        for name in ["other/m/t", "plant/m/t", "plants/m/t", "plant/m/v"] {
            name_dictionary::push_name(&mut sensors, name);
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
            rejected: vec![],
            state_changed: false,
        };
        let envelope =
            Envelope { source: "s".into(), format: None, sensor: None, arrival: 0, payload: b"body".to_vec() };
        let kept = remove_foreign_readings(decoded, &envelope, &["plant".into()]);
        assert_eq!(name_dictionary::names(&kept.sensors).collect::<Vec<_>>(), ["plant/m/t", "plant/m/v"]);
        assert_eq!((kept.readings.sensor, kept.readings.time), (vec![0, 0], vec![2, 4]));
        assert_eq!(kept.waveforms.len(), 1);
        assert_eq!(kept.waveforms[0].sensor, 1);
        assert_eq!(kept.accepted, [4]);
        let rejected: Vec<_> = kept.rejected.iter().map(|part| part.readings).collect();
        assert_eq!(rejected, [6]);
        let message = &kept.rejected[0].rejection.message;
        assert!(message.starts_with("6 of the readings") && !message.contains("other"), "{message}");
    }

    #[test]
    fn sensors_of_others_are_rejected_alike_for_every_reason() {
        let part = |sensor: Option<&str>, reason: Reason| RejectedPart {
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
            sensors: name_dictionary::empty(),
            readings: ReadingColumns { sensor: vec![], time: vec![], value: vec![] },
            waveforms: vec![],
            accepted: vec![0],
            rejected: vec![],
            state_changed: false,
        };
        let result_of = |decoded: Decoded| {
            let kept = remove_foreign_readings(decoded, &envelope, &sites);
            let visible = |part: &RejectedPart| {
                let Rejection { reason, message } = &part.rejection;
                (part.position, *reason, message.clone(), part.readings)
            };
            (kept.accepted, kept.rejected.iter().map(visible).collect::<Vec<_>>())
        };
        let rejected =
            |sensor: Option<&str>, reason| result_of(Decoded { rejected: vec![part(sensor, reason)], ..empty() });
        let mut sensors = name_dictionary::empty();
        name_dictionary::push_name(&mut sensors, "plants/m/t");
        let readings = ReadingColumns { sensor: vec![0], time: vec![1], value: vec![900.0] };
        let unregistered = result_of(Decoded { sensors, readings, accepted: vec![1], ..empty() });
        assert_eq!(unregistered.1[0].1, Reason::UnknownSensor);
        for reason in [Reason::OutOfRange, Reason::UnknownSensor, Reason::TooOld, Reason::InFuture, Reason::NonFinite] {
            assert_eq!(rejected(Some("plants/m/t"), reason), unregistered);
            for own in [Some("plant/m/t"), Some("plant"), None] {
                assert_eq!(rejected(own, reason).1[0].2, format!("of {own:?}"), "own sensors get the real reason");
            }
        }
    }
}
