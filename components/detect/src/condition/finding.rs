//! The explanation of an anomaly by the numbers that deviate.

use super::{
    health::SensorFault,
    model::Judged,
    track::{FeatureIndices, LEVEL, NUMBERS, SPREAD, TAIL},
};
use crate::{
    explain::{AssetContext, Contribution, Explanation, FeatureValue, largest_contributions},
    faults,
    physical::Place,
    sensor_kind::SensorKind,
    severity::{self, Diagnosis, Distance, PhysicalZone, Severity},
    window::Window,
};

/// Names of the models on anomalies.
const MODEL: &str = "similarity";
const LIMITS_MODEL: &str = "limits";
pub(crate) const SENSOR_MODEL: &str = "sensor";
/// Ratios of 1 correspond to so many scales for the patterns of [`faults`].
const SCALES_PER_LIMIT: f64 = 4.0;

/// Explains a window by its judged numbers.
pub(crate) fn explain(
    context: &AssetContext<'_>,
    indices: FeatureIndices,
    kinds: &[SensorKind],
    judged: &[Judged],
    window: &Window,
    learnt: u32,
    places: &[Place],
) -> Explanation {
    let mut weights = vec![0.0; kinds.len() * NUMBERS];
    for number in judged {
        if let Some(weight) = weights.get_mut(number.index) {
            *weight = number.ratio * number.ratio;
        }
    }
    let parts = largest_contributions(&weights, |index| contribution(context, indices, judged, window, index));
    let parts = context.with_units(parts);
    let z = scales_of_columns(context, kinds.len(), judged);
    let fault_mode = faults::of_scalars(context, &parts, &z);
    let mut message = context.message(&parts, fault_mode);
    let worst = worst_place(places);
    if let Some((sensor, place)) = worst.filter(|(_, place)| place.limit.is_some()) {
        message.push_str(&format!("; {}", place_text(context, sensor, &place)));
    }
    // In order by physics are the values of the sensor that leads.
    let leading = parts.first().and_then(|part| context.members.iter().position(|member| *member.name == *part.sensor));
    let zone = leading.and_then(|leading| places.get(leading)).map_or(PhysicalZone::default(), |place| place.zone);
    let zone = worst.map_or(zone, |(_, worst)| if worst.zone >= PhysicalZone::Restricted { worst.zone } else { zone });
    let magnitude = judged
        .iter()
        .filter(|number| number.ratio.abs() >= 1.0)
        .map(|number| number.magnitude.abs())
        .fold(1.0, f64::max);
    let severity = severity::severity(zone, Distance::of_ratio(magnitude), Diagnosis::None);
    Explanation {
        message,
        fault_mode,
        contributions: parts,
        trend: None,
        model: MODEL,
        training_windows: learnt,
        severity,
    }
}

/// Explains that a sensor is beyond a physical limit, whatever is expected of it.
pub(crate) fn explain_place(
    context: &AssetContext<'_>,
    indices: FeatureIndices,
    window: &Window,
    places: &[Place],
    learnt: u32,
) -> Explanation {
    let (sensor, place) = worst_place(places).unwrap_or_default();
    let row = window.rows.get(sensor).and_then(Option::as_ref);
    let count = row.map_or(0, |row| row.count);
    let (feature, index) = indices.of_number(LEVEL, count);
    let actual = row.and_then(|row| row.values.get(index?).copied()).unwrap_or(f64::NAN);
    let part = Contribution {
        sensor: context.members.get(sensor).map_or_else(String::new, |member| member.name.to_string()),
        feature: feature.to_owned(),
        share: 1.0,
        expected: place.limit.map_or(actual, |(limit, _)| limit),
        actual,
        unit: String::new(),
    };
    Explanation {
        message: place_text(context, sensor, &place),
        fault_mode: None,
        contributions: context.with_units(vec![part]),
        trend: None,
        model: LIMITS_MODEL,
        training_windows: learnt,
        severity: severity::severity(place.zone, Distance::Expected, Diagnosis::None),
    }
}

