//! Fault frequencies of a rolling bearing, from its geometry (R. B. Randall, J. Antoni, "Rolling element bearing
//! diagnostics: a tutorial", 2011), for no contact angle.

/// A bearing's geometry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bearing {
    /// Designation.
    pub designation: &'static str,
    /// Rolling elements.
    pub balls: f64,
    /// Their diameter, in mm.
    pub ball_mm: f64,
    /// Pitch diameter, in mm.
    pub pitch_mm: f64,
}

/// Deep-groove bearings of common motors.
pub(crate) const BEARINGS: [Bearing; 3] = [
    Bearing { designation: "6205", balls: 9.0, ball_mm: 7.94, pitch_mm: 39.04 },
    Bearing { designation: "6203", balls: 8.0, ball_mm: 6.75, pitch_mm: 28.5 },
    Bearing { designation: "6309", balls: 8.0, ball_mm: 17.46, pitch_mm: 72.5 },
];

impl Bearing {
    fn ratio(&self) -> f64 {
        self.ball_mm / self.pitch_mm
    }

    /// Ball pass frequency of the outer race, for a shaft at `shaft` Hz.
    pub fn bpfo(&self, shaft: f64) -> f64 {
        self.balls / 2.0 * shaft * (1.0 - self.ratio())
    }

    /// Ball pass frequency of the inner race.
    pub fn bpfi(&self, shaft: f64) -> f64 {
        self.balls / 2.0 * shaft * (1.0 + self.ratio())
    }

    /// Ball spin frequency; a defect on a ball strikes twice a turn.
    pub fn bsf(&self, shaft: f64) -> f64 {
        shaft / (2.0 * self.ratio()) * (1.0 - self.ratio() * self.ratio())
    }

    /// Fundamental train frequency: the cage's.
    pub fn ftf(&self, shaft: f64) -> f64 {
        shaft / 2.0 * (1.0 - self.ratio())
    }
}
