//! Fault modes of a pattern. Physics first: a bearing's line names its part; then rules of thumb by kind of sensor.

use crate::{
    columns::Column,
    explain::{AssetContext, Contribution},
};

/// A feature beyond this many scales clearly rose or fell.
const CLEAR_CHANGE: f64 = 3.0;
/// Smallest share of an anomaly with which a sensor is involved in it.
const MIN_INVOLVED_SHARE: f64 = 0.05;
/// A line matches an order if it is within this share of it (at least of order 1).
const ORDER_TOLERANCE: f64 = 0.04;
/// Orders this close to an integer are harmonics of the shaft.
const SYNCHRONOUS_TOLERANCE: f64 = 0.03;
/// An amplitude that has grown by this factor stands out.
const GROWTH_FACTOR: f64 = 1.5;

/// A bearing fault that spectral lines identify.
#[derive(Clone, Debug)]
pub(crate) struct BearingFault {
    pub(crate) mode: &'static str,
    pub(crate) evidence: f64,
    pub(crate) message: String,
    /// `outer`, `inner`, `ball` or `cage`.
    element: &'static str,
}

/// Returns the bearing fault that the featurize stage identified in a waveform.
pub(crate) fn bearing_fault(context: &AssetContext<'_>, values: &[f64]) -> Option<BearingFault> {
    let of = |name: &str| context.feature(values, name);
    let (element, mode, description) = match of("bearing_named") {
        1.0 => ("outer", "bearing-outer-race", "outer-race defect"),
        2.0 => ("inner", "bearing-inner-race", "inner-race defect"),
        3.0 => ("ball", "bearing-ball", "rolling-element defect"),
        4.0 => ("cage", "bearing-cage", "cage defect"),
        _ => return None,
    };
    let element_feature = |what: &str| of(&format!("{element}_{what}"));
    let (frequency, harmonics, ratio) =
        (element_feature("frequency"), element_feature("harmonics"), element_feature("ratio"));
    // An integer multiple of the shaft speed comes from vanes, blades or misalignment: bearing frequencies slip.
    let order = frequency / of("shaft_hz");
    if (order - order.round()).abs() < SYNCHRONOUS_TOLERANCE {
        return None;
    }
    let plural = if harmonics == 1.0 { "" } else { "s" };
    let mut message = format!(
        "{}: {description}, {frequency:.1} Hz = {:.2} x shaft, {harmonics:.0} harmonic{plural}, {ratio:.0} x the background",
        context.members.first().map_or("", |member| context.short_name(&member.name)),
        order,
    );
    let sidebands = element_feature("sidebands");
    if sidebands > 0.0 {
        message.push_str(&format!(", {sidebands:.0} sidebands"));
    }
    Some(BearingFault { mode, evidence: element_feature("evidence"), message, element })
}

/// Returns the line of the bearing fault as a contribution.
pub(crate) fn bearing_contributions(
    context: &AssetContext<'_>,
    values: &[f64],
    fault: Option<&BearingFault>,
) -> Vec<Contribution> {
    let Some(fault) = fault else { return Vec::new() };
    let feature = format!("{}_ratio", fault.element);
    vec![Contribution {
        sensor: context.members.first().map_or_else(String::new, |member| member.name.to_string()),
        actual: context.feature(values, &feature),
        feature,
        share: 0.6,
        expected: 1.0,
        unit: String::new(),
    }]
}

