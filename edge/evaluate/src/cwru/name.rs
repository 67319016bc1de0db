//! The recordings' names: `rpm_fault_diameter_rate`.

/// The part of a bearing that is damaged.
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
    /// The one that a line's fault mode names, by word or by its characteristic frequency.
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
        // Naming several is naming none.
        named.next().filter(|_| named.next().is_none()).map(|(_, race)| *race)
    }
}

/// The rate of the healthy recordings, Hz.
pub(crate) const HEALTHY_RATE: u32 = 48_000;

/// What a recording is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Revolutions a minute.
    pub rpm: u32,
    /// None where it is healthy.
    pub race: Option<Race>,
    /// The fault's diameter, in mil (1/1000 inch).
    pub diameter: u32,
    /// Samples a second.
    pub rate: u32,
}

impl Name {
    /// Reads `1797_IR_7_DE12.npy`, `1797_OR_at_6_7_DE48.npy`, `1797_Normal.npy`.
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
