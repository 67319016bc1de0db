//! The registered sensors: their numbers, and the partition of their asset.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use foldhash::fast::FixedState;
use wheeltapper_config::{Config, asset_of};
use wheeltapper_store::{Store, StoreError};

use crate::topics::partition_of;

/// A sensor's numbers and its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorLocation {
    /// Number in the store and the log.
    pub sensor: u32,
    /// Number of its asset: dense, and valid only while this host process runs.
    pub asset: u32,
    /// Partition of the line.
    pub partition: u16,
}

#[derive(Debug, Default)]
struct RegistryState {
    by_name: HashMap<Arc<str>, SensorLocation, FixedState>,
    assets: HashMap<Arc<str>, u32, FixedState>,
    asset_names: Vec<Arc<str>>,
    /// Number of sensors of each asset.
    asset_sizes: Vec<usize>,
    /// Name and location by sensor number.
    sensors: Vec<(Arc<str>, SensorLocation)>,
}

/// The plant's sensors. A new sensor is registered in the store before any of its readings is logged.
#[derive(Debug)]
pub struct Registry {
    state: RwLock<RegistryState>,
    store: Store,
    partitions: u16,
    limits: SensorLimits,
    /// Held while new sensors are counted and registered, so that two concurrent senders cannot exceed a limit
    /// together.
    registration_lock: Mutex<()>,
}

/// Limits on the number of sensors. Each sensor costs memory in every stage for as long as the host runs, so the number
/// of names must be bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorLimits {
    /// Maximum on this host.
    pub per_host: usize,
    /// Maximum on one machine.
    pub per_machine: usize,
    /// Maximum first seen in the readings of one sender (an API key or a user).
    pub per_sender: usize,
}

/// Why a sensor is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorRejection {
    /// Index of the sensor among the requested names.
    pub index: usize,
    /// What was expected, what was received and what to do.
    pub message: String,
}

/// The locations of the requested sensors, and the rejections.
#[derive(Debug, Default)]
pub struct LocatedSensors {
    /// In the order of the names; `None` for a sensor that may not be registered.
    pub locations: Vec<Option<SensorLocation>>,
    /// The sensors that may not be registered, with the reason.
    pub rejections: Vec<SensorRejection>,
}

