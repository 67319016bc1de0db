//! What a pattern points to. Physics first: a bearing's line names its part; then rules of thumb by kind of sensor.

use crate::{
    columns::Column,
    explain::{Context, Contribution},
};

/// Beyond so many scales a feature clearly rose or fell.
const CLEAR: f64 = 3.0;
/// What carries this share of an anomaly has a part in it.
const CARRIES: f64 = 0.05;
/// A line is at a frequency when it is within this share of it, or within a line of the spectrum.
const AT: f64 = 0.04;
/// Orders this near to a whole number are the shaft's own.
const SYNCHRONOUS: f64 = 0.03;
/// An amplitude that has grown by this factor stands out.
const GROWN: f64 = 1.5;

/// A fault of a bearing that its lines name.
#[derive(Clone, Debug)]
pub(crate) struct Bearing {
    pub(crate) mode: &'static str,
    pub(crate) evidence: f64,
    pub(crate) message: String,
    /// `outer`, `inner`, `ball` or `cage`.
    part: &'static str,
}

/// The bearing's fault that featurize named in a burst.
pub(crate) fn bearing(context: &Context<'_>, values: &[f64]) -> Option<Bearing> {
    let of = |name: &str| context.feature(values, name);
    let (part, mode, words) = match of("bearing_named") {
        1.0 => ("outer", "bearing-outer-race", "outer-race defect"),
        2.0 => ("inner", "bearing-inner-race", "inner-race defect"),
        3.0 => ("ball", "bearing-ball", "rolling-element defect"),
        4.0 => ("cage", "bearing-cage", "cage defect"),
        _ => return None,
    };
    let its = |what: &str| of(&format!("{part}_{what}"));
    let (frequency, harmonics, ratio) = (its("frequency"), its("harmonics"), its("ratio"));
    // A whole multiple of the shaft's speed is vanes, blades or misalignment: a bearing's lines slip.
    let order = frequency / of("shaft_hz");
    if (order - order.round()).abs() < SYNCHRONOUS {
        return None;
    }
    let plural = if harmonics == 1.0 { "" } else { "s" };
    let mut message = format!(
        "{}: {words}, {frequency:.1} Hz = {:.2} x shaft, {harmonics:.0} harmonic{plural}, {ratio:.0} x the background",
        context.members.first().map_or("", |member| context.short(&member.name)),
        order,
    );
    let sidebands = its("sidebands");
    if sidebands > 0.0 {
        message.push_str(&format!(", {sidebands:.0} sidebands"));
    }
    Some(Bearing { mode, evidence: its("evidence"), message, part })
}

/// The line of the bearing's fault as a part of the reason.
pub(crate) fn parts(context: &Context<'_>, values: &[f64], named: Option<&Bearing>) -> Vec<Contribution> {
    let Some(named) = named else { return Vec::new() };
    let feature = format!("{}_ratio", named.part);
    vec![Contribution {
        sensor: context.members.first().map_or_else(String::new, |member| member.name.to_string()),
        seen: context.feature(values, &feature),
        feature,
        share: 0.6,
        expected: 1.0,
        unit: String::new(),
    }]
}

