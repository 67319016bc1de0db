//! Bearing fault frequencies from the geometry.

use serde::{Deserialize, Serialize};

use crate::stats::is_positive;

/// Internal geometry of a rolling bearing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Number of balls or rollers in one row.
    pub elements: u32,
    /// Diameter of a ball or roller in mm.
    pub diameter: f64,
    /// Pitch diameter in mm.
    pub pitch: f64,
    /// Contact angle in degrees.
    #[serde(default)]
    pub angle: f64,
}

/// Fault frequencies as multiples of the shaft speed, for a stationary outer race.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultOrders {
    /// Ball pass frequency, outer race.
    pub bpfo: f64,
    /// Ball pass frequency, inner race.
    pub bpfi: f64,
    /// Ball spin frequency. A defect strikes twice per turn, so it shows at twice this frequency.
    pub bsf: f64,
    /// Cage frequency (fundamental train frequency).
    pub ftf: f64,
}

impl Geometry {
    /// The requirements of a valid geometry, for messages.
    pub const REQUIREMENTS: &str = "3 rolling elements or more, of a diameter above 0 that fit on the pitch circle, at a \
                                contact angle from 0 to below 90 degrees";

    /// Computes the fault orders. With g = d/D cos α: BPFO = n/2 (1 − g), BPFI = n/2 (1 + g), BSF = D/2d (1 − g²), FTF
    /// = 1/2 (1 − g) (Randall & Antoni 2011, eqs 1 to 4). Returns `None` if the numbers do not describe a bearing.
    #[must_use]
    pub fn fault_orders(&self) -> Option<FaultOrders> {
        let diameter_ratio = self.diameter / self.pitch;
        let g = diameter_ratio * self.angle.to_radians().cos();
        // The elements of one row fit on the pitch circle.
        let elements_fit = f64::from(self.elements) * diameter_ratio <= std::f64::consts::PI;
        let has_valid_size = is_positive(self.diameter) && is_positive(self.pitch) && diameter_ratio < 1.0;
        if self.elements < 3
            || !has_valid_size
            || !elements_fit
            || !(0.0..90.0).contains(&self.angle)
            || !is_positive(g)
        {
            return None;
        }
        let half = f64::from(self.elements) / 2.0;
        Some(FaultOrders {
            bpfo: half * (1.0 - g),
            bpfi: half * (1.0 + g),
            bsf: (1.0 - g * g) / (2.0 * diameter_ratio),
            ftf: 0.5 * (1.0 - g),
        })
    }
}

impl FaultOrders {
    /// Estimates the fault orders of a bearing with `elements` rolling elements and unknown geometry: BPFO ≈ 0.4 n,
    /// BPFI ≈ 0.6 n, FTF ≈ 0.4, BSF from g = 0.2 (Schiltz 1990). Accurate to about 5 %, which is more than the slip
    /// that the diagnosis allows: for orientation only.
    #[must_use]
    pub fn estimate_from_count(elements: u32) -> Self {
        let count = f64::from(elements);
        Self { bpfo: 0.4 * count, bpfi: 0.6 * count, bsf: 2.4, ftf: 0.4 }
    }
}
