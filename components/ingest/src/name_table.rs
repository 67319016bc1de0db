//! A table of sensor names. It is kept between calls, so that a name is copied, validated and looked up in the
//! configuration only once. Each call returns its own dictionary with the names that it uses.

use std::collections::HashMap;

use crate::config::ValidationRules;

/// Limit for the number of names; above it the table is cleared, so that random ids cannot fill the memory.
const MAX_NAMES: usize = 400_000;

/// The limits that the readings of a sensor are checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SensorLimits {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sampling_hz: Option<f64>,
    pub(crate) is_configured: bool,
    /// Whether the name is a valid id, see [`sensor_id_fault`]. Ids in the configuration are not checked.
    pub(crate) is_valid_id: bool,
}

impl Default for SensorLimits {
    fn default() -> Self {
        Self { min: f64::NEG_INFINITY, max: f64::INFINITY, sampling_hz: None, is_configured: false, is_valid_id: true }
    }
}

/// A name in the table.
#[derive(Debug)]
struct NameEntry {
    limits: SensorLimits,
    /// Index in the dictionary of the call. It is valid only if `dictionary` has this name at that index.
    dictionary_index: u32,
    /// The number of the last event that named the sensor.
    last_event: u64,
    /// The time of the newest reading of that event, in nanoseconds since 1970.
    newest_time: i64,
}

/// The table of names.
#[derive(Debug, Default)]
pub(crate) struct NameTable {
    /// The index in `entries` of each name.
    index_by_name: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
    entries: Vec<NameEntry>,
    /// The dictionary of the call: the index in `entries` of each of its names.
    dictionary: Vec<u32>,
    /// The number of the current event.
    current_event: u64,
}

impl NameTable {
    /// Begins a call with an empty dictionary.
    pub(crate) fn begin_call(&mut self) {
        self.dictionary.clear();
        if self.entries.len() > MAX_NAMES {
            self.index_by_name.clear();
            self.entries.clear();
        }
    }

    /// Begins the next event of the call.
    pub(crate) fn begin_event(&mut self) {
        self.current_event += 1;
    }

    /// Returns the index of the name in the table, and the limits of the sensor. Adds the name if it is new.
    pub(crate) fn find_or_insert(&mut self, name: &str, rules: &ValidationRules) -> (u32, SensorLimits) {
        if let Some(&number) = self.index_by_name.get(name) {
            let limits = self.entries.get(number as usize).map(|entry| entry.limits).unwrap_or_default();
            return (number, limits);
        }
        let limits = match rules.sensors.get(name) {
            Some(sensor) => SensorLimits {
                min: sensor.min.unwrap_or(f64::NEG_INFINITY),
                max: sensor.max.unwrap_or(f64::INFINITY),
                sampling_hz: sensor.sampling_hz,
                is_configured: true,
                is_valid_id: true,
            },
            None => SensorLimits { is_valid_id: sensor_id_fault(name).is_none(), ..SensorLimits::default() },
        };
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(NameEntry { limits, dictionary_index: 0, last_event: 0, newest_time: i64::MIN });
        self.index_by_name.insert(name.into(), number);
        (number, limits)
    }

    /// Notes that the event names the sensor. Returns whether it is the first time in this event.
    pub(crate) fn note_sensor(&mut self, number: u32) -> bool {
        let Some(entry) = self.entries.get_mut(number as usize) else { return false };
        let first = entry.last_event != self.current_event;
        if first {
            entry.last_event = self.current_event;
            entry.newest_time = i64::MIN;
        }
        first
    }

    /// Notes the time of a reading. Returns false if the event has a newer reading of the sensor.
    pub(crate) fn note_time(&mut self, number: u32, time: i64) -> bool {
        let Some(entry) = self.entries.get_mut(number as usize) else { return true };
        let in_order = time >= entry.newest_time;
        entry.newest_time = entry.newest_time.max(time);
        in_order
    }

    /// Returns the index of the name in the dictionary of the call. Adds the name to the dictionary if it is new there.
    pub(crate) fn dictionary_index(&mut self, number: u32, name: &str, text: &mut String, ends: &mut Vec<u32>) -> u32 {
        let Some(entry) = self.entries.get_mut(number as usize) else { return 0 };
        if self.dictionary.get(entry.dictionary_index as usize) != Some(&number) {
            entry.dictionary_index = u32::try_from(ends.len()).unwrap_or(u32::MAX);
            self.dictionary.push(number);
            text.push_str(name);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        entry.dictionary_index
    }

    /// Removes all names from the dictionary of the call except the first `count`.
    pub(crate) fn truncate_dictionary(&mut self, count: usize) {
        self.dictionary.truncate(count);
    }
}

/// Limit for the number of levels of an id such as `site/area/machine/sensor`.
const MAX_LEVELS: usize = 32;

/// Returns what is wrong with a sensor id, as a phrase that continues "the sensor's id", or None if it is valid.
///
/// Ids are paths that people read and other programs split. Characters that are invisible, or that have a special
/// meaning in a path, would make one sensor look like another.
pub fn sensor_id_fault(name: &str) -> Option<String> {
    if let Some(hidden) = name.chars().find(|&char| char.is_control() || is_invisible(char)) {
        return Some(format!(
            "holds the character U+{:04X}, which is invisible or changes the text direction",
            u32::from(hidden)
        ));
    }
    if name.starts_with('/') || name.ends_with('/') {
        return Some("begins or ends with /".to_owned());
    }
    let mut levels = 0;
    for level in name.split('/') {
        levels += 1;
        if level.is_empty() {
            return Some("has an empty level, //".to_owned());
        }
        if level == "." || level == ".." {
            return Some(format!("has the level {level}"));
        }
        if level.starts_with(char::is_whitespace) || level.ends_with(char::is_whitespace) {
            return Some(format!("has a level that begins or ends with a space, {level:?}"));
        }
    }
    (levels > MAX_LEVELS).then(|| format!("has {levels} levels; at most {MAX_LEVELS} are accepted"))
}

/// Returns whether the character is invisible or changes the text direction. The joiners U+200C and U+200D are allowed,
/// because some scripts need them.
const fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{61C}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
    )
}

#[cfg(test)]
mod tests {
    use super::sensor_id_fault;

    #[test]
    fn confusable_ids_are_invalid() {
        for name in [
            "..",
            "a/../b",
            "./a",
            "a/.",
            "/a",
            "a/",
            "a//b",
            "/",
            " a",
            "a ",
            "a/ b",
            "a\u{a0}/b",
            "a\tb",
            "a\0",
            "a\u{202e}b",
            "\u{2066}a",
            "a\u{200f}",
            "a\u{200b}b",
            "\u{feff}a",
            "a\u{2029}b",
            "a\u{7f}",
        ] {
            assert!(sensor_id_fault(name).is_some(), "{name:?}");
        }
        for name in [
            "a",
            "halle/öl/druck",
            "工場/ポンプ/温度",
            "مصنع/مضخة",
            "a b/c d",
            "urn:dev:1/x",
            "a..b",
            "...",
            "a.b",
            "नमूना\u{200d}ना",
            "vib-1_x:y@z#",
        ] {
            assert_eq!(sensor_id_fault(name), None, "{name:?}");
        }
        assert!(sensor_id_fault(&["a"; 33].join("/")).is_some());
        assert_eq!(sensor_id_fault(&["a"; 32].join("/")), None);
    }
}