/// Explains the fault of a sensor.
pub(crate) fn explain_sensor_fault(
    context: &AssetContext<'_>,
    indices: FeatureIndices,
    window: &Window,
    sensor: usize,
    fault: SensorFault,
    learnt: u32,
) -> Explanation {
    let row = window.rows.get(sensor).and_then(Option::as_ref);
    let (feature, index) = indices.of_number(LEVEL, row.map_or(0, |row| row.count));
    let actual = row.and_then(|row| row.values.get(index?).copied()).unwrap_or(0.0);
    let name = context.members.get(sensor).map_or_else(String::new, |member| member.name.to_string());
    let message = format!(
        "{} {} (points to {}); the machine is judged by its other sensors",
        context.short_name(&name),
        fault.text(),
        fault.mode()
    );
    let part = Contribution {
        sensor: name,
        feature: feature.to_owned(),
        share: 1.0,
        expected: actual,
        actual,
        unit: String::new(),
    };
    Explanation {
        message,
        fault_mode: Some(fault.mode()),
        contributions: context.with_units(vec![part]),
        trend: None,
        model: SENSOR_MODEL,
        training_windows: learnt,
        severity: Some(Severity::Medium),
    }
}

fn worst_place(places: &[Place]) -> Option<(usize, Place)> {
    places.iter().copied().enumerate().max_by_key(|(at, place)| (place.zone, std::cmp::Reverse(*at)))
}

/// Such as `vibration is beyond zone C, from 4.5 mm/s on`.
fn place_text(context: &AssetContext<'_>, sensor: usize, place: &Place) -> String {
    let name = context.members.get(sensor).map_or("", |member| &*member.name);
    let unit = context.unit(name, "mean");
    match place.limit {
        Some((limit, "zone C")) => {
            format!("{} is in zone C of ISO 20816, from {limit} {unit} on", context.short_name(name))
        }
        Some((limit, "zone D")) => {
            format!("{} is in zone D of ISO 20816, from {limit} {unit} on", context.short_name(name))
        }
        Some((limit, kind)) => format!("{} is beyond its limit {kind} of {limit} {unit}", context.short_name(name)),
        None => format!("{} is beyond a physical limit", context.short_name(name)),
    }
}

/// Actual and expected value of a number, in the unit of a feature of the window.
fn contribution(
    context: &AssetContext<'_>,
    indices: FeatureIndices,
    judged: &[Judged],
    window: &Window,
    index: usize,
) -> Option<FeatureValue> {
    let number = judged.iter().find(|number| number.index == index)?;
    let row = window.rows.get(index / NUMBERS)?.as_ref()?;
    let (feature, _) = indices.of_number(index % NUMBERS, row.count);
    let in_unit = |value: f64| match index % NUMBERS {
        LEVEL => value,
        SPREAD => value.exp(),
        _ => value.sinh(),
    };
    Some(FeatureValue {
        sensor: context.members.get(index / NUMBERS)?.name.to_string(),
        feature: feature.to_owned(),
        expected: in_unit(number.expected),
        actual: in_unit(number.actual),
    })
}

/// The deviations as scales of the columns that [`faults::of_scalars`] looks at.
fn scales_of_columns(context: &AssetContext<'_>, sensors: usize, judged: &[Judged]) -> Vec<f64> {
    let width = context.columns.len();
    let mut scales = vec![0.0; sensors * width];
    for number in judged {
        for (at, column) in context.columns.iter().enumerate() {
            let feature = context.features.get(column.index as usize).map_or("", String::as_str);
            let stands_for = match feature {
                "mean" | "q50" | "rms" => LEVEL,
                "std" | "iqr" | "peak_to_peak" | "rolling_mean_std" => SPREAD,
                "kurtosis" | "crest_factor" => TAIL,
                _ => continue,
            };
            if number.index % NUMBERS == stands_for
                && let Some(slot) = scales.get_mut(number.index / NUMBERS * width + at)
            {
                *slot = SCALES_PER_LIMIT * number.ratio;
            }
        }
    }
    scales
}