/// What a burst points to whose octaves rose, by where its highest line is and how it is shaped.
pub(crate) fn of_burst(context: &Context<'_>, values: &[f64], expected: &[f64]) -> Option<&'static str> {
    let of = |name: &str| context.feature(values, name);
    let usual = |name: &str| context.feature(expected, name);
    let grown = |name: &str| of(name) > GROWN * usual(name);
    let (shaft, line) = (of("shaft_hz"), of("dominant_frequency"));
    let at = |order: f64| (line / shaft - order).abs() <= AT * order.max(1.0);
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

/// What a window's scalars point to, by the features of the leading sensor that clearly rose or fell.
pub(crate) fn of_scalars(context: &Context<'_>, parts: &[Contribution], z: &[f64]) -> Option<&'static str> {
    let first = parts.first()?;
    let kind = |sensor: &str| {
        let kind = context.config.sensors.get(sensor).map_or("", |sensor| sensor.kind.as_str());
        // Sensors that are not configured tell by their name.
        if kind.is_empty() { sensor.rsplit('/').next().unwrap_or(sensor).to_lowercase() } else { kind.to_lowercase() }
    };
    let of_sensor = |sensor: &str, feature: &str| {
        let named = |column: &Column| context.features.get(column.at as usize).is_some_and(|name| name == feature);
        let place = context.members.iter().position(|member| *member.name == *sensor);
        let own = place.and_then(|place| z.get(place * context.columns.len()..)).unwrap_or_default();
        context.columns.iter().zip(own).find(|(column, _)| named(column)).map_or(0.0, |(_, z)| *z)
    };
    let of = |feature: &str| of_sensor(&first.sensor, feature);
    let rose = |feature: &str| of(feature) > CLEAR;
    let still = parts.iter().filter(|part| part.sensor == first.sensor).any(|part| {
        matches!(part.feature.as_str(), "std" | "peak_to_peak" | "iqr") && part.seen <= 0.02 * part.expected
    });
    if still {
        return Some("sensor-stuck");
    }
    let named = kind(&first.sensor);
    let is = |words: &[&str]| words.iter().any(|word| named.contains(word));
    if is(&["vibration", "accel", "velocity"]) {
        // Impacts leave most readings as they were: what lifts the median more than the tail is no knocking.
        let tail = of("kurtosis").max(of("crest_factor"));
        let impacts = tail > CLEAR && tail > of("q50");
        let louder = rose("rms") || rose("std") || rose("iqr");
        // Bubbles make the pressure unsteady and cost head; one that merely has a part in it is another thing.
        let bubbles = |sensor: &str| {
            ["std", "iqr", "peak_to_peak"].iter().any(|spread| of_sensor(sensor, spread) > CLEAR)
                || of_sensor(sensor, "mean") < -CLEAR
        };
        let pressure = parts.iter().any(|part| {
            let kind = kind(&part.sensor);
            (kind.contains("pressure") || kind.contains("flow")) && part.share >= CARRIES && bubbles(&part.sensor)
        });
        return match () {
            () if impacts => Some("bearing-impacts"),
            () if louder && pressure => Some("cavitation"),
            () => None,
        };
    }
    let higher = rose("mean") || rose("q50") || rose("rms");
    match () {
        () if is(&["temperature", "thermocouple"]) && higher => Some("overheating"),
        () if is(&["current", "power"]) && higher => Some("electrical-overload"),
        () if is(&["pressure", "flow"]) && (rose("std") || rose("iqr") || rose("peak_to_peak")) => Some("cavitation"),
        () => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;
    use crate::{columns, config::Config, unit::Member};

    /// What louder vibration points to, with this much of the pressure's mean and standard deviation beside it, in scales.
    fn beside(mean: f64, std: f64) -> Option<&'static str> {
        let config = Config::parse("").unwrap();
        let features = ["mean".to_owned(), "std".to_owned()];
        let members = ["m/vibration", "m/pressure"].map(|name| Member { name: name.into(), absent: 0 });
        let columns = columns::of(&features);
        let context = Context {
            asset: "m",
            members: &members,
            features: &features,
            columns: &columns,
            config: &config,
            runs: None,
        };
        let part = |sensor: &str, share| Contribution {
            sensor: sensor.to_owned(),
            feature: "mean".to_owned(),
            share,
            expected: 1.0,
            seen: 2.0,
            unit: String::new(),
        };
        of_scalars(&context, &[part("m/vibration", 0.8), part("m/pressure", 0.2)], &[9.0, 9.0, mean, std])
    }

    #[test]
    fn cavitation_takes_a_pressure_that_suffers() {
        assert_eq!(beside(-5.0, 0.0), Some("cavitation"));
        assert_eq!(beside(0.0, 5.0), Some("cavitation"));
        // It has a part in what was found, but is higher, or has hardly moved.
        assert_eq!(beside(5.0, 0.0), None);
        assert_eq!(beside(-1.0, 1.0), None);
    }
}
