//! A sensor between the physical value and the reading: interval, noise, resolution, faults, replacement.

use crate::{fleet::Quantity, random::Random};

/// A way in which a sensor fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorFaultKind {
    /// It repeats the same value.
    Stuck,
    /// It loses most of its readings.
    Dropout,
    /// It sends nothing.
    Silent,
    /// Its noise is many times as large.
    Noise,
    /// Single readings are far off.
    Spikes,
    /// Its zero moves at once.
    OffsetStep,
    /// It cannot show values above a level within its normal range.
    Clipping,
    /// It sends values in another unit: g for m/s², inch/s for mm/s, °F for °C.
    WrongUnit,
    /// It sends the end of its range, as with a broken wire.
    OutOfRange,
}

impl SensorFaultKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Stuck,
        Self::Dropout,
        Self::Silent,
        Self::Noise,
        Self::Spikes,
        Self::OffsetStep,
        Self::Clipping,
        Self::WrongUnit,
        Self::OutOfRange,
    ];

    /// Name in the labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stuck => "sensor-stuck",
            Self::Dropout => "sensor-dropout",
            Self::Silent => "sensor-silent",
            Self::Noise => "sensor-noise",
            Self::Spikes => "sensor-spikes",
            Self::OffsetStep => "sensor-offset",
            Self::Clipping => "sensor-clipping",
            Self::WrongUnit => "sensor-unit",
            Self::OutOfRange => "sensor-out-of-range",
        }
    }
}

/// A fault of a sensor. Times are in seconds after the start of the simulation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensorFault {
    /// What is wrong.
    pub kind: SensorFaultKind,
    /// Start.
    pub from: f64,
    /// Time of the repair.
    pub until: f64,
}

/// A new sensor at the same place, with another zero and sensitivity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replacement {
    /// Time in seconds after the start.
    pub at: f64,
    /// Change of the zero, as a share of the quantity's usual variation.
    pub offset: f64,
    /// Change of the sensitivity, as a factor near 1.
    pub gain: f64,
}

/// Properties of one sensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SensorModel {
    pub(crate) quantity: Quantity,
    /// Time between two readings in s.
    pub(crate) interval: f64,
    /// Smallest step between two values, in the sensor's unit; by default the last decimal of its quantity.
    pub(crate) resolution: Option<f64>,
    /// Factor of the usual noise.
    pub(crate) noise: f64,
    pub(crate) faults: Vec<SensorFault>,
    pub(crate) replacement: Option<Replacement>,
    /// Times at which a disturbance falsifies the next one or two readings, in s.
    pub(crate) glitches: Vec<f64>,
    next_at: f64,
    stuck: Option<f64>,
    next_glitch: usize,
    readings_of_glitch: u32,
}

impl SensorModel {
    pub(crate) fn new(quantity: Quantity, interval: f64) -> Self {
        Self {
            quantity,
            interval,
            resolution: None,
            noise: 1.0,
            faults: Vec::new(),
            replacement: None,
            glitches: Vec::new(),
            next_at: 0.0,
            stuck: None,
            next_glitch: 0,
            readings_of_glitch: 0,
        }
    }

    /// Starts the readings at a phase of the interval, 0 to 1.
    pub(crate) fn start_at_phase(&mut self, phase: f64) {
        self.next_at = phase * self.interval;
    }

    /// Whether a reading is due at `seconds`; the next one is then due one interval later.
    pub(crate) fn is_due(&mut self, seconds: f64) -> bool {
        let due = seconds + 1e-6 >= self.next_at;
        if due {
            self.next_at += self.interval;
        }
        due
    }

    /// The reading for a physical value with its noise; `None` if the sensor loses it. `usual` is the usual variation
    /// of the quantity on this machine, `level` its usual level.
    pub(crate) fn read(
        &mut self,
        seconds: f64,
        value: f64,
        usual: f64,
        level: f64,
        random: &mut Random,
    ) -> Option<f64> {
        let mut value = value;
        if let Some(new) = self.replacement.filter(|new| seconds >= new.at) {
            value = value * new.gain + new.offset * usual;
        }
        let (low, high) = self.range();
        let active = self.faults.iter().find(|fault| (fault.from..fault.until).contains(&seconds)).copied();
        if active.is_none_or(|fault| fault.kind != SensorFaultKind::Stuck) {
            self.stuck = None;
        }
        match active.map(|fault| fault.kind) {
            None => {}
            Some(SensorFaultKind::Stuck) => {
                value = *self.stuck.get_or_insert(value);
            }
            Some(SensorFaultKind::Dropout) if random.uniform() < 0.85 => return None,
            Some(SensorFaultKind::Dropout) => {}
            Some(SensorFaultKind::Silent) => return None,
            Some(SensorFaultKind::Noise) => value += 0.8 * usual * random.normal(),
            Some(SensorFaultKind::Spikes) if random.uniform() < 0.04 => {
                value += 6.0 * usual * if random.uniform() < 0.5 { -1.0 } else { 1.0 };
            }
            Some(SensorFaultKind::Spikes) => {}
            Some(SensorFaultKind::OffsetStep) => value += 1.5 * usual,
            Some(SensorFaultKind::Clipping) => value = value.min(level),
            Some(SensorFaultKind::WrongUnit) => {
                value = match self.quantity.description().2 {
                    "mm/s" => value / 25.4,
                    "degC" => 1.8 * value + 32.0,
                    "bar" => value * 14.5038,
                    _ => value * 1000.0,
                };
            }
            Some(SensorFaultKind::OutOfRange) => {
                value = if self.quantity.description().1 == "temperature" { high } else { low }
            }
        }
        if self.glitches.get(self.next_glitch).is_some_and(|at| seconds >= *at) {
            self.next_glitch += 1;
            self.readings_of_glitch = if self.interval <= 1.0 { 2 } else { 1 };
        }
        if self.readings_of_glitch > 0 {
            self.readings_of_glitch -= 1;
            value = if random.uniform() < 0.5 { 0.0 } else { level + 20.0 * usual };
        }
        Some(self.quantised(value.clamp(low, high)))
    }

