//! Sensor ids as numbers. The table lasts from call to call, so that a name is copied, checked and looked up in the
//! configuration once; each call gives its own dictionary of the names that it met.

use std::collections::HashMap;

use crate::config::Rules;

/// Past so many names the table starts anew: ids that are made up at random must not fill the memory.
const MOST_NAMES: usize = 400_000;

/// What a reading is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) sampling_hz: Option<f64>,
    pub(crate) configured: bool,
    /// Whether the name can be an id, see [`fault`].
    pub(crate) sound: bool,
}

impl Default for About {
    fn default() -> Self {
        Self { min: f64::NEG_INFINITY, max: f64::INFINITY, sampling_hz: None, configured: false, sound: true }
    }
}

#[derive(Debug)]
struct Entry {
    about: About,
    /// Its place in the call's dictionary, if `owners` there agrees.
    local: u32,
    /// The event that it was last met in, and the time of its newest reading there.
    event: u64,
    newest: i64,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
    entries: Vec<Entry>,
    /// By place in the call's dictionary: the name's number.
    owners: Vec<u32>,
    event: u64,
}

impl Names {
    /// A call begins, with an empty dictionary.
    pub(crate) fn begin(&mut self) {
        self.owners.clear();
        if self.entries.len() > MOST_NAMES {
            self.numbers.clear();
            self.entries.clear();
        }
    }

    /// The next event of the call begins.
    pub(crate) fn next_event(&mut self) {
        self.event += 1;
    }

    /// The name's number in the table, and what is known of the sensor.
    pub(crate) fn find(&mut self, name: &str, rules: &Rules) -> (u32, About) {
        if let Some(&number) = self.numbers.get(name) {
            let about = self.entries.get(number as usize).map(|entry| entry.about).unwrap_or_default();
            return (number, about);
        }
        let about = match rules.sensors.get(name) {
            Some(sensor) => About {
                min: sensor.min.unwrap_or(f64::NEG_INFINITY),
                max: sensor.max.unwrap_or(f64::INFINITY),
                sampling_hz: sensor.sampling_hz,
                configured: true,
                sound: true,
            },
            None => About { sound: fault(name).is_none(), ..About::default() },
        };
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { about, local: 0, event: 0, newest: i64::MIN });
        self.numbers.insert(name.into(), number);
        (number, about)
    }

    /// Notes that the event names the sensor; true when it does so for the first time.
    pub(crate) fn meet(&mut self, number: u32) -> bool {
        let Some(entry) = self.entries.get_mut(number as usize) else { return false };
        let first = entry.event != self.event;
        if first {
            entry.event = self.event;
            entry.newest = i64::MIN;
        }
        first
    }

    /// Notes the time of a reading; false when the sensor had a newer one in the same event.
    pub(crate) fn in_order(&mut self, number: u32, time: i64) -> bool {
        let Some(entry) = self.entries.get_mut(number as usize) else { return true };
        let in_order = time >= entry.newest;
        entry.newest = entry.newest.max(time);
        in_order
    }

    /// The number in this call's dictionary, to which the name is added when it is new there.
    pub(crate) fn local(&mut self, number: u32, name: &str, text: &mut String, ends: &mut Vec<u32>) -> u32 {
        let Some(entry) = self.entries.get_mut(number as usize) else { return 0 };
        if self.owners.get(entry.local as usize) != Some(&number) {
            entry.local = u32::try_from(ends.len()).unwrap_or(u32::MAX);
            self.owners.push(number);
            text.push_str(name);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        entry.local
    }

    /// Takes names out of the call's dictionary but the first `count`.
    pub(crate) fn forget_after(&mut self, count: usize) {
        self.owners.truncate(count);
    }
}

/// Levels of an id, `site/area/machine/sensor` and deeper.
const MOST_LEVELS: usize = 32;

/// Why a text can be no sensor's id, in words that go on from "the sensor's id"; none where it can. Ids are paths that people
/// read and other programs take apart: what vanishes in print or means something else in a path would let one sensor pass
/// for another.
pub fn fault(name: &str) -> Option<String> {
    if let Some(hidden) = name.chars().find(|&each| each.is_control() || is_hidden(each)) {
        return Some(format!(
            "holds the character U+{:04X}, which cannot be seen or turns the direction of writing",
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
    (levels > MOST_LEVELS).then(|| format!("has {levels} levels, at most {MOST_LEVELS} are taken"))
}

/// Characters that take no place or change the direction of writing. Joiners (U+200C, U+200D) are not among them: some
/// scripts need them.
const fn is_hidden(each: char) -> bool {
    matches!(
        each,
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
    use super::fault;

    #[test]
    fn ids_that_can_pass_for_others_are_faulty() {
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
            assert!(fault(name).is_some(), "{name:?}");
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
            assert_eq!(fault(name), None, "{name:?}");
        }
        assert!(fault(&["a"; 33].join("/")).is_some());
        assert_eq!(fault(&["a"; 32].join("/")), None);
    }
}
