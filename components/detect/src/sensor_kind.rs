//! What a sensor says about its machine, by its kind.
//!
//! A *driver* is what the process does to the machine: speed, load, flow, ambient temperature. A *response* is what the
//! machine answers: vibration, temperature of its parts. The kind is the configured one; without one, the last segment
//! of the sensor's id is searched for the same words, and then the unit.

use crate::config::Config;

/// The quantity that a sensor measures, as far as the judgement depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SensorKind {
    /// Vibration, noise, ultrasound: a rise is bad.
    Vibration,
    /// Temperature of a part: a rise is bad.
    Temperature,
    /// Ambient temperature, humidity, weather.
    Ambient,
    /// Speed of rotation: exactly 0 when the machine stands still.
    Speed,
    /// Current, power, torque, load, flow: near 0 when the machine stands still.
    Motion,
    /// A command or position: set point, valve, damper.
    Command,
    /// A number that only rises, such as an energy or operating-hours meter.
    Counter,
    /// Anything else.
    Other,
}

/// Words of each kind; the first kind with a matching word applies.
const WORDS: [(SensorKind, &[&str]); 7] = [
    (
        SensorKind::Counter,
        &["counter", "kwh", "energy", "odometer", "runtime", "run_hours", "operating_hours", "totali"],
    ),
    (SensorKind::Ambient, &["ambient", "outdoor", "outside", "humidity", "weather", "wind_speed", "oat"]),
    (SensorKind::Command, &["setpoint", "set_point", "command", "valve", "damper", "pitch", "position"]),
    (SensorKind::Vibration, &["vibration", "accel", "velocity", "noise", "sound", "ultraso", "vib"]),
    (SensorKind::Temperature, &["temp", "thermocouple", "pt100", "heat"]),
    (SensorKind::Speed, &["speed", "rpm"]),
    (SensorKind::Motion, &["current", "power", "torque", "load", "flow"]),
];

/// Units that name the kind when neither kind nor id does.
const UNITS: [(SensorKind, &[&str]); 5] = [
    (SensorKind::Counter, &["kWh", "MWh", "Wh"]),
    (SensorKind::Vibration, &["mm/s", "g", "m/s2", "m/s²"]),
    (SensorKind::Temperature, &["°C", "C", "K", "°F", "degC"]),
    (SensorKind::Speed, &["rpm"]),
    (SensorKind::Motion, &["A", "kW", "W", "Nm", "m3/h", "m³/h", "l/min", "l/s"]),
];

impl SensorKind {
    /// The kind of a sensor of the plant.
    pub(crate) fn of(sensor: &str, config: &Config) -> Self {
        let configured = config.sensors.get(sensor);
        let kind = configured.map_or("", |sensor| sensor.kind.as_str());
        let named = if kind.is_empty() { sensor.rsplit('/').next().unwrap_or(sensor) } else { kind }.to_lowercase();
        let by_word = WORDS.iter().find(|(_, words)| words.iter().any(|word| named.contains(word)));
        let unit = configured.map_or("", |sensor| sensor.unit.as_str());
        let by_unit = || UNITS.iter().find(|(_, units)| units.contains(&unit));
        by_word.map(|(kind, _)| *kind).or_else(|| by_unit().map(|(kind, _)| *kind)).unwrap_or(Self::Other)
    }

    /// True for what the process does to the machine.
    pub(crate) fn is_driver(self) -> bool {
        self.is_motion() || matches!(self, Self::Ambient | Self::Command)
    }

    /// True for what is 0 when the machine stands still.
    pub(crate) fn is_motion(self) -> bool {
        matches!(self, Self::Speed | Self::Motion)
    }

    /// True if only a rise is bad. A fall of such a sensor, as after a repair, is a new state and no fault.
    pub(crate) fn only_rise_is_bad(self) -> bool {
        matches!(self, Self::Vibration | Self::Temperature)
    }

    /// Changes of the level below this are of no importance: an absolute amount, and a share of the usual level or, for
    /// vibration around 0, of the usual standard deviation.
    pub(crate) fn floor(self) -> (f64, f64) {
        match self {
            // A limit of four floors is 20 %: of vibration a change that ISO 20816-1 (criterion II) calls significant
            // is a quarter of the upper limit of zone B.
            Self::Vibration => (0.0, 0.05),
            Self::Temperature | Self::Ambient => (1.0, 0.0),
            Self::Speed | Self::Motion | Self::Command | Self::Counter | Self::Other => (0.0, 0.01),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;

    #[test]
    fn the_kind_comes_from_configuration_name_or_unit() {
        let config = Config::parse(
            r#"{"sensors":{"p/m/a":{"kind":"Current"},"p/m/b":{"unit":"°C"},"p/m/c":{"unit":"kWh"},
                "p/m/speed":{"kind":"vibration"}}}"#,
        )
        .unwrap();
        let expected = [
            ("p/m/a", SensorKind::Motion),
            ("p/m/b", SensorKind::Temperature),
            ("p/m/c", SensorKind::Counter),
            ("p/m/speed", SensorKind::Vibration),
            ("p/m/bearing-temperature", SensorKind::Temperature),
            ("p/m/ambient_temperature", SensorKind::Ambient),
            ("p/flow-hall/vibration-de", SensorKind::Vibration),
            ("p/m/x", SensorKind::Other),
        ];
        for (sensor, kind) in expected {
            assert_eq!(SensorKind::of(sensor, &config), kind, "{sensor}");
        }
    }
}
