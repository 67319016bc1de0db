//! The names of the features, in the order in which they are computed; [`crate::features`] documents them.

/// The features that windows and waveforms share, in the order in which they are computed.
pub const BASIC_FEATURES: [&str; 17] = [
    "mean",
    "std",
    "min",
    "max",
    "rms",
    "peak_to_peak",
    "crest_factor",
    "skewness",
    "kurtosis",
    "dominant_frequency",
    "dominant_magnitude",
    "spectral_entropy",
    "q25",
    "q50",
    "q75",
    "iqr",
    "rolling_mean_std",
];

/// The features that only windows of readings have.
pub const TREND_FEATURES: [&str; 5] = ["trend_slope", "rate_of_change", "cusum", "missing_ratio", "stuck"];

/// The features that only waveforms have: the peak, and those for the diagnosis of the machine.
pub const MACHINE_FEATURES: [&str; 51] = [
    "peak",
    "velocity_rms",
    "iso_zone",
    "spectral_kurtosis",
    "impulsive_low",
    "impulsive_high",
    "octave_16",
    "octave_31",
    "octave_63",
    "octave_125",
    "octave_250",
    "octave_500",
    "octave_1000",
    "octave_2000",
    "octave_4000",
    "octave_8000",
    "octave_16000",
    "cepstrum_quefrency",
    "cepstrum_peak",
    "shaft_hz",
    "outer_evidence",
    "outer_strength",
    "outer_frequency",
    "outer_ratio",
    "outer_harmonics",
    "outer_sidebands",
    "outer_amplitude",
    "inner_evidence",
    "inner_strength",
    "inner_frequency",
    "inner_ratio",
    "inner_harmonics",
    "inner_sidebands",
    "inner_amplitude",
    "ball_evidence",
    "ball_strength",
    "ball_frequency",
    "ball_ratio",
    "ball_harmonics",
    "ball_sidebands",
    "ball_amplitude",
    "cage_evidence",
    "cage_strength",
    "cage_frequency",
    "cage_ratio",
    "cage_harmonics",
    "cage_sidebands",
    "cage_amplitude",
    "bearing_named",
    "mesh_ratio",
    "mesh_sidebands",
];

/// The features of a window of readings, in order.
pub const WINDOW_FEATURES: [&str; BASIC_FEATURES.len() + TREND_FEATURES.len()] =
    concat_names(&BASIC_FEATURES, &TREND_FEATURES);

/// The features of a waveform, in order.
pub const WAVEFORM_FEATURES: [&str; BASIC_FEATURES.len() + MACHINE_FEATURES.len()] =
    concat_names(&BASIC_FEATURES, &MACHINE_FEATURES);

const fn concat_names<const N: usize>(first: &[&'static str], then: &[&'static str]) -> [&'static str; N] {
    let mut all = [""; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { then[at - first.len()] };
        at += 1;
    }
    all
}
