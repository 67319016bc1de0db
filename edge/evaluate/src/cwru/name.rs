//! Parses the file names of the recordings: `rpm_fault_diameter_rate`.

/// The damaged part of a bearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Race {
    /// Inner race.
    Inner,
    /// Outer race.
    Outer,
    /// Rolling element.
    Ball,
}

impl Race {
    /// The part named in a fault mode, by a word or by its characteristic frequency. `None` if no part or several are
    /// named.
    #[must_use]
    pub fn named(fault_mode: &str) -> Option<Self> {
        let mode = fault_mode.to_lowercase();
        let is = |words: &[&str]| words.iter().any(|word| mode.contains(word));
        let named = [
            (is(&["inner", "bpfi"]), Self::Inner),
            (is(&["outer", "bpfo"]), Self::Outer),
            (is(&["ball", "roller", "rolling", "bsf"]), Self::Ball),
        ];
        let mut named = named.iter().filter(|(is, _)| *is);
        // Several named parts count as none.
        named.next().filter(|_| named.next().is_none()).map(|(_, race)| *race)
    }
}

/// Sampling rate of the healthy recordings in Hz.
pub(crate) const HEALTHY_RATE: u32 = 48_000;

/// Parameters of a recording, from its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Shaft speed in rpm.
    pub rpm: u32,
    /// The damaged part; `None` for a healthy bearing.
    pub race: Option<Race>,
    /// Diameter of the fault in mil (1/1000 inch); 0 for a healthy bearing.
    pub diameter: u32,
    /// Sampling rate in Hz.
    pub rate: u32,
}

impl Name {
    /// Parses names such as `1797_IR_7_DE12.npy`, `1797_OR_at_6_7_DE48.npy` and `1797_Normal.npy`.
    #[must_use]
    pub fn read(file: &str) -> Option<Self> {
        let parts: Vec<&str> = file.strip_suffix(".npy")?.split('_').collect();
        let of = |race, diameter: &str, rate: &str| {
            let kilohertz: u32 = rate.strip_prefix("DE")?.parse().ok().filter(|rate| *rate > 0)?;
            Some((Some(race), diameter.parse().ok()?, kilohertz * 1000))
        };
        let (rpm, (race, diameter, rate)) = match parts.as_slice() {
            [rpm, "Normal"] => (rpm, (None, 0, HEALTHY_RATE)),
            [rpm, "IR", diameter, rate] => (rpm, of(Race::Inner, diameter, rate)?),
            [rpm, "B", diameter, rate] => (rpm, of(Race::Ball, diameter, rate)?),
            [rpm, "OR", "at", "3" | "6" | "12", diameter, rate] => (rpm, of(Race::Outer, diameter, rate)?),
            _ => return None,
        };
        Some(Self { rpm: rpm.parse().ok()?, race, diameter, rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |rpm, race, diameter, rate| Some(Name { rpm, race, diameter, rate });
        assert_eq!(Name::read("1797_IR_7_DE12.npy"), name(1797, Some(Race::Inner), 7, 12_000));
        assert_eq!(Name::read("1730_B_28_DE48.npy"), name(1730, Some(Race::Ball), 28, 48_000));
        assert_eq!(Name::read("1750_OR_at_12_21_DE12.npy"), name(1750, Some(Race::Outer), 21, 12_000));
        assert_eq!(Name::read("1772_Normal.npy"), name(1772, None, 0, 48_000));
        assert_eq!(Name::read("1797_IR_7_FE.npy"), None);
        assert_eq!(Name::read("x.npy"), None);
    }

    #[test]
    fn modes() {
        assert_eq!(Race::named("bearing-inner-race"), Some(Race::Inner));
        assert_eq!(Race::named("BPFO"), Some(Race::Outer));
        assert_eq!(Race::named("rolling element"), Some(Race::Ball));
        assert_eq!(Race::named("bearing-impacts"), None);
        assert_eq!(Race::named("inner or outer race"), None);
    }
}
