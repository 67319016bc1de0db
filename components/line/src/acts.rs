//! What people do, as far as it needs no store and no stage. The edge host, which keeps its own, does the same by these.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use wheeltapper_front::{Change, Deed};

use crate::rows::content_id;

/// The longest horizon of a plan, in hours: 366 days.
const HOURS: f64 = 8_784.0;

/// Stands for a change: the same once more is no other.
pub fn change_id(change: &Change) -> String {
    content_id(format!("{}|{}|{}|{}", change.deed.name(), change.id, change.now, change.text).as_bytes())
}

/// Whether a change of an anomaly says what it has to.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn check(change: &Change) -> Result<(), Refusal> {
    if change.deed == Deed::Comment && change.text.trim().is_empty() {
        return Err(Refusal::Invalid("the comment is empty; say something".to_owned()));
    }
    Ok(())
}

/// Why a person does not get what they want.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What is asked about is not there.
    #[error("{0}")]
    Absent(String),
    /// What is asked cannot be understood.
    #[error("{0}")]
    Invalid(String),
    /// What is asked goes against how things stand.
    #[error("{0}")]
    Conflict(String),
}

/// What a person may say of a work order's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It is taken up again.
    Planned,
    /// It is done.
    Done,
    /// Nobody needs it.
    Cancelled,
}

impl Status {
    /// As the table `work_orders` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a person wants of a work order; what is none stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// In nanoseconds since 1970.
    pub scheduled_time: Option<i64>,
    /// Who does it.
    pub technician: Option<String>,
    /// Whether it stays there; none where it is moved means that it does.
    pub pinned: Option<bool>,
    /// Done, cancelled, or taken up again.
    pub status: Option<Status>,
}

impl Wish {
    /// From its JSON.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where it is no wish, or an empty one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let expected = "expected an object with scheduled_time, technician, pinned or status";
        let wish: Self = serde_json::from_str(text)
            .map_err(|error| Refusal::Invalid(format!("the change of a work order is not one: {error}; {expected}")))?;
        if wish == Self::default() {
            return Err(Refusal::Invalid(format!("the change of a work order changes nothing; {expected}")));
        }
        Ok(wish)
    }

    fn moves(&self) -> bool {
        self.scheduled_time.is_some() || self.technician.is_some()
    }

    /// Whether the planner can do it. `order`: the work order as an object of `look`; `technicians`: those who are configured;
    /// `open`: whether the order's alert is not known to have resolved.
    ///
    /// # Errors
    /// [`Refusal`] in the planner's sense, which is asked later and cannot answer.
    pub fn check(&self, order: &Json, technicians: &[String], open: bool) -> Result<(), Refusal> {
        if let Some(name) = self.technician.as_ref().filter(|name| !technicians.contains(name)) {
            return Err(Refusal::Conflict(no_technician(name, technicians)));
        }
        let text = |key: &str| order.get(key).and_then(Json::as_str);
        let status = text("status").unwrap_or_default();
        let closed = matches!(status, "done" | "cancelled");
        let ends = matches!(self.status, Some(Status::Done | Status::Cancelled));
        match self.status {
            _ if !closed => {}
            _ if !open => {
                return Err(Refusal::Conflict(format!("the work order is {status}, and its alert has resolved")));
            }
            None => {
                return Err(Refusal::Conflict(format!(
                    "the work order is {status}; give it the status planned to take it up again"
                )));
            }
            Some(_) => {}
        }
        let fixes = self.moves() || self.pinned == Some(true);
        let scheduled =
            self.scheduled_time.is_some() || (!closed && order.get("scheduled_time").is_some_and(Json::is_i64));
        let somebody = self.technician.is_some() || (!closed && text("technician").is_some());
        if fixes && !ends && !(scheduled && somebody) {
            return Err(Refusal::Conflict(
                "the work order has no slot yet; give both scheduled_time and technician".to_owned(),
            ));
        }
        Ok(())
    }

    /// The order as it will be, as far as it can be told before the planner has planned around it.
    pub fn laid_over(&self, mut order: Json) -> Json {
        let Some(row) = order.as_object_mut() else { return order };
        if let Some(time) = self.scheduled_time {
            row.insert("scheduled_time".to_owned(), json!(time));
        }
        if let Some(name) = &self.technician {
            row.insert("technician".to_owned(), json!(name));
        }
        if let Some(pinned) = self.pinned.or(self.moves().then_some(true)) {
            row.insert("pinned".to_owned(), json!(pinned));
        }
        let slot = row.get("scheduled_time").is_some_and(Json::is_i64);
        let status = match self.status {
            Some(Status::Planned) | None if self.moves() && slot => Some("planned"),
            Some(Status::Planned) | None => None,
            Some(status) => Some(status.name()),
        };
        if let Some(status) = status {
            row.insert("status".to_owned(), json!(status));
        }
        order
    }
}