    fn range(&self) -> (f64, f64) {
        let (_, _, _, low, high, _) = self.quantity.description();
        (low, high)
    }

    fn quantised(&self, value: f64) -> f64 {
        match self.resolution {
            Some(step) => {
                let rounded = (value / step).round() * step;
                // Whole multiples of 0.1 have digits that a double does not have.
                (rounded * 1e6).round() / 1e6
            }
            None => {
                let scale = 10_f64.powi(self.quantity.description().5);
                (value * scale).round() / scale
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(sensor: &mut SensorModel, count: usize) -> Vec<Option<f64>> {
        let mut random = Random::new(1, 0);
        (0..count)
            .map(|at| {
                let value = 60.0 + 0.1 * random.normal();
                sensor.read(at as f64, value, 10.0, 60.0, &mut random)
            })
            .collect()
    }

    fn with_fault(kind: SensorFaultKind) -> Vec<Option<f64>> {
        let mut sensor = SensorModel::new(Quantity::Temperature, 1.0);
        sensor.faults.push(SensorFault { kind, from: 100.0, until: 300.0 });
        readings(&mut sensor, 400)
    }

    fn deviation(values: &[Option<f64>]) -> f64 {
        let values: Vec<f64> = values.iter().copied().flatten().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn each_sensor_fault_shows_only_while_it_lasts() {
        for kind in SensorFaultKind::ALL {
            let values = with_fault(kind);
            let healthy = [&values[..100], &values[300..]].concat();
            assert!(deviation(&healthy) < 0.2 && healthy.iter().all(Option::is_some), "{kind:?}");
            let faulty = &values[100..300];
            let sent: Vec<f64> = faulty.iter().copied().flatten().collect();
            let shows = match kind {
                SensorFaultKind::Stuck => sent.iter().all(|value| *value == sent[0]),
                SensorFaultKind::Dropout => (10..70).contains(&sent.len()),
                SensorFaultKind::Silent => sent.is_empty(),
                SensorFaultKind::Noise => deviation(faulty) > 5.0,
                SensorFaultKind::Spikes => sent.iter().filter(|value| (**value - 60.0).abs() > 30.0).count() > 2,
                SensorFaultKind::OffsetStep => sent.iter().all(|value| (value - 75.0).abs() < 1.0),
                SensorFaultKind::Clipping => sent.iter().all(|value| *value <= 60.0),
                SensorFaultKind::WrongUnit => sent.iter().all(|value| (value - 140.0).abs() < 1.0),
                SensorFaultKind::OutOfRange => sent.iter().all(|value| *value == 200.0),
            };
            assert!(shows, "{kind:?}: {sent:?}");
        }
    }

    #[test]
    fn a_glitch_falsifies_one_or_two_readings() {
        for (interval, readings_wrong) in [(1.0, 2), (60.0, 1)] {
            let mut sensor = SensorModel::new(Quantity::Temperature, interval);
            sensor.glitches = vec![50.0];
            let wrong =
                readings(&mut sensor, 100).iter().flatten().filter(|value| (**value - 60.0).abs() > 5.0).count();
            assert_eq!(wrong, readings_wrong);
        }
    }

    #[test]
    fn values_have_the_resolution_and_a_new_sensor_has_another_zero() {
        let mut sensor = SensorModel::new(Quantity::Temperature, 1.0);
        sensor.resolution = Some(1.0);
        sensor.replacement = Some(Replacement { at: 50.0, offset: 0.2, gain: 1.0 });
        let values: Vec<f64> = readings(&mut sensor, 100).into_iter().flatten().collect();
        assert!(values.iter().all(|value| value.fract() == 0.0));
        assert_eq!((values[0], values[99]), (60.0, 62.0));
    }

    #[test]
    fn readings_are_due_once_an_interval() {
        let mut sensor = SensorModel::new(Quantity::Temperature, 60.0);
        sensor.start_at_phase(0.5);
        let due: Vec<usize> = (0..200).filter(|second| sensor.is_due(*second as f64)).collect();
        assert_eq!(due, [30, 90, 150]);
    }
}
