//! Which topics a client of the broker may publish and read: by its rights, and by the sites of what a topic is about.
//!
//! | topic | is about |
//! |---|---|
//! | `wheeltapper/events/KIND/ASSET` | the asset; nobody but the host publishes there |
//! | `spBv1.0/GROUP/KIND/NODE[/DEVICE]` | `GROUP/NODE[/DEVICE]`, as the sensors' ids begin |
//! | `spBv1.0/STATE/HOST` | nothing: everybody who may read may read it, only clients of all sites publish it |
//! | one for which `[[mqtt.topic]]` names a sensor | that sensor |
//! | any other | itself: `plant/hall-1/pump` lies at the site `plant/hall-1` |

use std::{borrow::Cow, sync::Arc};

use wheeltapper_access::Identity;
use wheeltapper_mqtt::{Grant, Mapping, overlap};

use crate::intake::sites::{Sparkplug, lies};

/// The host's own topics, before the kind of event.
const EVENTS: &str = "wheeltapper/events/";
/// The states of Sparkplug's host applications.
const STATE: &str = "spBv1.0/STATE";

/// The rights of a client.
#[derive(Debug)]
pub(super) struct Rights {
    pub(super) owner: String,
    /// It may send readings.
    pub(super) publish: bool,
    pub(super) read: bool,
    /// The sites that it is kept to; none: all.
    pub(super) sites: Option<Arc<[String]>>,
    mapping: Arc<Mapping>,
    /// The filters of the topics for which the mapping names a sensor: which site these lie at is not seen from a filter.
    mapped: Arc<[String]>,
}

impl Rights {
    pub(super) fn new(
        owner: String,
        publish: bool,
        read: bool,
        sites: Option<&[String]>,
        mapping: &Arc<Mapping>,
        mapped: &Arc<[String]>,
    ) -> Self {
        let (mapping, mapped) = (Arc::clone(mapping), Arc::clone(mapped));
        Self { owner, publish, read, sites: sites.map(Into::into), mapping, mapped }
    }

    /// What HTTP would let this identity do.
    pub(super) fn of(identity: &Identity, mapping: &Arc<Mapping>, mapped: &Arc<[String]>) -> Self {
        let read = identity.may(wheeltapper_access::Permission::Read);
        Self::new(identity.name.clone(), identity.may_ingest(), read, identity.sites.as_deref(), mapping, mapped)
    }

    /// Whether two say the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        (self.owner.as_str(), self.publish, self.read, &self.sites)
            == (other.owner.as_str(), other.publish, other.read, &other.sites)
    }

    /// What a topic is about that is neither the host's nor Sparkplug's.
    fn about<'a>(&self, topic: &'a str) -> Cow<'a, str> {
        match self.mapping.map(topic) {
            Some((Some(sensor), _)) => sensor.into(),
            _ => topic.into(),
        }
    }
}

impl Grant for Rights {
    fn owner(&self) -> &str {
        &self.owner
    }

    fn may_publish(&self, topic: &str) -> bool {
        let Some(sites) = self.sites.as_deref().filter(|_| self.publish) else { return self.publish };
        if Sparkplug::is(topic) {
            return Sparkplug::of(topic).is_some_and(|topic| lies(&topic.owner(), sites));
        }
        // A `$` is no part of a plant.
        !topic.starts_with('$') && lies(&self.about(topic), sites)
    }

