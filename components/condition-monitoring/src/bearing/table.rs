//! Geometry of common bearings by designation. The table contains only bearings whose geometry is published with a
//! public data set, or whose nominal numbers give the fault orders that manufacturers print. Manufacturers differ
//! within one designation, so a configured geometry takes precedence. Omitted because the numbers are not certain:
//! 6209, 6210, 6305 to 6310, NU205 and larger.

use super::geometry::Geometry;

/// Reliability of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Published with measurements of this very bearing.
    Published,
    /// Nominal for the series; other manufacturers may use another number or size of balls.
    Nominal,
}

/// One bearing of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BearingEntry {
    /// Designation, without suffixes.
    pub designation: &'static str,
    /// Internal geometry.
    pub geometry: Geometry,
    /// Reliability of the geometry.
    pub certainty: Certainty,
    /// Source of the geometry.
    pub source: &'static str,
}

const fn published(name: &'static str, elements: u32, diameter: f64, pitch: f64, source: &'static str) -> BearingEntry {
    let geometry = Geometry { elements, diameter, pitch, angle: 0.0 };
    BearingEntry { designation: name, geometry, certainty: Certainty::Published, source }
}

const fn nominal(name: &'static str, elements: u32, diameter: f64, pitch: f64) -> BearingEntry {
    let geometry = Geometry { elements, diameter, pitch, angle: 0.0 };
    BearingEntry {
        designation: name,
        geometry,
        certainty: Certainty::Nominal,
        source: "deep-groove series 62, nominal",
    }
}

/// The known bearings.
pub const BEARINGS: [BearingEntry; 9] = [
    published("6203", 8, 6.746, 28.499, "Case Western Reserve University, fan end, SKF 6203-2RS"),
    nominal("6204", 8, 7.938, 33.5),
    published("6205", 9, 7.940, 39.040, "Case Western Reserve University, drive end, SKF 6205-2RS"),
    nominal("6206", 9, 9.525, 46.0),
    nominal("6207", 9, 11.112, 53.5),
    nominal("6208", 9, 11.906, 60.0),
    published("6804", 13, 3.5, 25.6, "FEMTO-ST PRONOSTIA, NSK 6804DD"),
    published("UER204", 8, 7.92, 34.55, "Xi'an Jiaotong University XJTU-SY, LDK UER204"),
    BearingEntry {
        designation: "ZA-2115",
        geometry: Geometry { elements: 16, diameter: 8.407, pitch: 71.501, angle: 15.17 },
        certainty: Certainty::Published,
        source: "IMS, University of Cincinnati, Rexnord ZA-2115 (0.331 in, 2.815 in)",
    },
];

/// Finds the entry for a designation such as `SKF 6205-2RS`, `6205 C3` or `Rexnord ZA-2115`: one of its words must be
/// the name of the entry, with or without a suffix.
#[must_use]
pub fn find_bearing(designation: &str) -> Option<&'static BearingEntry> {
    let upper = designation.to_ascii_uppercase();
    BEARINGS.iter().find(|entry| {
        upper.split([' ', '/', ',']).any(|word| {
            word.strip_prefix(entry.designation)
                .is_some_and(|rest| !rest.starts_with(|first: char| first.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_match_the_published_ones() {
        let orders = |name| find_bearing(name).and_then(|entry| entry.geometry.fault_orders());
        let skf = orders("SKF 6205-2RS JEM").unwrap();
        for (actual, expected) in [(skf.bpfo, 3.5848), (skf.bpfi, 5.4152), (skf.bsf, 2.357), (skf.ftf, 0.3983)] {
            assert!((actual / expected - 1.0).abs() < 5e-4, "{actual} {expected}");
        }
        // IMS at 2,000 rpm: BPFO 236.4 Hz, BPFI 296.9 Hz, twice the BSF 279.8 Hz, FTF 14.8 Hz.
        let rexnord = orders("rexnord za-2115").unwrap();
        for (actual, expected) in [(rexnord.bpfo, 236.4), (rexnord.bpfi, 296.9), (2.0 * rexnord.bsf, 279.8)] {
            assert!((actual * 2000.0 / 60.0 / expected - 1.0).abs() < 2e-3, "{} {expected}", actual * 2000.0 / 60.0);
        }
        let fan = orders("6203").unwrap();
        assert!((fan.bpfo / 3.0530 - 1.0).abs() < 1e-3 && (fan.bpfi / 4.9469 - 1.0).abs() < 1e-3);
        assert!(find_bearing("62051").is_none() && find_bearing("16205").is_none());
    }
}
