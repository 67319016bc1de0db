//! Settings of the plant: sites, areas, machines, sensors and technicians.

use serde::{Deserialize, Serialize};
use wheeltapper_condition_monitoring::{bearing::geometry::Geometry, waveform::iso20816::MachineClass};

/// `[[site]]`: a site of the plant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name, the first level of sensor ids.
    pub name: String,
    /// Areas of the site.
    #[serde(default, rename = "area")]
    pub areas: Vec<Area>,
}

/// `[[site.area]]`: an area of a site.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Name, the second level of sensor ids.
    pub name: String,
    /// Machines in the area.
    #[serde(default, rename = "machine")]
    pub machines: Vec<Machine>,
}

/// `[[site.area.machine]]`: a machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Name, the third level of sensor ids.
    pub name: String,
    /// Kind of machine: `pump`, `motor`, `fan`, `gearbox` and so on.
    #[serde(default)]
    pub kind: String,
    /// Rated shaft speed, in revolutions per minute.
    #[serde(default)]
    pub rated_rpm: Option<f64>,
    /// Criticality, from 1 (a failure hardly matters) to 5 (a failure stops the plant).
    #[serde(default = "default_criticality")]
    pub criticality: u8,
    /// Designation of the bearing, such as `6205`.
    #[serde(default)]
    pub bearing: Option<String>,
    /// Geometry of the bearing; takes precedence over the geometry of the designation.
    #[serde(default)]
    pub bearing_geometry: Option<BearingGeometry>,
    /// Number of teeth of the gear on the shaft.
    #[serde(default)]
    pub teeth: Option<u32>,
    /// Machine class of ISO 20816-3, which determines the vibration zones.
    #[serde(default)]
    pub iso_class: Option<MachineClass>,
    /// Sensors of the machine.
    #[serde(default, rename = "sensor")]
    pub sensors: Vec<Sensor>,
}

/// `bearing_geometry`: the geometry of a rolling bearing.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearingGeometry {
    /// Number of balls or rollers in one row.
    pub balls: u32,
    /// Diameter of a ball or roller, in mm.
    pub ball_diameter: f64,
    /// Pitch diameter, in mm.
    pub pitch_diameter: f64,
    /// Contact angle, in degrees.
    #[serde(default)]
    pub contact_angle: f64,
}

impl BearingGeometry {
    pub(crate) fn is_possible(&self) -> bool {
        let geometry = Geometry {
            elements: self.balls,
            diameter: self.ball_diameter,
            pitch: self.pitch_diameter,
            angle: self.contact_angle,
        };
        geometry.fault_orders().is_some()
    }
}

fn default_criticality() -> u8 {
    3
}

/// `[[site.area.machine.sensor]]`: a sensor of a machine.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Name; the id is `site/area/machine/name`.
    pub name: String,
    /// Kind of quantity: `vibration`, `temperature`, `current`, `pressure`, `flow`, `speed` and so on.
    #[serde(default)]
    pub kind: String,
    /// Unit of the values, such as `degC`.
    #[serde(default)]
    pub unit: String,
    /// Readings per second.
    #[serde(default)]
    pub sampling_hz: Option<f64>,
    /// Physically possible values.
    #[serde(default)]
    pub limits: Option<ValueRange>,
    /// Values from which a high level raises an alert.
    #[serde(default)]
    pub above: AlarmLimits,
    /// Values from which a low level raises an alert.
    #[serde(default)]
    pub below: AlarmLimits,
}

/// The levels of a sensor that raise an alert, in its unit. Readings beyond them are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmLimits {
    /// Not fit for long-term operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<f64>,
    /// To be repaired soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<f64>,
    /// Damages the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub danger: Option<f64>,
}

impl AlarmLimits {
    /// The limits that are set, in the order in which a worsening level passes them.
    pub(crate) fn set(&self) -> Vec<f64> {
        [self.warn, self.alarm, self.danger].into_iter().flatten().collect()
    }
}

/// The range of values that a sensor can physically measure; readings outside are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRange {
    /// Lowest possible value.
    #[serde(default)]
    pub min: Option<f64>,
    /// Highest possible value.
    #[serde(default)]
    pub max: Option<f64>,
}

/// `[[technician]]`: a technician for maintenance work.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technician {
    /// Unique name.
    pub name: String,
    /// Skills, such as `mechanic`.
    pub skills: Vec<String>,
    /// Cost of one hour, in the currency of `[schedule]`.
    #[serde(default)]
    pub hourly_cost: f64,
    /// Working hours; if there are none, the technician is always available.
    #[serde(default)]
    pub shifts: Vec<Shift>,
}

/// Working hours on certain days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Days on which the shift begins, `mon` to `sun`.
    pub days: Vec<String>,
    /// Start time, such as `06:00`.
    pub start: String,
    /// End time, such as `14:00`. If it is before the start, it is on the next day.
    pub end: String,
}

/// A configured sensor with its machine and ids.
#[derive(Clone, Debug)]
pub struct SensorRef<'a> {
    /// Id of the sensor: `site/area/machine/sensor`.
    pub id: String,
    /// Id of the asset: `site/area/machine`.
    pub asset: String,
    /// Settings of the machine.
    pub machine: &'a Machine,
    /// Settings of the sensor.
    pub sensor: &'a Sensor,
}

/// Returns the asset of a sensor that is not configured: its id up to the last `/`, or the whole id if there is none.
pub fn asset_of(sensor: &str) -> &str {
    match sensor.rsplit_once('/') {
        Some((asset, _)) if !asset.is_empty() => asset,
        _ => sensor,
    }
}
