//! Which sensors there are, their numbers, and the partition that their asset belongs to.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::FixedState;
use wheeltapper_config::{Config, asset_of};
use wheeltapper_store::{Store, StoreError};

use crate::line::partition_of;

/// A sensor's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number in the store and the log.
    pub sensor: u32,
    /// Number of its asset, dense, for this run of the host only.
    pub asset: u32,
    /// Partition of the line.
    pub partition: u16,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<Arc<str>, Place, FixedState>,
    assets: HashMap<Arc<str>, u32, FixedState>,
    asset_names: Vec<Arc<str>>,
    /// By sensor number.
    sensors: Vec<(Arc<str>, Place)>,
}

/// The plant's sensors. Cheap to share; a sensor that is seen for the first time is registered in the store before
/// anything about it is logged.
#[derive(Debug)]
pub struct Registry {
    known: RwLock<Known>,
    store: Store,
    partitions: u16,
}

impl Registry {
    /// The sensors that the store knows and those that the configuration names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(store: Store, config: &Config, partitions: u16) -> Result<Self, StoreError> {
        let registry = Self { known: RwLock::default(), store, partitions };
        registry.configure(config)?;
        let rows = registry.store.sensors()?;
        let mut known = registry.known.write().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            known.add(&row.name, &row.asset, row.id, partitions);
        }
        drop(known);
        Ok(registry)
    }

    /// Registers the sensors that a changed configuration names.
    ///
    /// # Errors
    /// [`StoreError`].
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
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (&(name, asset, ..), id) in rows.iter().zip(ids) {
            known.add(name, asset, id, self.partitions);
        }
        Ok(())
    }

    /// The places of `names`, in their order; new names are registered.
    ///
    /// # Errors
    /// [`StoreError`] when a new name cannot be registered.
    pub fn places<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Result<Vec<Place>, StoreError> {
        let (places, new) = self.look_up(names.clone());
        if new.is_empty() {
            return Ok(places);
        }
        let rows: Vec<_> = new.iter().map(|&name| (name, asset_of(name), "", "")).collect();
        self.register(&rows)?;
        Ok(self.look_up(names).0)
    }

    fn look_up<'a>(&self, names: impl Iterator<Item = &'a str>) -> (Vec<Place>, Vec<&'a str>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        let places = names
            .filter_map(|name| {
                let place = known.by_name.get(name).copied();
                if place.is_none() {
                    new.push(name);
                }
                place
            })
            .collect();
        (places, new)
    }

    /// A sensor's place and asset, if it is known.
    pub fn find(&self, name: &str) -> Option<(Place, Arc<str>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let place = *known.by_name.get(name)?;
        Some((place, Arc::clone(known.asset_names.get(place.asset as usize)?)))
    }

    /// Calls `visit` with the name, place and asset of each of `sensors`, by number.
    pub fn describe(&self, sensors: &[u32], mut visit: impl FnMut(&Arc<str>, Place, &Arc<str>)) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for &sensor in sensors {
            if let Some((name, place)) = known.sensors.get(sensor as usize)
                && let Some(asset) = known.asset_names.get(place.asset as usize)
            {
                visit(name, *place, asset);
            }
        }
    }

    /// Numbers of the assets of `sensors`, by number and in their order.
    pub(crate) fn assets_of(&self, sensors: &[u32]) -> Vec<u32> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let asset = |&sensor: &u32| known.sensors.get(sensor as usize).map_or(u32::MAX, |(_, place)| place.asset);
        sensors.iter().map(asset).collect()
    }

    /// The name of an asset.
    pub(crate) fn asset_name(&self, asset: u32) -> Option<Arc<str>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).asset_names.get(asset as usize).cloned()
    }

    /// The number of an asset.
    pub(crate) fn asset_number(&self, name: &str) -> Option<u32> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).assets.get(name).copied()
    }

    /// How many sensors are known.
    pub fn len(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_name.len()
    }

    /// Whether no sensor is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a sensor.
    pub fn name(&self, sensor: u32) -> Option<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.sensors.get(sensor as usize).map(|(name, _)| Arc::clone(name))
    }
}

impl Known {
    fn add(&mut self, name: &str, asset: &str, sensor: u32, partitions: u16) {
        let number = match self.assets.get(asset) {
            Some(&number) => number,
            None => {
                let number = u32::try_from(self.asset_names.len()).unwrap_or(u32::MAX);
                let asset: Arc<str> = asset.into();
                self.asset_names.push(Arc::clone(&asset));
                self.assets.insert(asset, number);
                number
            }
        };
        let place = Place { sensor, asset: number, partition: partition_of(asset, partitions) };
        let name: Arc<str> = name.into();
        let index = sensor as usize;
        if self.sensors.len() <= index {
            let empty = (Arc::from(""), Place { sensor: 0, asset: 0, partition: 0 });
            self.sensors.resize(index + 1, empty);
        }
        if let Some(slot) = self.sensors.get_mut(index) {
            *slot = (Arc::clone(&name), place);
        }
        self.by_name.insert(name, place);
    }
}