    fn may_read(&self, topic: &str) -> bool {
        let Some(sites) = self.sites.as_deref().filter(|_| self.read) else { return self.read };
        if let Some(event) = topic.strip_prefix(EVENTS) {
            return event.split_once('/').is_some_and(|(_, asset)| lies(asset, sites));
        }
        if Sparkplug::is(topic) {
            let state = topic.strip_prefix(STATE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            return state || Sparkplug::of(topic).is_some_and(|topic| lies(&topic.path(), sites));
        }
        !topic.starts_with('$') && lies(&self.about(topic), sites)
    }

    fn may_subscribe(&self, filter: &str) -> bool {
        let Some(sites) = self.sites.as_deref().filter(|_| self.read) else { return self.read };
        let below = |prefix: &str, site: &str| overlap(filter, &format!("{prefix}{site}/#"));
        let mapped = || self.mapped.iter().any(|rule| overlap(filter, rule));
        let sparkplug = |site: &str| {
            let mut levels = site.splitn(3, '/');
            let (group, node, device) = (levels.next().unwrap_or("+"), levels.next(), levels.next());
            let device = device.unwrap_or("#");
            overlap(filter, &format!("spBv1.0/{group}/+/{}/{device}", node.unwrap_or("+")))
        };
        !sites.is_empty()
            && (overlap(filter, "spBv1.0/STATE/#")
                || mapped()
                || sites.iter().any(|site| below("", site) || below("wheeltapper/events/+/", site) || sparkplug(site)))
    }

    fn sites(&self) -> Option<Arc<[String]>> {
        self.sites.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use wheeltapper_mqtt::MappingRule;

    use super::*;

    fn rights(publish: bool, read: bool, sites: Option<&[&str]>) -> Rights {
        let rule = |filter: &str, sensor: &str| MappingRule {
            filter: filter.into(),
            sensor: Some(sensor.into()),
            ..MappingRule::default()
        };
        let rules = vec![rule("line/+/+", "north/{1}/{2}"), rule("far/#", "south/{#}")];
        let mapped: Arc<[String]> = rules.iter().map(|rule| rule.filter.clone()).collect();
        let sites: Option<Vec<String>> = sites.map(|sites| sites.iter().map(|site| (*site).to_owned()).collect());
        let mapping = Arc::new(Mapping::new(rules).unwrap());
        Rights::new("c".into(), publish, read, sites.as_deref(), &mapping, &mapped)
    }

    #[test]
    fn a_topic_lies_where_what_it_is_about_lies() {
        let north = rights(true, true, Some(&["north"]));
        for (topic, publish, read) in [
            ("north/m/t", true, true),
            ("north", true, true),
            ("northern/m/t", false, false),
            ("south/m/t", false, false),
            ("line/m/t", true, true),
            ("far/m/t", false, false),
            ("wheeltapper/events/alert/north/m", false, true),
            ("wheeltapper/events/alert/south/m", false, false),
            ("wheeltapper/events/north", false, false),
            ("wheeltapper/north", false, false),
            ("spBv1.0/north/NBIRTH/node", true, true),
            ("spBv1.0/north/DDATA/node/device", true, true),
            ("spBv1.0/south/NDEATH/node", false, false),
            ("spBv1.0/STATE/scada", false, true),
            ("spBv1.0/north", false, false),
            ("$SYS/north", false, false),
            ("$north", false, false),
        ] {
            assert_eq!((north.may_publish(topic), north.may_read(topic)), (publish, read), "{topic}");
        }
        let device = rights(true, true, Some(&["north/node/device"]));
        assert!(device.may_read("spBv1.0/north/DBIRTH/node/device"));
        assert!(!device.may_publish("spBv1.0/north/DBIRTH/node/device"), "it could take the node's aliases");
        assert!(device.may_publish("spBv1.0/north/DDATA/node/device"));
        let none = rights(true, true, Some(&[]));
        assert!(!none.may_publish("north/m") && !none.may_read("north/m") && !none.may_subscribe("#"));
    }

    #[test]
    fn rights_hold_at_all_sites_as_well() {
        let topics = ["north/m", "wheeltapper/events/alert/south/m", "spBv1.0/south/NDEATH/n", "$SYS/x", "line/a/b"];
        let (sends, reads) = (rights(true, false, None), rights(false, true, None));
        for topic in topics {
            assert!(sends.may_publish(topic) && !sends.may_read(topic) && !sends.may_subscribe(topic));
            assert!(reads.may_read(topic) && reads.may_subscribe(topic) && !reads.may_publish(topic));
        }
        let sends = rights(true, false, Some(&["north"]));
        assert!(!sends.may_subscribe("#") && !sends.may_read("north/m") && sends.may_publish("north/m"));
    }

    #[test]
    fn a_filter_of_other_sites_is_refused() {
        let north = rights(true, true, Some(&["north/hall"]));
        for filter in [
            "#",
            "+/+/+",
            "north/#",
            "north/hall",
            "north/hall/m/+",
            "line/+/+",
            "far/#",
            "wheeltapper/events/#",
            "wheeltapper/events/alert/north/hall/#",
            "spBv1.0/north/+/hall/#",
            "spBv1.0/#",
            "spBv1.0/STATE/+",
        ] {
            assert!(north.may_subscribe(filter), "{filter}");
        }
        for filter in [
            "south/#",
            "north/other/#",
            "north",
            "wheeltapper/events/alert/south/#",
            "spBv1.0/south/#",
            "spBv1.0/north/+/other/#",
            "$SYS/#",
            "wheeltapper/x",
        ] {
            assert!(!north.may_subscribe(filter), "{filter}");
        }
    }

    proptest! {
        /// What is refused as a whole would have shown nothing topic by topic.
        #[test]
        fn a_refused_filter_hides_nothing(
            filter in prop_oneof![
                "([ab+]/){0,3}[ab+#]",
                "(wheeltapper|\\+)/(events|\\+)/(alert|\\+)/([ab+]/){0,2}[ab+#]",
                "(spBv1.0|\\+)/[ab+]/(NDATA|\\+)/([ab+]/){0,1}[ab+#]",
                "(line|far)/([ab+]/){0,1}[ab+#]",
            ],
            sites in vec("[ab](/[ab]){0,2}|north/[ab]|south", 0..3),
            topics in vec(prop_oneof![
                "[ab](/[ab]){0,3}",
                "wheeltapper/events/alert/[ab](/[ab]){0,2}",
                "spBv1.0/[ab]/NDATA/[ab](/[ab])?",
                "(line|far)/[ab]/[ab]",
            ], 30),
        ) {
            let own: Vec<&str> = sites.iter().map(String::as_str).collect();
            let rights = rights(false, true, Some(&own));
            if !rights.may_subscribe(&filter) {
                for topic in topics {
                    prop_assert!(!(overlap(&filter, &topic) && rights.may_read(&topic)), "{} {} {:?}", filter, topic, sites);
                }
            }
        }
    }
}
