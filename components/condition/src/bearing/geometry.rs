//! Fault frequencies from geometry.

use serde::{Deserialize, Serialize};

use crate::stats::positive;

/// A bearing's inside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Balls or rollers (of one row).
    pub elements: u32,
    /// Their diameter in mm.
    pub diameter: f64,
    /// Pitch diameter in mm.
    pub pitch: f64,
    /// Contact angle in degrees.
    #[serde(default)]
    pub angle: f64,
}

/// Fault frequencies as multiples of the shaft's, outer race standing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Ball pass frequency, outer race.
    pub bpfo: f64,
    /// Ball pass frequency, inner race.
    pub bpfi: f64,
    /// Ball spin frequency; a defect strikes twice a turn, so it shows at twice this.
    pub bsf: f64,
    /// Cage (fundamental train).
    pub ftf: f64,
}

impl Geometry {
    /// What [`Self::orders`] asks for, in words.
    pub const POSSIBLE: &str = "3 rolling elements or more, of a diameter above 0 that fit on the pitch circle, at a \
                                contact angle from 0 to below 90 degrees";

    /// With g = d/D cos α: BPFO = n/2 (1 − g), BPFI = n/2 (1 + g), BSF = D/2d (1 − g²), FTF = 1/2 (1 − g)
    /// (Randall & Antoni 2011, eqs 1 to 4). None when the numbers are no bearing.
    #[must_use]
    pub fn orders(&self) -> Option<Orders> {
        let slim = self.diameter / self.pitch;
        let g = slim * self.angle.to_radians().cos();
        // The elements of one row fit on the pitch circle.
        let apart = f64::from(self.elements) * slim <= std::f64::consts::PI;
        let sized = positive(self.diameter) && positive(self.pitch) && slim < 1.0;
        if self.elements < 3 || !sized || !apart || !(0.0..90.0).contains(&self.angle) || !positive(g) {
            return None;
        }
        let half = f64::from(self.elements) / 2.0;
        Some(Orders {
            bpfo: half * (1.0 - g),
            bpfi: half * (1.0 + g),
            bsf: (1.0 - g * g) / (2.0 * slim),
            ftf: 0.5 * (1.0 - g),
        })
    }
}

impl Orders {
    /// A rule of thumb for `elements` rolling elements of unknown geometry: BPFO ≈ 0.4 n, BPFI ≈ 0.6 n, FTF ≈ 0.4,
    /// BSF from g = 0.2 (Schiltz 1990). Good to some 5 %, more than the slip that the diagnosis allows: for
    /// orientation only.
    #[must_use]
    pub fn estimate(elements: u32) -> Self {
        let count = f64::from(elements);
        Self { bpfo: 0.4 * count, bpfi: 0.6 * count, bsf: 2.4, ftf: 0.4 }
    }
}
