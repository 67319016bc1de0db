//! MQTT: packets of 3.1.1 and 5.0, topic filters, the mapping of topics.

use wheeltapper_mqtt::{Mapping, MappingRule, fuzzing};

use crate::{bounds, byte, piece};

/// Packets: the first byte says of which version.
pub fn codec(mut bytes: &[u8]) {
    let version_5 = byte(&mut bytes) & 1 == 1;
    bounds::linear(bytes, |bytes| fuzzing::packets(bytes, version_5));
}

/// A filter, a template of a sensor's name, and a topic.
///
/// # Panics
/// When a topic matches where MQTT 5.0, section 4.7, says that it does not, or the other way round.
pub fn topics(mut bytes: &[u8]) {
    let (filter, template) = (piece(&mut bytes), piece(&mut bytes));
    let (Ok(filter), Ok(template), Ok(topic)) =
        (str::from_utf8(filter), str::from_utf8(template), str::from_utf8(bytes))
    else {
        return;
    };
    let (is_name, found) = bounds::measured(bytes.len(), || fuzzing::topics(filter, topic));
    if let Some((filter, matched)) = found.filter(|_| is_name) {
        assert_eq!(matched, matches(&filter, topic), "{filter:?} and {topic:?}");
    }
    let rule = MappingRule { filter: filter.to_owned(), sensor: Some(template.to_owned()), format: None };
    let Ok(mapping) = Mapping::new(vec![rule]) else { return };
    let mapped = bounds::measured(bytes.len(), || mapping.map(topic));
    if let Some((Some(name), None)) = mapped {
        // Each piece of a template is a part of it or of the topic.
        let most = template.len() + topic.len() * template.matches('{').count();
        assert!(name.len() <= most, "{template:?} made {name:?} of {topic:?}");
        if template == "{topic}" {
            assert_eq!(name, topic);
        }
    }
}

/// The standard's rules, level by level and without a thought for speed.
fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            ([first, filter @ ..], [level, topic @ ..]) => (*first == "+" || first == level) && levels(filter, topic),
            _ => false,
        }
    }
    let wild = filter.starts_with(['+', '#']);
    !(wild && topic.starts_with('$'))
        && levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
}
