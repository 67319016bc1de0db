//! Evaluation zones of vibration severity: ISO 20816-3:2022 (formerly ISO 10816-3), velocity RMS 10 to 1,000 Hz on
//! non-rotating parts; class I of ISO 10816-1 annex B for small machines.

use serde::{Deserialize, Serialize};

/// Size and support of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineClass {
    /// Up to 15 kW (ISO 10816-1, class I).
    Small,
    /// 15 to 300 kW, rigid support (ISO 20816-3, group 2).
    MediumRigid,
    /// 15 to 300 kW, flexible support (group 2).
    MediumFlexible,
    /// Above 300 kW, rigid support (group 1).
    LargeRigid,
    /// Above 300 kW, flexible support (group 1).
    LargeFlexible,
}

/// Evaluation zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Zone {
    /// As newly commissioned.
    A,
    /// Fit for unrestricted long-term operation.
    B,
    /// Not fit for long-term operation; remedy at the next chance.
    C,
    /// Severe enough to damage the machine.
    D,
}

impl MachineClass {
    /// Returns the boundaries A/B, B/C and C/D in mm/s RMS.
    #[must_use]
    pub fn boundaries(self) -> [f64; 3] {
        match self {
            Self::Small => [0.71, 1.8, 4.5],
            Self::MediumRigid => [1.4, 2.8, 4.5],
            Self::MediumFlexible | Self::LargeRigid => [2.3, 4.5, 7.1],
            Self::LargeFlexible => [3.5, 7.1, 11.0],
        }
    }

    /// Returns the zone of a velocity RMS in mm/s, or `None` for NaN.
    #[must_use]
    pub fn zone(self, velocity: f64) -> Option<Zone> {
        let [a_to_b, b_to_c, c_to_d] = self.boundaries();
        match velocity {
            v if v.is_nan() => None,
            v if v <= a_to_b => Some(Zone::A),
            v if v <= b_to_c => Some(Zone::B),
            v if v <= c_to_d => Some(Zone::C),
            _ => Some(Zone::D),
        }
    }
}
