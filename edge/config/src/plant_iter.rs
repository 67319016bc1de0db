//! Iterates over the configured machines and sensors.

use crate::{
    Config,
    plant::{Machine, SensorRef},
};

impl Config {
    /// Iterates over all configured sensors.
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

    /// Iterates over all configured machines with their ids, `site/area/machine`.
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