/// Fault mode of a waveform whose octaves rose, by the position of its highest line and by its shape.
pub(crate) fn of_waveform(context: &AssetContext<'_>, values: &[f64], expected: &[f64]) -> Option<&'static str> {
    let of = |name: &str| context.feature(values, name);
    let usual = |name: &str| context.feature(expected, name);
    let grown = |name: &str| of(name) > GROWTH_FACTOR * usual(name);
    let (shaft, line) = (of("shaft_hz"), of("dominant_frequency"));
    let at = |order: f64| (line / shaft - order).abs() <= ORDER_TOLERANCE * order.max(1.0);
    let highest = |names: &[&str]| {
        let rise = |name: &&str| of(name) - usual(name);
        names.iter().map(rise).filter(|rise| rise.is_finite()).fold(f64::NEG_INFINITY, f64::max)
    };
    let low = highest(&["octave_16", "octave_31", "octave_63", "octave_125"]);
    let high = highest(&["octave_1000", "octave_2000", "octave_4000", "octave_8000", "octave_16000"]);
    // In dB.
    let impacts =
        of("kurtosis") > usual("kurtosis") + 1.0 || of("spectral_kurtosis") > usual("spectral_kurtosis") + 1.0;
    match () {
        () if grown("dominant_magnitude") && at(2.0) => Some("misalignment"),
        () if grown("dominant_magnitude") && at(1.0) => Some("imbalance"),
        () if grown("mesh_ratio") && of("mesh_sidebands") > usual("mesh_sidebands") => Some("gear-wear"),
        () if impacts && high > 1.0 => Some("bearing-impacts"),
        () if high > low && high > 1.0 => Some("lubrication"),
        () if grown("dominant_magnitude") && shaft.is_nan() => Some("imbalance"),
        () => None,
    }
}

/// Fault mode of a window of scalars, by the features of the leading sensor that clearly rose or fell.
pub(crate) fn of_scalars(context: &AssetContext<'_>, parts: &[Contribution], z: &[f64]) -> Option<&'static str> {
    let first = parts.first()?;
    let kind = |sensor: &str| {
        let kind = context.config.sensors.get(sensor).map_or("", |sensor| sensor.kind.as_str());
        // A sensor without a configured kind is classified by its name.
        if kind.is_empty() { sensor.rsplit('/').next().unwrap_or(sensor).to_lowercase() } else { kind.to_lowercase() }
    };
    let of_sensor = |sensor: &str, feature: &str| {
        let named = |column: &Column| context.features.get(column.index as usize).is_some_and(|name| name == feature);
        let sensor_index = context.members.iter().position(|member| *member.name == *sensor);
        let sensor_z =
            sensor_index.and_then(|sensor_index| z.get(sensor_index * context.columns.len()..)).unwrap_or_default();
        context.columns.iter().zip(sensor_z).find(|(column, _)| named(column)).map_or(0.0, |(_, z)| *z)
    };
    let of = |feature: &str| of_sensor(&first.sensor, feature);
    let has_risen = |feature: &str| of(feature) > CLEAR_CHANGE;
    let still = parts.iter().filter(|part| part.sensor == first.sensor).any(|part| {
        matches!(part.feature.as_str(), "std" | "peak_to_peak" | "iqr") && part.actual <= 0.02 * part.expected
    });
    if still {
        return Some("sensor-stuck");
    }
    let named = kind(&first.sensor);
    let is = |words: &[&str]| words.iter().any(|word| named.contains(word));
    if is(&["vibration", "accel", "velocity"]) {
        // Impacts leave most readings unchanged: if the median rises more than the tail, it is not an impact.
        let tail = of("kurtosis").max(of("crest_factor"));
        let impacts = tail > CLEAR_CHANGE && tail > of("q50");
        let louder = has_risen("rms") || has_risen("std") || has_risen("iqr");
        // Bubbles make the pressure unsteady and reduce the head. A pressure that merely contributes to the anomaly is
        // not enough.
        let bubbles = |sensor: &str| {
            ["std", "iqr", "peak_to_peak"].iter().any(|spread| of_sensor(sensor, spread) > CLEAR_CHANGE)
                || of_sensor(sensor, "mean") < -CLEAR_CHANGE
        };
        let pressure = parts.iter().any(|part| {
            let kind = kind(&part.sensor);
            (kind.contains("pressure") || kind.contains("flow"))
                && part.share >= MIN_INVOLVED_SHARE
                && bubbles(&part.sensor)
        });
        return match () {
            () if impacts => Some("bearing-impacts"),
            () if louder && pressure => Some("cavitation"),
            () => None,
        };
    }
    let higher = has_risen("mean") || has_risen("q50") || has_risen("rms");
    match () {
        () if is(&["temperature", "thermocouple"]) && higher => Some("overheating"),
        () if is(&["current", "power"]) && higher => Some("electrical-overload"),
        () if is(&["pressure", "flow"]) && (has_risen("std") || has_risen("iqr") || has_risen("peak_to_peak")) => {
            Some("cavitation")
        }
        () => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;
    use crate::{columns, config::Config, window::Member};

    /// Fault mode of louder vibration together with these deviations of the pressure's mean and standard deviation, in
    /// scales.
    fn with_pressure(mean: f64, std: f64) -> Option<&'static str> {
        let config = Config::parse("").unwrap();
        let features = ["mean".to_owned(), "std".to_owned()];
        let members = ["m/vibration", "m/pressure"].map(|name| Member { name: name.into(), missed_windows: 0 });
        let columns = columns::scored_columns(&features);
        let context = AssetContext {
            asset: "m",
            members: &members,
            features: &features,
            columns: &columns,
            config: &config,
            library: None,
        };
        let part = |sensor: &str, share| Contribution {
            sensor: sensor.to_owned(),
            feature: "mean".to_owned(),
            share,
            expected: 1.0,
            actual: 2.0,
            unit: String::new(),
        };
        of_scalars(&context, &[part("m/vibration", 0.8), part("m/pressure", 0.2)], &[9.0, 9.0, mean, std])
    }

    #[test]
    fn cavitation_needs_a_lower_or_unsteady_pressure() {
        assert_eq!(with_pressure(-5.0, 0.0), Some("cavitation"));
        assert_eq!(with_pressure(0.0, 5.0), Some("cavitation"));
        // The pressure contributes to the anomaly, but is higher, or has hardly changed.
        assert_eq!(with_pressure(5.0, 0.0), None);
        assert_eq!(with_pressure(-1.0, 1.0), None);
    }
}
