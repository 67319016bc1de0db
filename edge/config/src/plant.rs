//! The plant: sites, areas, machines, sensors, technicians.

use serde::Deserialize;
use wheeltapper_condition::{bearing::geometry::Geometry, wave::iso20816::MachineClass};

use crate::Config;

/// `[[site]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name, a part of sensor ids.
    pub name: String,
    /// Its areas.
    #[serde(default, rename = "area")]
    pub areas: Vec<Area>,
}

/// `[[site.area]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// Name, a part of sensor ids.
    pub name: String,
    /// Its machines.
    #[serde(default, rename = "machine")]
    pub machines: Vec<Machine>,
}

/// `[[site.area.machine]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Name, a part of sensor ids.
    pub name: String,
    /// `pump`, `motor`, `fan`, `gearbox` and so on.
    #[serde(default)]
    pub kind: String,
    /// Rated shaft speed, in revolutions a minute.
    #[serde(default)]
    pub rated_rpm: Option<f64>,
    /// 1 (hardly matters) to 5 (the plant stops).
    #[serde(default = "criticality")]
    pub criticality: u8,
    /// Designation of its bearing, such as `6205`.
    #[serde(default)]
    pub bearing: Option<String>,
    /// The inside of its bearing; it comes before the designation's.
    #[serde(default)]
    pub bearing_geometry: Option<BearingGeometry>,
    /// Teeth of the gear wheel on its shaft.
    #[serde(default)]
    pub teeth: Option<u32>,
    /// Class by which its vibration is judged, after ISO 20816-3.
    #[serde(default)]
    pub iso_class: Option<MachineClass>,
    /// Its sensors.
    #[serde(default, rename = "sensor")]
    pub sensors: Vec<Sensor>,
}

/// `bearing_geometry`: the inside of a rolling bearing.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BearingGeometry {
    /// Balls or rollers (of one row).
    pub balls: u32,
    /// Their diameter, in mm.
    pub ball_diameter: f64,
    /// Pitch diameter, in mm.
    pub pitch_diameter: f64,
    /// Contact angle, in degrees.
    #[serde(default)]
    pub contact_angle: f64,
}

impl BearingGeometry {
    pub(crate) fn possible(&self) -> bool {
        let geometry = Geometry {
            elements: self.balls,
            diameter: self.ball_diameter,
            pitch: self.pitch_diameter,
            angle: self.contact_angle,
        };
        geometry.orders().is_some()
    }
}

fn criticality() -> u8 {
    3
}

/// `[[site.area.machine.sensor]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// Name; the id is `site/area/machine/name`.
    pub name: String,
    /// `vibration`, `temperature`, `current`, `pressure`, `flow`, `speed` and so on.
    #[serde(default)]
    pub kind: String,
    /// Unit of its values.
    #[serde(default)]
    pub unit: String,
    /// Readings a second.
    #[serde(default)]
    pub sampling_hz: Option<f64>,
    /// What it can read.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// What a sensor can physically read; anything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Lowest.
    #[serde(default)]
    pub min: Option<f64>,
    /// Highest.
    #[serde(default)]
    pub max: Option<f64>,
}

/// `[[technician]]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technician {
    /// Name.
    pub name: String,
    /// What they can do.
    pub skills: Vec<String>,
    /// An hour's cost.
    #[serde(default)]
    pub hourly_cost: f64,
    /// When they work.
    #[serde(default)]
    pub shifts: Vec<Shift>,
}

/// A shift.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// `mon` to `sun`.
    pub days: Vec<String>,
    /// `06:00`.
    pub start: String,
    /// `14:00`; before the start it is on the next day.
    pub end: String,
}

/// A sensor, and where it sits.
#[derive(Clone, Debug)]
pub struct SensorRef<'a> {
    /// `site/area/machine/sensor`.
    pub id: String,
    /// `site/area/machine`.
    pub asset: String,
    /// The machine.
    pub machine: &'a Machine,
    /// The sensor.
    pub sensor: &'a Sensor,
}

impl Config {
    /// All configured sensors.
    pub fn sensors(&self) -> impl Iterator<Item = SensorRef<'_>> {
        self.machines().flat_map(|(asset, machine)| {
            machine.sensors.iter().map(move |sensor| SensorRef {
                id: format!("{asset}/{}", sensor.name),
                asset: asset.clone(),
                machine,
                sensor,
            })
        })
    }

    /// All configured machines, with their ids.
    pub fn machines(&self) -> impl Iterator<Item = (String, &Machine)> {
        self.sites.iter().flat_map(|site| {
            site.areas.iter().flat_map(move |area| {
                area.machines
                    .iter()
                    .map(move |machine| (format!("{}/{}/{}", site.name, area.name, machine.name), machine))
            })
        })
    }
}

/// The asset of a sensor that is not configured: what stands before the last `/` of its id, or the id itself.
pub fn asset_of(sensor: &str) -> &str {
    match sensor.rsplit_once('/') {
        Some((asset, _)) if !asset.is_empty() => asset,
        _ => sensor,
    }
}
