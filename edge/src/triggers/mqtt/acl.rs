//! Which topics a client of the broker may publish and read. This depends on its rights and on the site to which the
//! subject of a topic belongs.
//!
//! | topic | subject |
//! |---|---|
//! | `wheeltapper/events/KIND/ASSET` | the asset; only the host publishes there |
//! | `spBv1.0/GROUP/KIND/NODE[/DEVICE]` | `GROUP/NODE[/DEVICE]`, the prefix of the sensors' ids |
//! | `spBv1.0/STATE/HOST` | none: every client with read rights may read it, only clients of all sites publish it |
//! | one for which `[[mqtt.topic]]` names a sensor | that sensor |
//! | any other | the topic itself: `plant/hall-1/pump` belongs to the site `plant/hall-1` |

use std::{borrow::Cow, sync::Arc};

use wheeltapper_access::Identity;
use wheeltapper_mqtt::{Grant, Mapping, filters_overlap};

use crate::intake::site_filter::{SparkplugTopic, is_at_sites};

/// The prefix of the host's own topics, before the kind of event.
const EVENTS_PREFIX: &str = "wheeltapper/events/";
/// The topics with the states of Sparkplug's host applications.
const SPARKPLUG_STATE_PREFIX: &str = "spBv1.0/STATE";

/// The rights of a client.
#[derive(Debug)]
pub(super) struct Rights {
    pub(super) owner: String,
    /// Whether the client may send readings.
    pub(super) can_publish: bool,
    pub(super) can_read: bool,
    /// The sites to which the client is limited; `None`: all sites.
    pub(super) sites: Option<Arc<[String]>>,
    mapping: Arc<Mapping>,
    /// The filters of the topics for which the mapping names a sensor. The filter alone does not show their sites.
    mapped_filters: Arc<[String]>,
}

impl Rights {
    pub(super) fn new(
        owner: String,
        can_publish: bool,
        can_read: bool,
        sites: Option<&[String]>,
        mapping: &Arc<Mapping>,
        mapped_filters: &Arc<[String]>,
    ) -> Self {
        let (mapping, mapped_filters) = (Arc::clone(mapping), Arc::clone(mapped_filters));
        Self { owner, can_publish, can_read, sites: sites.map(Into::into), mapping, mapped_filters }
    }

    /// The rights that this identity has over HTTP.
    pub(super) fn for_identity(identity: &Identity, mapping: &Arc<Mapping>, mapped_filters: &Arc<[String]>) -> Self {
        let can_read = identity.has_permission(wheeltapper_access::Permission::Read);
        Self::new(
            identity.name.clone(),
            identity.can_ingest(),
            can_read,
            identity.sites.as_deref(),
            mapping,
            mapped_filters,
        )
    }

    /// Whether both grant the same rights.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        (self.owner.as_str(), self.can_publish, self.can_read, &self.sites)
            == (other.owner.as_str(), other.can_publish, other.can_read, &other.sites)
    }

    /// The subject of a topic that is neither the host's own nor Sparkplug's.
    fn subject<'a>(&self, topic: &'a str) -> Cow<'a, str> {
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
        let Some(sites) = self.sites.as_deref().filter(|_| self.can_publish) else { return self.can_publish };
        if SparkplugTopic::is_sparkplug(topic) {
            return SparkplugTopic::parse(topic).is_some_and(|topic| is_at_sites(&topic.required_site(), sites));
        }
        // Topics that begin with `$` do not belong to a plant.
        !topic.starts_with('$') && is_at_sites(&self.subject(topic), sites)
    }

    fn may_read(&self, topic: &str) -> bool {
        let Some(sites) = self.sites.as_deref().filter(|_| self.can_read) else { return self.can_read };
        if let Some(event) = topic.strip_prefix(EVENTS_PREFIX) {
            return event.split_once('/').is_some_and(|(_, asset)| is_at_sites(asset, sites));
        }
        if SparkplugTopic::is_sparkplug(topic) {
            let is_state =
                topic.strip_prefix(SPARKPLUG_STATE_PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            return is_state
                || SparkplugTopic::parse(topic).is_some_and(|topic| is_at_sites(&topic.sensor_prefix(), sites));
        }
        !topic.starts_with('$') && is_at_sites(&self.subject(topic), sites)
    }

    fn may_subscribe(&self, filter: &str) -> bool {
        let Some(sites) = self.sites.as_deref().filter(|_| self.can_read) else { return self.can_read };
        let below = |prefix: &str, site: &str| filters_overlap(filter, &format!("{prefix}{site}/#"));
        let reads_mapped = || self.mapped_filters.iter().any(|rule| filters_overlap(filter, rule));
        let sparkplug = |site: &str| {
            let mut levels = site.splitn(3, '/');
            let (group, node, device) = (levels.next().unwrap_or("+"), levels.next(), levels.next());
            let device = device.unwrap_or("#");
            filters_overlap(filter, &format!("spBv1.0/{group}/+/{}/{device}", node.unwrap_or("+")))
        };
        !sites.is_empty()
            && (filters_overlap(filter, "spBv1.0/STATE/#")
                || reads_mapped()
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

    fn rights(can_publish: bool, can_read: bool, sites: Option<&[&str]>) -> Rights {
        let rule = |filter: &str, sensor: &str| MappingRule {
            filter: filter.into(),
            sensor: Some(sensor.into()),
            ..MappingRule::default()
        };
        let rules = vec![rule("line/+/+", "north/{1}/{2}"), rule("far/#", "south/{#}")];
        let mapped_filters: Arc<[String]> = rules.iter().map(|rule| rule.filter.clone()).collect();
        let sites: Option<Vec<String>> = sites.map(|sites| sites.iter().map(|site| (*site).to_owned()).collect());
        let mapping = Arc::new(Mapping::new(rules).unwrap());
        Rights::new("c".into(), can_publish, can_read, sites.as_deref(), &mapping, &mapped_filters)
    }

    #[test]
    fn a_topic_belongs_to_the_site_of_its_subject() {
        let north = rights(true, true, Some(&["north"]));
        for (topic, can_publish, can_read) in [
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
            assert_eq!((north.may_publish(topic), north.may_read(topic)), (can_publish, can_read), "{topic}");
        }
        let device = rights(true, true, Some(&["north/node/device"]));
        assert!(device.may_read("spBv1.0/north/DBIRTH/node/device"));
        assert!(!device.may_publish("spBv1.0/north/DBIRTH/node/device"), "it could take the node's aliases");
        assert!(device.may_publish("spBv1.0/north/DDATA/node/device"));
        let none = rights(true, true, Some(&[]));
        assert!(!none.may_publish("north/m") && !none.may_read("north/m") && !none.may_subscribe("#"));
    }

    #[test]
    fn rights_also_apply_without_site_limits() {
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
    fn a_filter_for_other_sites_is_rejected() {
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
        /// If a whole filter is rejected, the client may read none of the topics that match it.
        #[test]
        fn a_rejected_filter_matches_no_readable_topic(
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
                    prop_assert!(!(filters_overlap(&filter, &topic) && rights.may_read(&topic)), "{} {} {:?}", filter, topic, sites);
                }
            }
        }
    }
}
