//! The part of a bearing that is damaged.

use wheeltapper_simulate::Fault;

/// The damaged part of a bearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamagedPart {
    /// Inner race.
    Inner,
    /// Outer race.
    Outer,
    /// Rolling element.
    Ball,
}

impl DamagedPart {
    /// The fault of a bearing with this damaged part.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Inner => Fault::InnerRace,
            Self::Outer => Fault::OuterRace,
            Self::Ball => Fault::Ball,
        }
    }

    /// The part named in a fault mode, by a word or by its characteristic frequency. `None` if no part or several are
    /// named.
    #[must_use]
    pub fn from_fault_mode(fault_mode: &str) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_modes_are_mapped_to_damaged_parts() {
        assert_eq!(DamagedPart::from_fault_mode("bearing-inner-race"), Some(DamagedPart::Inner));
        assert_eq!(DamagedPart::from_fault_mode("BPFO"), Some(DamagedPart::Outer));
        assert_eq!(DamagedPart::from_fault_mode("rolling element"), Some(DamagedPart::Ball));
        assert_eq!(DamagedPart::from_fault_mode("bearing-impacts"), None);
        assert_eq!(DamagedPart::from_fault_mode("inner or outer race"), None);
    }
}