fn no_technician(name: &str, there: &[String]) -> String {
    let there =
        if there.is_empty() { "none is configured".to_owned() } else { format!("there are {}", there.join(", ")) };
    format!("technician {name:?} is not known; {there}")
}

/// A plan that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Whose machines the plan is told of; none stands for all.
    pub sensor_ids: Vec<String>,
    /// How far ahead; none as configured.
    pub horizon_hours: Option<f64>,
    /// What holds beside.
    pub constraints: Constraints,
}

/// What holds for a plan that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constraints {
    /// Who is there; none: everyone.
    pub technicians: Option<Vec<String>>,
    /// Nothing is placed before, in nanoseconds since 1970.
    pub not_before: Option<i64>,
}

impl Asked {
    /// From its JSON.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where it is none.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let asked: Self = serde_json::from_str(text).map_err(|error| {
            Refusal::Invalid(format!(
                "what a plan is asked with is not that: {error}; expected an object with sensor_ids, horizon_hours and constraints"
            ))
        })?;
        if let Some(hours) = asked.horizon_hours.filter(|hours| !(*hours > 0.0 && *hours <= HOURS)) {
            return Err(Refusal::Invalid(format!("the horizon is {hours} hours; expected above 0, at most {HOURS}")));
        }
        if asked.constraints.technicians.as_ref().is_some_and(Vec::is_empty) {
            return Err(Refusal::Invalid(
                "no technician is named; name some, or leave technicians out for all".to_owned(),
            ));
        }
        Ok(asked)
    }

    /// From when the plan is.
    pub fn from(&self, now: i64) -> i64 {
        self.constraints.not_before.map_or(now, |time| time.max(now))
    }

    /// The planner's configuration (JSON) with what was asked for in it.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] that names who is not known.
    pub fn narrow(&self, config: &str) -> Result<String, Refusal> {
        let mut config = object(config);
        if let Some(names) = &self.constraints.technicians {
            let there = named(&config);
            if let Some(name) = names.iter().find(|name| !there.contains(name)) {
                return Err(Refusal::Conflict(no_technician(name, &there)));
            }
            if let Some(technicians) = config.get_mut("technicians").and_then(Json::as_array_mut) {
                technicians.retain(|each| names.iter().any(|name| each.get("name").is_some_and(|known| known == name)));
            }
        }
        if let Some(hours) = self.horizon_hours {
            config.insert("horizon_hours".to_owned(), json!(hours));
        }
        if let Some(time) = self.constraints.not_before {
            config.insert("not_before".to_owned(), json!(time));
        }
        Ok(Json::Object(config).to_string())
    }
}

fn object(config: &str) -> Map<String, Json> {
    serde_json::from_str(config).unwrap_or_default()
}

fn named(config: &Map<String, Json>) -> Vec<String> {
    let technicians = config.get("technicians").and_then(Json::as_array).into_iter().flatten();
    technicians.filter_map(|each| Some(each.get("name")?.as_str()?.to_owned())).collect()
}

/// Who is in the planner's configuration (JSON).
pub fn technicians(config: &str) -> Vec<String> {
    named(&object(config))
}

/// What a plan came to. `orders`: those in the plan, as objects of `look`; `assets`: whose are told, none for all; `from`:
/// [`Asked::from`].
pub fn plan(orders: Vec<Json>, assets: Option<&[String]>, from: i64) -> Json {
    let assets: Option<BTreeSet<&str>> = assets.map(|assets| assets.iter().map(String::as_str).collect());
    let told = |order: &Json| {
        let asset = order.get("asset").and_then(Json::as_str).unwrap_or_default();
        assets.as_ref().is_none_or(|assets| assets.contains(asset))
    };
    let mut orders: Vec<Json> = orders.into_iter().filter(told).collect();
    let start = |order: &Json| order.get("scheduled_time").and_then(Json::as_i64);
    let text = |order: &Json, key: &str| order.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    orders.sort_by_key(|order| (start(order).is_none(), start(order), text(order, "id")));
    let minutes = |order: &Json| order.get("estimated_duration_minutes").and_then(Json::as_i64).unwrap_or(0);
    let ends = orders.iter().filter_map(|order| Some(start(order)?.saturating_add(minutes(order) * 60_000_000_000)));
    let last = ends.max().unwrap_or(from).max(from);
    let costs = orders.iter().filter_map(|order| order.get("cost").and_then(Json::as_f64));
    let cost = costs.fold(0.0, |sum, cost| sum + cost);
    let unscheduled = orders.iter().filter(|order| text(order, "status") == "unscheduled").count();
    #[allow(clippy::cast_precision_loss, reason = "a length of time")]
    let hours = last.saturating_sub(from) as f64 / 3.6e12;
    json!({ "work_orders": orders, "unscheduled": unscheduled, "makespan_hours": hours, "cost": cost })
}

