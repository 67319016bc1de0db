//! MQTT: packets of versions 3.1.1 and 5.0, topic filters, and the mapping of topics to sensors.

use wheeltapper_mqtt::{Mapping, MappingRule, fuzzing};

use crate::{bounds, byte, slice};

/// Decodes packets. The first byte selects the version.
pub fn codec(mut bytes: &[u8]) {
    let is_version_5 = byte(&mut bytes) & 1 == 1;
    bounds::linear(bytes, |bytes| fuzzing::packets(bytes, is_version_5));
}

/// Matches and maps a topic. The input is a filter, a template for the sensor's name, and a topic.
///
/// # Panics
/// If the result of matching differs from MQTT 5.0, section 4.7, or the mapped name is wrong.
pub fn topics(mut bytes: &[u8]) {
    let (filter, template) = (slice(&mut bytes), slice(&mut bytes));
    let (Ok(filter), Ok(template), Ok(topic)) =
        (str::from_utf8(filter), str::from_utf8(template), str::from_utf8(bytes))
    else {
        return;
    };
    let (is_valid_name, result) = bounds::measured(bytes.len(), || fuzzing::topics(filter, topic));
    if let Some((filter, is_match)) = result.filter(|_| is_valid_name) {
        assert_eq!(is_match, matches(&filter, topic), "{filter:?} and {topic:?}");
    }
    let rule = MappingRule { filter: filter.to_owned(), sensor: Some(template.to_owned()), format: None };
    let Ok(mapping) = Mapping::new(vec![rule]) else { return };
    let mapped = bounds::measured(bytes.len(), || mapping.map(topic));
    if let Some((Some(name), None)) = mapped {
        // Each part of the name is a part of the template or of the topic.
        let max_length = template.len() + topic.len() * template.matches('{').count();
        assert!(name.len() <= max_length, "{template:?} maps {topic:?} to {name:?}");
        if template == "{topic}" {
            assert_eq!(name, topic);
        }
    }
}

/// A simple implementation of the standard's rules, level by level.
fn matches(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            ([first, filter @ ..], [level, topic @ ..]) => (*first == "+" || first == level) && levels(filter, topic),
            _ => false,
        }
    }
    let starts_with_wildcard = filter.starts_with(['+', '#']);
    !(starts_with_wildcard && topic.starts_with('$'))
        && levels(&filter.split('/').collect::<Vec<_>>(), &topic.split('/').collect::<Vec<_>>())
}
