//! Physical limits: the zones of ISO 20816 for vibration, and a sensor's own limits.

use serde::{Deserialize, Serialize};
use wheeltapper_condition_monitoring::waveform::iso20816::{MachineClass, Zone};

use crate::{config::SensorConfig, sensor_kind::SensorKind, severity::PhysicalZone};

/// Limits on one side, in the unit of the sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Not fit for long-term operation.
    pub(crate) warn: Option<f64>,
    /// To be repaired soon.
    pub(crate) alarm: Option<f64>,
    /// Damages the machine.
    pub(crate) danger: Option<f64>,
}

/// A zone with the limit that was passed to reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Place {
    pub(crate) zone: PhysicalZone,
    /// The limit in the unit of the sensor, and its name; None in zones A and B.
    pub(crate) limit: Option<(f64, &'static str)>,
}

impl Limits {
    /// The highest limit that is passed. `sign` is 1 for upper limits and -1 for lower ones.
    fn place(&self, value: f64, sign: f64) -> Option<Place> {
        let limits = [
            (PhysicalZone::Danger, self.danger, "danger"),
            (PhysicalZone::Alarm, self.alarm, "alarm"),
            (PhysicalZone::Restricted, self.warn, "warn"),
        ];
        limits.into_iter().find_map(|(zone, limit, name)| {
            let limit = limit.filter(|limit| sign * value >= sign * limit)?;
            Some(Place { zone, limit: Some((limit, name)) })
        })
    }

    /// True if the limits are finite and in order: `warn` is passed before `alarm`, and `alarm` before `danger`.
    pub(crate) fn is_in_order(&self, sign: f64) -> bool {
        let known: Vec<f64> =
            [self.warn, self.alarm, self.danger].into_iter().flatten().map(|limit| sign * limit).collect();
        known.iter().all(|limit| limit.is_finite()) && known.is_sorted()
    }
}

/// The place of a level by the sensor's limits and, for vibration in mm/s, by its zone. `rms` is the root mean square.
/// Without a class only what holds for every class is said: zone A below 0.71 mm/s, zone D above 11 mm/s.
pub(crate) fn place(config: Option<&SensorConfig>, kind: SensorKind, level: f64, rms: f64) -> Place {
    let Some(config) = config else { return Place::default() };
    let by_limit = config.above.place(level, 1.0).into_iter().chain(config.below.place(level, -1.0));
    let is_velocity = kind == SensorKind::Vibration && config.unit == "mm/s";
    let by_zone = is_velocity.then(|| zone(config.iso_class, rms)).flatten();
    by_limit.chain(by_zone).max_by_key(|place| (place.zone != PhysicalZone::New, place.zone)).unwrap_or_default()
}

fn zone(class: Option<MachineClass>, velocity: f64) -> Option<Place> {
    let Some(class) = class else {
        let [always_a, ..] = MachineClass::Small.boundaries();
        let [.., always_d] = MachineClass::LargeFlexible.boundaries();
        return match velocity {
            velocity if velocity <= always_a => Some(Place { zone: PhysicalZone::New, limit: None }),
            velocity if velocity > always_d => {
                Some(Place { zone: PhysicalZone::Danger, limit: Some((always_d, "zone D")) })
            }
            _ => None,
        };
    };
    let [_, b_to_c, c_to_d] = class.boundaries();
    Some(match class.zone(velocity)? {
        Zone::A => Place { zone: PhysicalZone::New, limit: None },
        Zone::B => Place { zone: PhysicalZone::Unrestricted, limit: None },
        Zone::C => Place { zone: PhysicalZone::Restricted, limit: Some((b_to_c, "zone C")) },
        Zone::D => Place { zone: PhysicalZone::Danger, limit: Some((c_to_d, "zone D")) },
    })
}

/// A zone that a sensor has stayed in: it changes after a level was in another one for two windows that do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SteadyZone {
    zone: PhysicalZone,
    /// The zone of the last window, and the end of the first window in it.
    last: (PhysicalZone, i64),
}

impl SteadyZone {
    /// Adds the zone of a window and returns the one that the sensor stays in.
    pub(crate) fn push(&mut self, zone: PhysicalZone, start: i64, end: i64) -> PhysicalZone {
        if zone != self.last.0 {
            self.last = (zone, end);
        }
        // The first window in the zone and this one do not overlap.
        if start >= self.last.1 {
            self.zone = zone;
        }
        self.zone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_limits_give_the_higher_place() {
        let config = SensorConfig {
            unit: "mm/s".to_owned(),
            iso_class: Some(MachineClass::MediumRigid),
            above: Limits { warn: Some(2.0), alarm: None, danger: Some(10.0) },
            below: Limits { alarm: Some(0.1), ..Limits::default() },
            ..SensorConfig::default()
        };
        let expected = [
            (1.0, PhysicalZone::New),
            (1.5, PhysicalZone::Unrestricted),
            (2.2, PhysicalZone::Restricted),
            (4.6, PhysicalZone::Danger),
            (0.05, PhysicalZone::Alarm),
        ];
        for (level, zone) in expected {
            assert_eq!(place(Some(&config), SensorKind::Vibration, level, level).zone, zone, "{level}");
        }
        let without_class = SensorConfig { unit: "mm/s".to_owned(), ..SensorConfig::default() };
        for (level, zone) in [(0.5, PhysicalZone::New), (6.0, PhysicalZone::Unrestricted), (12.0, PhysicalZone::Danger)]
        {
            assert_eq!(place(Some(&without_class), SensorKind::Vibration, level, level).zone, zone, "{level}");
        }
        assert_eq!(place(None, SensorKind::Vibration, 99.0, 99.0), Place::default());
        assert!(config.above.is_in_order(1.0) && !config.above.is_in_order(-1.0));
    }

    #[test]
    fn a_zone_counts_after_two_windows() {
        let mut steady = SteadyZone::default();
        assert_eq!(steady.push(PhysicalZone::Danger, 0, 30), PhysicalZone::Unrestricted);
        assert_eq!(steady.push(PhysicalZone::Danger, 10, 40), PhysicalZone::Unrestricted);
        assert_eq!(steady.push(PhysicalZone::Danger, 30, 60), PhysicalZone::Danger);
        assert_eq!(steady.push(PhysicalZone::New, 40, 70), PhysicalZone::Danger);
        assert_eq!(steady.push(PhysicalZone::New, 70, 100), PhysicalZone::New);
    }
}
