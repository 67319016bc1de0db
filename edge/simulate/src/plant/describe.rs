//! The configuration of a plant.

use std::fmt::Write as _;

use super::Plant;
use crate::fleet::Quantity;

impl Plant {
    /// The plant as `wheeltapper.toml`: machines and sensors, and no other setting. Empty if the plant sends readings
    /// of sensors that nobody configured.
    pub fn config_toml(&self) -> String {
        if !self.is_configured {
            return String::new();
        }
        let mut toml = "[[site]]\nname = \"plant\"\n[[site.area]]\nname = \"hall\"\n".to_owned();
        for machine in &self.machines {
            let process = &machine.process;
            // Writing to memory does not fail.
            let _ = write!(
                toml,
                "[[site.area.machine]]\nname = \"{}\"\nkind = \"{}\"\nrated_rpm = {:.1}\ncriticality = {}\nbearing = \"{}\"\n",
                machine.name,
                process.kind.name(),
                process.rated_rpm,
                machine.criticality,
                process.bearing.name
            );
            let waveform = machine.waveforms.map(|_| Quantity::Waveform);
            for quantity in waveform.into_iter().chain(machine.sensors.iter().map(|sensor| sensor.quantity)) {
                let (name, kind, unit, ..) = quantity.description();
                let _ = write!(
                    toml,
                    "[[site.area.machine.sensor]]\nname = \"{name}\"\nkind = \"{kind}\"\nunit = \"{unit}\"\n"
                );
            }
        }
        toml
    }
}
