//! A machine of a plant with its sensors.

use super::{
    course::FaultCourse,
    process::{Process, Service},
    sensor::{SensorFault, SensorModel},
};
use crate::{
    fleet::{BEARINGS, MachineKind, Quantity},
    random::Random,
};

/// Settings of the waveforms of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WaveformSettings {
    /// Time between two waveforms in s. None is taken while the machine stands still.
    pub(crate) interval: f64,
    /// Number of samples, and their rate in Hz.
    pub(crate) samples: usize,
    pub(crate) rate: f64,
}

/// A lasting change that is no fault: a service, a new sensor, a state of operation that was never seen before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LastingChange {
    /// Name in the labels.
    pub(crate) name: &'static str,
    /// Time in seconds after the start.
    pub(crate) at: f64,
}

/// A machine with its sensors.
#[derive(Clone, Debug)]
pub(crate) struct PlantMachine {
    pub(crate) name: String,
    pub(crate) criticality: u8,
    pub(crate) process: Process,
    pub(crate) sensors: Vec<SensorModel>,
    pub(crate) waveforms: Option<WaveformSettings>,
    pub(crate) changes: Vec<LastingChange>,
    pub(super) random: Random,
    pub(super) next_waveform: f64,
}

impl PlantMachine {
    /// Draws a machine of this kind; its scalar sensors send every `interval` seconds.
    pub(crate) fn generate(number: usize, kind: MachineKind, interval: f64, random: &mut Random) -> Self {
        use Quantity::{
            AxialVibrationRms, Current, Flow, Power, Pressure, Speed, Temperature, VibrationRms, WindingTemperature,
        };
        let bearing = BEARINGS.get(random.below(BEARINGS.len())).copied().unwrap_or(BEARINGS[1]);
        let process = Process::generate(kind, bearing, random);
        let last = match kind {
            MachineKind::Pump => Pressure,
            MachineKind::Fan => Flow,
            MachineKind::Motor => WindingTemperature,
            MachineKind::Gearbox => Power,
        };
        let quantities = [VibrationRms, AxialVibrationRms, Temperature, Current, Speed, last];
        let mut new = Self {
            name: format!("{}-{:02}", kind.name(), number + 1),
            criticality: 2 + random.below(4) as u8,
            process,
            sensors: quantities.map(|quantity| SensorModel::new(quantity, interval)).to_vec(),
            waveforms: None,
            changes: Vec::new(),
            random: random.fork(),
            next_waveform: 0.0,
        };
        for sensor in &mut new.sensors {
            sensor.noise = random.between(0.7, 1.4);
        }
        new
    }

    /// The sensor of a quantity; if the machine has none, one is added with the interval of the first.
    pub(crate) fn sensor(&mut self, quantity: Quantity) -> &mut SensorModel {
        let at = match self.sensors.iter().position(|sensor| sensor.quantity == quantity) {
            Some(at) => at,
            None => {
                let interval = self.sensors.first().map_or(60.0, |sensor| sensor.interval);
                self.sensors.push(SensorModel::new(quantity, interval));
                self.sensors.len() - 1
            }
        };
        &mut self.sensors[at]
    }

    /// Adds a fault, and the small lasting differences that its repair leaves.
    pub(crate) fn add_fault(&mut self, course: FaultCourse, random: &mut Random) {
        self.process.faults.push(course);
        if course.repaired.is_finite() {
            let (vibration, heat) = (random.between(0.9, 1.08), random.between(0.94, 1.05));
            self.process.services.push(Service { at: course.repaired, vibration, heat });
        }
    }

    /// Adds a fault of the sensor of a quantity.
    pub(crate) fn add_sensor_fault(&mut self, quantity: Quantity, fault: SensorFault) {
        self.sensor(quantity).faults.push(fault);
    }
}
