//! What can go wrong.

/// A fault of a machine or of one of its sensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Uneven mass: vibration at the shaft's speed.
    Imbalance,
    /// Shafts out of line: vibration at twice the speed.
    Misalignment,
    /// Defect of the outer race: impulses at BPFO.
    OuterRace,
    /// Defect of the inner race: impulses at BPFI, stronger once a turn.
    InnerRace,
    /// Defect of a ball: impulses at twice the BSF, stronger once a turn of the cage.
    Ball,
    /// Bubbles: broadband vibration and unsteady pressure.
    Cavitation,
    /// Cooling is lost: the temperature rises.
    Overheating,
    /// Too little grease: temperature and broadband vibration rise.
    Lubrication,
    /// Current rises.
    ElectricalOverload,
    /// The temperature sensor gives the same value again and again.
    StuckSensor,
    /// The sensors' readings go missing.
    DroppingSensor,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::OuterRace,
        Self::Overheating,
        Self::Imbalance,
        Self::Cavitation,
        Self::ElectricalOverload,
        Self::StuckSensor,
        Self::InnerRace,
        Self::Misalignment,
        Self::Lubrication,
        Self::Ball,
        Self::DroppingSensor,
    ];

    /// The name in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imbalance => "imbalance",
            Self::Misalignment => "misalignment",
            Self::OuterRace => "bearing-outer-race",
            Self::InnerRace => "bearing-inner-race",
            Self::Ball => "bearing-ball",
            Self::Cavitation => "cavitation",
            Self::Overheating => "overheating",
            Self::Lubrication => "lubrication",
            Self::ElectricalOverload => "electrical-overload",
            Self::StuckSensor => "sensor-stuck",
            Self::DroppingSensor => "sensor-dropout",
        }
    }
}
