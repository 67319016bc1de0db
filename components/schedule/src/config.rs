//! Configuration of the stage.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::calendar::{MINUTES_PER_DAY, Roster, Shift};
use crate::catalogue::Catalogue;
use crate::{JobTemplate, StageError};

/// The configuration as written, in JSON.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The technicians.
    pub technicians: Vec<TechnicianConfig>,
    /// Properties of the assets, by id.
    pub assets: BTreeMap<String, AssetConfig>,
    /// Currency of all costs, such as `EUR`; the notes name it.
    pub currency: String,
    /// Planning horizon in hours; above 0, at most 8,784 (366 days).
    pub horizon_hours: f64,
    /// Local time of the shifts minus UTC in minutes, -1,440 to 1,440.
    pub utc_offset_minutes: i32,
    /// Jobs by fault mode; they replace the built-in ones.
    pub catalogue: BTreeMap<String, Vec<JobTemplate>>,
    /// No work is planned before this time, and the horizon starts then; in nanoseconds since 1970. Used by what-if
    /// plans.
    pub not_before: Option<i64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            technicians: Vec::new(),
            assets: BTreeMap::new(),
            currency: "EUR".into(),
            horizon_hours: 336.0,
            utc_offset_minutes: 0,
            catalogue: BTreeMap::new(),
            not_before: None,
        }
    }
}

/// Configuration of a technician.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TechnicianConfig {
    /// Unique name.
    pub name: String,
    /// Their skills.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Cost per hour in the configured currency; 0 or more.
    #[serde(default)]
    pub hourly_cost: f64,
    /// Their shifts; an empty list means always.
    #[serde(default)]
    pub shifts: Vec<ShiftConfig>,
}

/// Configuration of a weekly shift.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShiftConfig {
    /// The days on which it starts, `mon` to `sun`.
    pub days: Vec<String>,
    /// Start in local time, such as `06:00`.
    pub start: String,
    /// End in local time, such as `14:00`; an end at or before the start is on the next day.
    pub end: String,
}

/// Configuration of an asset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssetConfig {
    /// Criticality, from 1 (hardly matters) to 5 (the plant stops).
    pub criticality: u8,
}

impl Default for AssetConfig {
    fn default() -> Self {
        Self { criticality: 3 }
    }
}

/// The validated configuration.
#[derive(Clone, Debug)]
pub(crate) struct ValidatedConfig {
    pub technicians: Vec<Technician>,
    criticality: BTreeMap<String, u8>,
    pub catalogue: Catalogue,
    pub currency: String,
    /// Planning horizon in minutes.
    pub horizon: i64,
    pub not_before: Option<i64>,
}

/// A technician.
#[derive(Clone, Debug)]
pub(crate) struct Technician {
    pub name: String,
    pub skills: BTreeSet<String>,
    pub hourly_cost: f64,
    pub roster: Roster,
}

impl ValidatedConfig {
    /// Parses a JSON object; an empty string means the defaults.
    pub fn parse(text: &str) -> Result<Self, StageError> {
        let config: Config = if text.trim().is_empty() {
            Config::default()
        } else {
            serde_json::from_str(text)
                .map_err(|error| StageError::Config(format!("expected a JSON object: {error}")))?
        };
        Self::new(config)
    }

    fn new(config: Config) -> Result<Self, StageError> {
        if !(config.horizon_hours > 0.0 && config.horizon_hours <= 8_784.0) {
            return Err(StageError::Config(format!(
                "horizon_hours must be above 0 and at most 8784 (366 days), but is {}; leave it out for 336",
                config.horizon_hours
            )));
        }
        if !(-1_440..=1_440).contains(&config.utc_offset_minutes) {
            return Err(StageError::Config(format!(
                "utc_offset_minutes must be -1440 to 1440, but is {}; use 60 for Berlin in winter",
                config.utc_offset_minutes
            )));
        }
        for (asset, settings) in &config.assets {
            if !(1..=5).contains(&settings.criticality) {
                return Err(StageError::Config(format!(
                    "assets.{asset}.criticality must be 1 (hardly matters) to 5 (the plant stops), but is {}; leave it \
                     out for 3",
                    settings.criticality
                )));
            }
        }
        let offset = i64::from(config.utc_offset_minutes);
        let mut technicians: Vec<Technician> = Vec::with_capacity(config.technicians.len());
        let mut names = BTreeSet::new();
        for (index, technician) in config.technicians.into_iter().enumerate() {
            if !names.insert(technician.name.clone()) {
                return Err(StageError::Config(format!(
                    "technicians[{index}].name {:?} occurs twice; give each technician a unique name",
                    technician.name
                )));
            }
            technicians.push(self::validate_technician(index, technician, offset)?);
        }
        // Ties in the plan are resolved by name, so candidates are tried in this order.
        technicians.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            technicians,
            criticality: config.assets.into_iter().map(|(id, asset)| (id, asset.criticality)).collect(),
            catalogue: Catalogue::new(config.catalogue)?,
            currency: config.currency,
            // At most 527,040; rounded up so that the horizon is never 0.
            horizon: (config.horizon_hours * 60.0).ceil() as i64,
            not_before: config.not_before,
        })
    }

    /// Returns the criticality, 1 to 5; 3 for an asset that is not configured.
    pub fn criticality(&self, asset: &str) -> u8 {
        self.criticality.get(asset).copied().unwrap_or(3)
    }
}