impl Registry {
    /// Loads the sensors of the store and registers those of the configuration.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub fn open(store: Store, config: &Config, partitions: u16) -> Result<Self, StoreError> {
        let limits = SensorLimits {
            per_host: config.line.max_sensors,
            per_machine: config.line.max_sensors_per_machine,
            per_sender: config.line.max_sensors_per_sender,
        };
        let registry =
            Self { state: RwLock::default(), store, partitions, limits, registration_lock: Mutex::default() };
        registry.configure(config)?;
        let rows = registry.store.sensors()?;
        let mut known = registry.state.write().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            known.insert_sensor(&row.name, &row.asset, row.id, partitions);
        }
        drop(known);
        Ok(registry)
    }

    /// Registers the sensors of a changed configuration.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub fn configure(&self, config: &Config) -> Result<(), StoreError> {
        let named: Vec<_> = config.sensors().collect();
        let rows: Vec<_> = named
            .iter()
            .map(|sensor| {
                (sensor.id.as_str(), sensor.asset.as_str(), sensor.sensor.unit.as_str(), sensor.sensor.kind.as_str())
            })
            .collect();
        self.register(&rows)
    }

    fn register(&self, rows: &[(&str, &str, &str, &str)]) -> Result<(), StoreError> {
        let ids = self.store.register_sensors(rows)?;
        let mut known = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (&(name, asset, ..), id) in rows.iter().zip(ids) {
            known.insert_sensor(name, asset, id, self.partitions);
        }
        Ok(())
    }

    /// Returns the locations of `names` in their order; registers new names as far as the limits allow. `sender` is the
    /// API key or user that sent them, if known.
    ///
    /// # Errors
    /// [`StoreError`] when a new name cannot be registered.
    pub fn locate<'a>(
        &self,
        names: impl Iterator<Item = &'a str> + Clone,
        sender: Option<&str>,
    ) -> Result<LocatedSensors, StoreError> {
        let locations = self.lookup(names.clone());
        if locations.iter().all(Option::is_some) {
            return Ok(LocatedSensors { locations, rejections: Vec::new() });
        }
        let _registering = self.registration_lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Another sender may have registered some of the names meanwhile.
        let known = self.lookup(names.clone());
        let names_with_locations = names.clone().enumerate().zip(&known);
        let new: Vec<(usize, &str)> =
            names_with_locations.filter_map(|(new, location)| location.is_none().then_some(new)).collect();
        let (admitted, rejections) = self.admit(&new, sender)?;
        let rows: Vec<_> = admitted.iter().map(|&name| (name, asset_of(name), "", "")).collect();
        if !rows.is_empty() {
            self.register(&rows)?;
            self.add_to_sender_count(sender, rows.len())?;
        }
        Ok(LocatedSensors { locations: self.lookup(names), rejections })
    }

    /// The new names that the limits allow, and the rejections of the others.
    fn admit<'a>(
        &self,
        new: &[(usize, &'a str)],
        sender: Option<&str>,
    ) -> Result<(Vec<&'a str>, Vec<SensorRejection>), StoreError> {
        let mut of_sender = self.sender_count(sender)?;
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut on_host = known.by_name.len();
        let mut on_machine: HashMap<&str, usize> = HashMap::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let (mut admitted, mut rejections) = (Vec::new(), Vec::new());
        for &(index, name) in new {
            if seen.contains(name) {
                continue;
            }
            let machine = asset_of(name);
            let count = on_machine.entry(machine).or_insert_with(|| known.sensor_count_of_asset(machine));
            let SensorLimits { per_host, per_machine, per_sender } = self.limits;
            let message = if on_host >= per_host {
                format!(
                    "`{name}` is a new sensor and this host has {on_host} already, which is the maximum; send under \
                     known names, or raise [line] max_sensors"
                )
            } else if *count >= per_machine {
                format!(
                    "`{name}` is a new sensor and the machine `{machine}` has {count} already, which is the maximum; \
                     check whether the names contain a counter, or raise [line] max_sensors_per_machine"
                )
            } else if sender.is_some() && of_sender >= per_sender {
                format!(
                    "`{name}` is a new sensor and this sender has introduced {of_sender} already, which is the \
                     maximum; send under known names, or raise [line] max_sensors_per_sender"
                )
            } else {
                *count += 1;
                on_host += 1;
                of_sender += 1;
                seen.insert(name);
                admitted.push(name);
                continue;
            };
            rejections.push(SensorRejection { index, message });
        }
        Ok((admitted, rejections))
    }

    /// Number of sensors that were first seen in the readings of a sender.
    fn sender_count(&self, sender: Option<&str>) -> Result<usize, StoreError> {
        let Some(sender) = sender else { return Ok(0) };
        let count = self.store.state_get(&sender_key(sender))?;
        let count = count.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        Ok(count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
    }

    fn add_to_sender_count(&self, sender: Option<&str>, new: usize) -> Result<(), StoreError> {
        let Some(sender) = sender else { return Ok(()) };
        let count = self.sender_count(Some(sender))?.saturating_add(new) as u64;
        self.store.state_put(&sender_key(sender), &count.to_le_bytes())
    }

    /// Returns the locations of `names` in their order; `None` for unknown names. Registers nothing.
    pub fn lookup<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<Option<SensorLocation>> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        names.map(|name| known.by_name.get(name).copied()).collect()
    }

    /// Returns a sensor's location and the name of its asset, if the sensor is known.
    pub fn find_with_asset(&self, name: &str) -> Option<(SensorLocation, Arc<str>)> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let location = *known.by_name.get(name)?;
        Some((location, Arc::clone(known.asset_names.get(location.asset as usize)?)))
    }

    /// Calls `visit` with the name, location and asset of each of `sensors` (numbers). Unknown numbers are skipped.
    pub fn for_each_known(&self, sensors: &[u32], mut visit: impl FnMut(&Arc<str>, SensorLocation, &Arc<str>)) {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        for &sensor in sensors {
            if let Some((name, location)) = known.sensors.get(sensor as usize)
                && let Some(asset) = known.asset_names.get(location.asset as usize)
            {
                visit(name, *location, asset);
            }
        }
    }

    /// Asset numbers of `sensors` (numbers), in their order; `u32::MAX` for an unknown sensor.
    pub(crate) fn assets_of(&self, sensors: &[u32]) -> Vec<u32> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let asset = |&sensor: &u32| known.sensors.get(sensor as usize).map_or(u32::MAX, |(_, location)| location.asset);
        sensors.iter().map(asset).collect()
    }

    /// The name of an asset.
    pub(crate) fn asset_name(&self, asset: u32) -> Option<Arc<str>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).asset_names.get(asset as usize).cloned()
    }

    /// The number of an asset.
    pub(crate) fn asset_number(&self, name: &str) -> Option<u32> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).assets.get(name).copied()
    }

    /// Number of known sensors.
    pub fn len(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).by_name.len()
    }

    /// Whether no sensor is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a sensor.
    pub fn name(&self, sensor: u32) -> Option<Arc<str>> {
        let known = self.state.read().unwrap_or_else(PoisonError::into_inner);
        known.sensors.get(sensor as usize).map(|(name, _)| Arc::clone(name))
    }
}

