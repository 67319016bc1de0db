//! Rolling bearings and their defect frequencies.

/// Geometry of a deep-groove ball bearing, contact angle 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bearing {
    /// Designation, such as `6205`.
    pub name: &'static str,
    /// Number of balls.
    pub balls: u32,
    /// Ball diameter in mm.
    pub ball_mm: f64,
    /// Pitch diameter in mm.
    pub pitch_mm: f64,
}

/// The bearings of the fleet. 6203 and 6205: data of the Case Western Reserve University Bearing Data Center (fan end
/// and drive end of its test rig). 6206: manufacturers' catalogues.
pub(crate) const BEARINGS: [Bearing; 3] = [
    Bearing { name: "6203", balls: 8, ball_mm: 6.746, pitch_mm: 28.5 },
    Bearing { name: "6205", balls: 9, ball_mm: 7.94, pitch_mm: 39.04 },
    Bearing { name: "6206", balls: 9, ball_mm: 9.525, pitch_mm: 46.0 },
];

/// Returns the bearing with this designation, among those used in the fleet.
pub fn bearing_named(name: &str) -> Option<Bearing> {
    BEARINGS.into_iter().find(|bearing| bearing.name == name)
}

/// Defect frequencies as multiples of the shaft frequency, for a fixed outer ring without slip. Sources: Harris,
/// Rolling Bearing Analysis; Randall and Antoni, Mechanical Systems and Signal Processing 25 (2011) 485.
impl Bearing {
    fn ratio(&self) -> f64 {
        self.ball_mm / self.pitch_mm
    }

    /// Ball pass frequency of the outer race, per revolution of the shaft.
    pub fn bpfo(&self) -> f64 {
        f64::from(self.balls) / 2.0 * (1.0 - self.ratio())
    }

    /// Ball pass frequency of the inner race, per revolution of the shaft.
    pub fn bpfi(&self) -> f64 {
        f64::from(self.balls) / 2.0 * (1.0 + self.ratio())
    }

    /// Ball spin frequency, per revolution of the shaft. A defect on a ball hits a race twice per spin.
    pub fn bsf(&self) -> f64 {
        (1.0 - self.ratio().powi(2)) / (2.0 * self.ratio())
    }

    /// Fundamental train frequency: revolutions of the cage, per revolution of the shaft.
    pub fn ftf(&self) -> f64 {
        (1.0 - self.ratio()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_multiples_of_6205_and_6203_match_the_published_values() {
        // Case Western Reserve University Bearing Data Center, multiples of running speed.
        let near = |ours: f64, published: f64| assert!((ours - published).abs() < 0.003, "{ours} {published}");
        let drive = bearing_named("6205").unwrap();
        near(drive.bpfo(), 3.5848);
        near(drive.bpfi(), 5.4152);
        // 4.7135 counts both hits of a spin.
        near(2.0 * drive.bsf(), 4.7135);
        near(drive.ftf(), 0.39828);
        let fan = bearing_named("6203").unwrap();
        near(fan.bpfo(), 3.0530);
        near(fan.bpfi(), 4.9469);
        assert_eq!(bearing_named("1234"), None);
    }
}