fn validate_technician(index: usize, config: TechnicianConfig, offset: i64) -> Result<Technician, StageError> {
    let reject = |key: String, rule: String| Err(StageError::Config(format!("technicians[{index}].{key} {rule}")));
    if config.name.is_empty() {
        return reject("name".into(), "is empty; give each technician a name".into());
    }
    if !(0.0..=1e9).contains(&config.hourly_cost) {
        return reject("hourly_cost".into(), format!("must be 0 to 1e9, but is {}", config.hourly_cost));
    }
    let mut shifts = Vec::new();
    for (number, shift) in config.shifts.iter().enumerate() {
        if shift.days.is_empty() {
            return reject(
                format!("shifts[{number}].days"),
                "is empty; name the days, such as [\"mon\", \"tue\"]".into(),
            );
        }
        let mut days = [false; 7];
        for day in &shift.days {
            let position = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].iter().position(|known| known == day);
            match position.and_then(|position| days.get_mut(position)) {
                Some(flag) => *flag = true,
                None => {
                    return reject(
                        format!("shifts[{number}].days"),
                        format!("has the unknown day {day:?}; write mon, tue, wed, thu, fri, sat or sun"),
                    );
                }
            }
        }
        let (Some(start), Some(end)) = (parse_minute_of_day(&shift.start), parse_minute_of_day(&shift.end)) else {
            let (key, value) =
                if parse_minute_of_day(&shift.start).is_none() { ("start", &shift.start) } else { ("end", &shift.end) };
            return reject(
                format!("shifts[{number}].{key}"),
                format!("must be a time of day from \"00:00\" to \"23:59\", but is {value:?}"),
            );
        };
        let length = if end > start { end - start } else { end + MINUTES_PER_DAY - start };
        shifts.push(Shift { days, start, length });
    }
    Ok(Technician {
        name: config.name,
        skills: config.skills.into_iter().collect(),
        hourly_cost: config.hourly_cost,
        roster: Roster::new(shifts, offset),
    })
}

/// Parses a time of day such as `06:00` into minutes after midnight.
fn parse_minute_of_day(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, limit: i64| {
        let is_plain = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| is_plain && *number < limit)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_string_means_the_defaults() {
        let config = ValidatedConfig::parse("").unwrap();
        assert_eq!((config.horizon, config.currency.as_str(), config.technicians.len()), (336 * 60, "EUR", 0));
        assert_eq!(config.criticality("any"), 3);
    }

    #[test]
    fn times_of_day() {
        assert_eq!(parse_minute_of_day("06:05"), Some(365));
        assert_eq!(parse_minute_of_day("23:59"), Some(1439));
        for bad in ["25:00", "24:00", "06:60", "0600", "06", "", ":", "-1:00", "+6:00", "006:00", "06:00:00"] {
            assert_eq!(parse_minute_of_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn errors_name_the_key() {
        let shift = |days: &str, start: &str, end: &str| {
            format!(
                r#"{{"technicians":[{{"name":"a","shifts":[{{"days":[{days}],"start":"{start}","end":"{end}"}}]}}]}}"#
            )
        };
        let job =
            |rest: &str| format!(r#"{{"catalogue":{{"imbalance":[{{"kind":"a","duration_minutes":1}},{{{rest}}}]}}}}"#);
        for (text, key) in [
            (r#"{"technician":[]}"#.to_owned(), "technician"),
            (r#"{"horizon_hours":0}"#.to_owned(), "horizon_hours"),
            (r#"{"horizon_hours":9000}"#.to_owned(), "horizon_hours"),
            (r#"{"utc_offset_minutes":2000}"#.to_owned(), "utc_offset_minutes"),
            (r#"{"assets":{"p/1":{"criticality":6}}}"#.to_owned(), "assets.p/1.criticality"),
            (r#"{"technicians":[{"name":""}]}"#.to_owned(), "technicians[0].name"),
            (r#"{"technicians":[{"name":"a"},{"name":"a"}]}"#.to_owned(), "technicians[1].name"),
            (r#"{"technicians":[{"name":"a","hourly_cost":-1}]}"#.to_owned(), "technicians[0].hourly_cost"),
            (shift("", "06:00", "14:00"), "technicians[0].shifts[0].days"),
            (shift("\"monday\"", "06:00", "14:00"), "\"monday\""),
            (shift("\"mon\"", "25:00", "14:00"), "technicians[0].shifts[0].start"),
            (shift("\"mon\"", "06:00", "14"), "technicians[0].shifts[0].end"),
            (job(r#""kind":"a","duration_minutes":1"#), "catalogue.imbalance[1].kind"),
            (job(r#""kind":"","duration_minutes":1"#), "catalogue.imbalance[1].kind"),
            (job(r#""kind":"b","duration_minutes":0"#), "catalogue.imbalance[1].duration_minutes"),
            (job(r#""kind":"b","duration_minutes":1,"parts_cost":-1"#), "catalogue.imbalance[1].parts_cost"),
            (job(r#""kind":"b","duration_minutes":1,"after":["c"]"#), "catalogue.imbalance[1].after"),
        ] {
            let Err(StageError::Config(message)) = ValidatedConfig::parse(&text) else { panic!("{text} was accepted") };
            assert!(message.contains(key), "{text}: {message}");
        }
    }
}
