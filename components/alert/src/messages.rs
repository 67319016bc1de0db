//! Titles and recommendations for people.

use crate::Severity;

/// Returns the last segment of an id of the form `site/area/machine/sensor`.
fn last_segment(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Returns a title with asset, fault and severity: `Pump-07: likely imbalance (high)`.
pub(crate) fn title(
    asset: &str,
    fault_mode: Option<&str>,
    sensor: &str,
    feature: Option<&str>,
    severity: Severity,
) -> String {
    let asset = last_segment(asset);
    let sensor = last_segment(sensor);
    match (fault_mode.map(fault_text), feature) {
        (Some(FaultText { name, is_sensor_fault: true, .. }), _) => {
            format!("{asset}: {name} {sensor} ({severity})")
        }
        (Some(FaultText { name, .. }), _) if !name.is_empty() => format!("{asset}: likely {name} ({severity})"),
        (_, Some(feature)) => format!("{asset}: abnormal {sensor}-{} ({severity})", feature_text(feature)),
        _ => format!("{asset}: abnormal {sensor} ({severity})"),
    }
}

fn feature_text(feature: &str) -> String {
    match feature {
        "q50" => "median".to_owned(),
        "std" => "spread".to_owned(),
        _ => feature.replace('_', "-"),
    }
}

/// Returns the recommended first action, in one or two sentences.
pub(crate) fn recommendation(fault_mode: Option<&str>, severity: Severity) -> String {
    let fault = fault_text(fault_mode.unwrap_or("unknown"));
    if severity == Severity::Critical && !fault.is_sensor_fault {
        format!("Slow or stop the machine if the process allows it. {}", fault.first_step)
    } else {
        fault.first_step.to_owned()
    }
}

struct FaultText {
    /// Name of the fault; empty when it is unknown.
    name: String,
    /// Whether the fault is in the measurement and not in the machine.
    is_sensor_fault: bool,
    first_step: &'static str,
}

fn fault_text(mode: &str) -> FaultText {
    let machine_fault =
        |name: &str, first| FaultText { name: name.to_owned(), is_sensor_fault: false, first_step: first };
    let sensor_fault =
        |name: &str, first| FaultText { name: name.to_owned(), is_sensor_fault: true, first_step: first };
    match mode {
        "bearing-impacts" => machine_fault(
            "bearing defect (impacts)",
            "Check the bearing's grease and listen to it, and take an envelope spectrum to find which part is damaged. \
             Order a spare bearing now.",
        ),
        "bearing-outer-race" => machine_fault(
            "bearing outer-race defect",
            "Confirm with an envelope spectrum at the outer-race frequency, check the seat and the load zone, and plan \
             the bearing's replacement.",
        ),
        "bearing-inner-race" => machine_fault(
            "bearing inner-race defect",
            "Confirm with an envelope spectrum at the inner-race frequency and its shaft-speed sidebands, and plan the \
             replacement soon: this defect grows fast.",
        ),
        "bearing-ball" => machine_fault(
            "bearing rolling-element defect",
            "Confirm with an envelope spectrum at twice the ball-spin frequency, check the lubricant for metal, and plan \
             the bearing's replacement.",
        ),
        "bearing-cage" => machine_fault(
            "bearing cage defect",
            "Confirm with an envelope spectrum at the cage frequency, and check the lubricant for metal. Plan the \
             replacement soon: a cage that breaks locks the bearing.",
        ),
        "gear-wear" => machine_fault(
            "gear wear",
            "Check level and condition of the gear oil and take a sample for metal. Inspect the teeth through the cover \
             at the next stop, and compare the mesh sidebands until then.",
        ),
        "imbalance" => machine_fault(
            "imbalance",
            "Clean the rotor or impeller and look for lost weights, broken blades or build-up. If vibration at shaft \
             speed stays, balance it in place.",
        ),
        "misalignment" => machine_fault(
            "misalignment",
            "Check the coupling, the foundation bolts and soft foot. Then align the shafts with a laser at operating \
             temperature.",
        ),
        "cavitation" => machine_fault(
            "cavitation",
            "Check suction pressure, strainer and suction valve, and open the suction or throttle the discharge until \
             the noise stops. Inspect the impeller for pitting.",
        ),
        "overheating" => machine_fault(
            "overheating",
            "Check cooling, ventilation and load, and reduce the load until the temperature falls. Then look for \
             friction in bearings and seals.",
        ),
        "lubrication" => machine_fault(
            "lack of lubrication",
            "Check level and condition of the lubricant, and relubricate with the specified grade and amount. Too much \
             grease heats a bearing as well.",
        ),
        "electrical-overload" => machine_fault(
            "electrical overload",
            "Compare the current with the nameplate on every phase, and look for a blocked load or a lost phase. Have \
             an electrician check terminals and the overload relay.",
        ),
        "sensor-stuck" => sensor_fault(
            "stuck sensor",
            "Do not trust this sensor's value: compare it with a hand-held instrument, and check cable, supply and the \
             input's configuration.",
        ),
        "sensor-dropout" => sensor_fault(
            "dropouts of sensor",
            "Check connector, cable and radio link or gateway of the sensor. Until it reports steadily the machine is \
             partly unwatched.",
        ),
        "sensor-spikes" => sensor_fault(
            "spikes on sensor",
            "Check the cable, its shield and the connector for loose contact, and look for a drive or radio nearby.",
        ),
        "sensor-clipping" => sensor_fault(
            "clipping sensor",
            "The sensor stands at the end of its range: check the measuring range of sensor and input, and the gain.",
        ),
        "sensor-step" => sensor_fault(
            "step of sensor",
            "Compare the sensor with a hand-held instrument. If it was replaced or calibrated, reset the baseline of the \
             machine.",
        ),
        "sensor-noise" => sensor_fault(
            "noise on sensor",
            "Check the sensor's mounting, shielding and grounding, and keep its cable away from drives. Do not act on \
             its values before that.",
        ),
        "unknown" | "" => machine_fault(
            "",
            "Look at and listen to the machine, compare with its neighbour and with the latest changes of load or \
             process, and check the sensor named here first.",
        ),
        other => machine_fault(
            &other.replace(['-', '_'], " "),
            "Look at and listen to the machine, and check the sensor named here and what the message says before you \
             open anything.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_say_machine_fault_and_severity() {
        let texts =
            |mode, feature| title("plant/hall/Pump-07", mode, "plant/hall/Pump-07/vibration", feature, Severity::High);
        assert_eq!(texts(Some("bearing-outer-race"), None), "Pump-07: likely bearing outer-race defect (high)");
        assert_eq!(texts(Some("sensor-stuck"), None), "Pump-07: stuck sensor vibration (high)");
        assert_eq!(texts(Some("belt-slip"), None), "Pump-07: likely belt slip (high)");
        assert_eq!(texts(None, Some("crest_factor")), "Pump-07: abnormal vibration-crest-factor (high)");
        assert_eq!(texts(Some("unknown"), Some("rms")), "Pump-07: abnormal vibration-rms (high)");
        assert_eq!(texts(None, None), "Pump-07: abnormal vibration (high)");
    }

    #[test]
    fn each_fault_has_its_own_first_step() {
        let modes = [
            "bearing-impacts",
            "bearing-outer-race",
            "bearing-inner-race",
            "bearing-ball",
            "bearing-cage",
            "gear-wear",
            "imbalance",
            "misalignment",
            "cavitation",
            "overheating",
            "lubrication",
            "sensor-stuck",
            "sensor-dropout",
            "sensor-noise",
            "sensor-spikes",
            "sensor-clipping",
            "sensor-step",
            "electrical-overload",
            "unknown",
            "something-else",
        ];
        let texts: std::collections::BTreeSet<String> =
            modes.iter().map(|mode| recommendation(Some(mode), Severity::Medium)).collect();
        assert_eq!(texts.len(), modes.len());
        assert_eq!(recommendation(None, Severity::Low), recommendation(Some("unknown"), Severity::Low));
        assert!(recommendation(Some("imbalance"), Severity::Critical).starts_with("Slow or stop"));
        assert!(!recommendation(Some("sensor-stuck"), Severity::Critical).starts_with("Slow or stop"));
    }
}
