//! Sensor ids as numbers. The table lasts from call to call, so that a name is copied and looked up in the
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
}

impl Default for About {
    fn default() -> Self {
        Self { min: f64::NEG_INFINITY, max: f64::INFINITY, sampling_hz: None, configured: false }
    }
}

#[derive(Debug)]
struct Entry {
    about: About,
    /// The call that gave it `local`.
    call: u64,
    local: u32,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
    entries: Vec<Entry>,
    call: u64,
}

impl Names {
    pub(crate) fn begin(&mut self) {
        self.call += 1;
        if self.entries.len() > MOST_NAMES {
            self.numbers.clear();
            self.entries.clear();
        }
    }

    /// The name's number in the table, and what is known of the sensor.
    pub(crate) fn find(&mut self, name: &str, rules: &Rules) -> (u32, About) {
        if let Some(&number) = self.numbers.get(name) {
            let about = self.entries.get(number as usize).map(|entry| entry.about).unwrap_or_default();
            return (number, about);
        }
        let about = rules.sensors.get(name).map_or_else(About::default, |sensor| About {
            min: sensor.min.unwrap_or(f64::NEG_INFINITY),
            max: sensor.max.unwrap_or(f64::INFINITY),
            sampling_hz: sensor.sampling_hz,
            configured: true,
        });
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { about, call: 0, local: 0 });
        self.numbers.insert(name.into(), number);
        (number, about)
    }

    /// The number in this call's dictionary, to which the name is added when it is new there.
    pub(crate) fn local(&mut self, number: u32, name: &str, text: &mut String, ends: &mut Vec<u32>) -> u32 {
        let Some(entry) = self.entries.get_mut(number as usize) else { return 0 };
        if entry.call != self.call {
            entry.call = self.call;
            entry.local = u32::try_from(ends.len()).unwrap_or(u32::MAX);
            text.push_str(name);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        entry.local
    }
}