/// Store key of the number of sensors that a sender introduced.
fn sender_key(sender: &str) -> String {
    format!("sensors-of/{sender}")
}

impl RegistryState {
    /// Number of sensors of an asset.
    fn sensor_count_of_asset(&self, asset: &str) -> usize {
        let number = self.assets.get(asset).copied();
        number.and_then(|number| self.asset_sizes.get(number as usize).copied()).unwrap_or(0)
    }

    fn insert_sensor(&mut self, name: &str, asset: &str, sensor: u32, partitions: u16) {
        let number = match self.assets.get(asset) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.asset_names.len()).unwrap_or(u32::MAX);
                let asset: Arc<str> = asset.into();
                self.asset_names.push(Arc::clone(&asset));
                self.asset_sizes.push(0);
                self.assets.insert(asset, number);
                number
            }
        };
        let location = SensorLocation { sensor, asset: number, partition: partition_of(asset, partitions) };
        let name: Arc<str> = name.into();
        let index = sensor as usize;
        if self.sensors.len() <= index {
            let empty = (Arc::from(""), SensorLocation { sensor: 0, asset: 0, partition: 0 });
            self.sensors.resize(index + 1, empty);
        }
        if let Some(slot) = self.sensors.get_mut(index) {
            *slot = (Arc::clone(&name), location);
        }
        if self.by_name.insert(name, location).is_none()
            && let Some(size) = self.asset_sizes.get_mut(number as usize)
        {
            *size += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn registry(folder: &tempfile::TempDir) -> Registry {
        let mut config = Config::default();
        config.line.max_sensors = 5;
        config.line.max_sensors_per_machine = 3;
        config.line.max_sensors_per_sender = 4;
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        Registry::open(store, &config, 2).unwrap()
    }

    #[test]
    fn the_number_of_names_is_limited() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(&folder);
        let located = registry.locate(["a/m/1", "a/m/2", "a/m/1", "a/m/3", "a/m/4"].into_iter(), Some("key")).unwrap();
        assert_eq!(located.locations.iter().flatten().count(), 4, "three sensors, one named twice");
        assert_eq!((located.rejections.len(), located.rejections[0].index), (1, 4));
        assert!(located.rejections[0].message.contains("the machine `a/m` has 3"), "{}", located.rejections[0].message);

        let located = registry.locate(["a/n/1", "a/n/2"].into_iter(), Some("key")).unwrap();
        assert!(located.locations[0].is_some() && located.locations[1].is_none());
        assert!(located.rejections[0].message.contains("this sender has introduced 4"), "{:?}", located.rejections);

        let located = registry.locate(["a/o/1", "a/o/2"].into_iter(), None).unwrap();
        assert!(located.locations[0].is_some() && located.locations[1].is_none());
        assert!(located.rejections[0].message.contains("this host has 5"), "{:?}", located.rejections);

        // Known names are still accepted, also after a restart.
        drop(registry);
        let registry = self::registry(&folder);
        let located = registry.locate(["a/m/1", "a/x/1"].into_iter(), Some("key")).unwrap();
        assert!(located.locations[0].is_some() && located.locations[1].is_none());
        assert_eq!(registry.len(), 5);
    }
}