/// A repair that a person wants of an anomaly, as an alert for the planner: open, and never resolved but by its orders.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "as the contracts' alert")]
pub struct Repair {
    pub id: String,
    pub asset: String,
    pub sensor: String,
    /// `high` or `critical`: a person wants it.
    pub severity: &'static str,
    /// `opened` and `updated`.
    pub time: i64,
    pub peak_score: f64,
    /// The anomaly's id.
    pub anomaly: String,
    pub fault_mode: Option<String>,
    pub title: String,
    pub message: String,
    pub recommendation: String,
}

impl Repair {
    /// Gives a row where an open alert of that machine and fault has orders that wait to be done; of [`Self::asset`] and
    /// [`Self::fault`].
    pub const ORDERED: &str = "SELECT work_orders.id FROM alerts JOIN work_orders ON work_orders.alert = alerts.id
        WHERE alerts.asset = $1 AND alerts.state = 'open' AND coalesce(alerts.fault_mode, '') = $2
            AND work_orders.status IN ('planned', 'unscheduled') LIMIT 1";

    /// The fault, empty where none is known.
    pub fn fault(&self) -> &str {
        self.fault_mode.as_deref().unwrap_or_default()
    }

    /// Of an anomaly as an object of `look`.
    pub fn new(anomaly: &Json, remark: &str, now: i64) -> Self {
        let text = |key: &str| anomaly.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (asset, id) = (text("asset"), text("id"));
        let fault_mode = anomaly.get("fault_mode").and_then(Json::as_str).map(str::to_owned);
        let machine = asset.rsplit('/').next().unwrap_or(&asset);
        let what = fault_mode.as_ref().map_or_else(String::new, |mode| format!(" for {}", mode.replace('-', " ")));
        Self {
            title: format!("{machine}: repair ordered by hand{what}"),
            severity: if text("severity") == "critical" { "critical" } else { "high" },
            id: content_id(format!("repair|{id}").as_bytes()),
            sensor: text("sensor"),
            time: now,
            peak_score: anomaly.get("score").and_then(Json::as_f64).unwrap_or(0.0),
            message: text("message"),
            recommendation: remark.trim().to_owned(),
            anomaly: id,
            fault_mode,
            asset,
        }
    }
}

/// A [`Repair`] as the contracts' alert, of the bindings `types`: each crate has its own.
#[macro_export]
macro_rules! repair_alert {
    ($repair:expr, $types:ident) => {{
        let repair: $crate::acts::Repair = $repair;
        $types::Alert {
            id: repair.id,
            asset: repair.asset,
            sensor: repair.sensor,
            severity: if repair.severity == "critical" { $types::Severity::Critical } else { $types::Severity::High },
            state: $types::AlertState::Open,
            opened: repair.time,
            updated: repair.time,
            resolved: None,
            anomalies: 1,
            peak_score: repair.peak_score,
            anomaly: repair.anomaly,
            fault_mode: repair.fault_mode,
            title: repair.title,
            message: repair.message,
            recommendation: repair.recommendation,
        }
    }};
}

/// An anomaly's reason as `metadata` and words have it.
pub fn explanation(message: &str, fault_mode: Option<&str>, contributions: &Json) -> String {
    json!({ "message": message, "fault_mode": fault_mode, "contributions": contributions }).to_string()
}

/// A sample whose `values` are an array, as readings of the sensor a second apart, the last of them at `timestamp` (whole
/// nanoseconds since 1970). None where it is something else. A sensor that sends bursts takes the array as it is.
pub fn series(payload: &[u8]) -> Option<Vec<u8>> {
    let sample: Map<String, Json> = serde_json::from_slice(payload).ok()?;
    let (id, last) = (sample.get("sensor_id")?, sample.get("timestamp")?.as_i64()?);
    let values = sample.get("values")?.as_array()?;
    let ago = |at: usize| i64::try_from(values.len() - 1 - at).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    let readings: Vec<Json> = values
        .iter()
        .enumerate()
        .map(|(at, value)| json!({ "sensor_id": id, "timestamp": last.saturating_sub(ago(at)), "values": value }))
        .collect();
    Some(Json::Array(readings).to_string().into_bytes())
}

/// Of several windows that were probed the one that stands out most; one that can be judged before one that is still learnt.
/// `of` tells what is known of a window: whether it can be judged, its score, and when it begins.
pub fn foremost<T>(windows: Vec<T>, of: impl Fn(&T) -> (bool, f64, i64)) -> Option<T> {
    windows.into_iter().max_by(|one, other| {
        let ((known, score, start), (knows, scores, starts)) = (of(one), of(other));
        known.cmp(&knows).then(score.total_cmp(&scores)).then(start.cmp(&starts))
    })
}

/// That a machine is not known well enough to judge it.
pub fn still_learning(asset: &str, learned: u32, needed: u32) -> Refusal {
    Refusal::Conflict(format!(
        "what is normal for {asset} is still learnt: {learned} of {needed} windows so far; ask again once more readings came"
    ))
}
