//! The part of user actions that needs neither store nor stage: parsing, validation and summaries. The edge host,
//! which has its own store, uses the same functions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use wheeltapper_domain::content_id;
use wheeltapper_line_api::{Action, ActionRequest};

/// The longest horizon of a plan: 366 days.
const MAX_HORIZON_HOURS: f64 = 8_784.0;

/// Returns a content hash of a request, used as its id: repeating the same request has no further effect.
pub fn change_id(request: &ActionRequest) -> String {
    content_id(format!("{}|{}|{}|{}", request.action.name(), request.id, request.now, request.text).as_bytes())
}

/// Validates a change of an anomaly: a comment needs a text.
///
/// # Errors
/// [`ActionError::Invalid`] if the comment is empty.
pub fn validate(request: &ActionRequest) -> Result<(), ActionError> {
    if request.action == Action::Comment && request.text.trim().is_empty() {
        return Err(ActionError::Invalid("the comment is empty; write a text".to_owned()));
    }
    Ok(())
}

/// Why a user's action is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// The target does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The request is malformed.
    #[error("{0}")]
    Invalid(String),
    /// The request conflicts with the current state.
    #[error("{0}")]
    Conflict(String),
}

/// The status that a user can give a work order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStatusChange {
    /// Reopened, to be scheduled again.
    Planned,
    /// The work is finished.
    Done,
    /// The work is not needed.
    Cancelled,
}

impl OrderStatusChange {
    /// The value of the column `work_orders.status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A user's change of a work order. Fields that are `None` stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkOrderChange {
    /// The new start, in nanoseconds since 1970.
    pub scheduled_time: Option<i64>,
    /// The name of the technician who does the work.
    pub technician: Option<String>,
    /// Whether the planner must keep the slot. `None` in a change that moves the order means that it must.
    pub pinned: Option<bool>,
    /// Done, cancelled, or planned again.
    pub status: Option<OrderStatusChange>,
}

/// A user's request to change a work order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkOrderRequest {
    /// The change, which the planner applies.
    pub change: WorkOrderChange,
    /// Whether the baseline of the order's machine is reset as well, because the repair changed the machine.
    pub reset_baseline: bool,
}

/// The JSON object of a [`WorkOrderRequest`].
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WorkOrderText {
    scheduled_time: Option<i64>,
    technician: Option<String>,
    pinned: Option<bool>,
    status: Option<OrderStatusChange>,
    reset_baseline: Option<bool>,
}

impl WorkOrderRequest {
    /// Parses the JSON object.
    ///
    /// # Errors
    /// [`ActionError::Invalid`] if the JSON is malformed, has unknown fields, or no field.
    pub fn parse(text: &str) -> Result<Self, ActionError> {
        let expected = "expected an object with scheduled_time, technician, pinned, status or reset_baseline";
        let text: WorkOrderText = serde_json::from_str(text)
            .map_err(|error| ActionError::Invalid(format!("invalid change of a work order: {error}; {expected}")))?;
        if text == WorkOrderText::default() {
            return Err(ActionError::Invalid(format!("the change of the work order has no field; {expected}")));
        }
        let WorkOrderText { scheduled_time, technician, pinned, status, reset_baseline } = text;
        let change = WorkOrderChange { scheduled_time, technician, pinned, status };
        Ok(Self { change, reset_baseline: reset_baseline.unwrap_or(false) })
    }

    /// Checks whether the request can be executed; as [`WorkOrderChange::validate`], and only a finished repair changes
    /// the machine.
    ///
    /// # Errors
    /// [`ActionError`].
    pub fn validate(&self, order: &Json, technicians: &[String], open: bool) -> Result<(), ActionError> {
        if self.reset_baseline && self.change.status != Some(OrderStatusChange::Done) {
            return Err(ActionError::Conflict(
                "reset_baseline is true, but the change does not finish the work order; set its status to done"
                    .to_owned(),
            ));
        }
        self.change.validate(order, technicians, open)
    }
}

impl WorkOrderChange {
    fn moves_slot(&self) -> bool {
        self.scheduled_time.is_some() || self.technician.is_some()
    }

    /// Checks whether the planner can apply the change. `order` is the work order as a row of the table query;
    /// `technicians` are the configured names; `open` is false if the order's alert is known to be resolved.
    ///
    /// # Errors
    /// [`ActionError`], by the planner's rules. The planner applies the change later and cannot answer, so its rules
    /// are checked here first.
    pub fn validate(&self, order: &Json, technicians: &[String], open: bool) -> Result<(), ActionError> {
        if let Some(name) = self.technician.as_ref().filter(|name| !technicians.contains(name)) {
            return Err(ActionError::Conflict(unknown_technician(name, technicians)));
        }
        let text = |key: &str| order.get(key).and_then(Json::as_str);
        let status = text("status").unwrap_or_default();
        let closed = matches!(status, "done" | "cancelled");
        let closes = matches!(self.status, Some(OrderStatusChange::Done | OrderStatusChange::Cancelled));
        match self.status {
            _ if !closed => {}
            _ if !open => {
                return Err(ActionError::Conflict(format!("the work order is {status}, and its alert is resolved")));
            }
            None => {
                return Err(ActionError::Conflict(format!(
                    "the work order is {status}; set its status to planned to reopen it"
                )));
            }
            Some(_) => {}
        }
        let pins = self.moves_slot() || self.pinned == Some(true);
        let has_time =
            self.scheduled_time.is_some() || (!closed && order.get("scheduled_time").is_some_and(Json::is_i64));
        let has_technician = self.technician.is_some() || (!closed && text("technician").is_some());
        if pins && !closes && !(has_time && has_technician) {
            return Err(ActionError::Conflict(
                "the work order has no slot yet; set both scheduled_time and technician".to_owned(),
            ));
        }
        Ok(())
    }

    /// Returns a preview of the changed order. The final row is known only when the planner has planned around the
    /// change.
    pub fn preview(&self, mut order: Json) -> Json {
        let Some(row) = order.as_object_mut() else { return order };
        if let Some(time) = self.scheduled_time {
            row.insert("scheduled_time".to_owned(), json!(time));
        }
        if let Some(name) = &self.technician {
            row.insert("technician".to_owned(), json!(name));
        }
        if let Some(pinned) = self.pinned.or(self.moves_slot().then_some(true)) {
            row.insert("pinned".to_owned(), json!(pinned));
        }
        let has_slot = row.get("scheduled_time").is_some_and(Json::is_i64);
        let status = match self.status {
            Some(OrderStatusChange::Planned) | None if self.moves_slot() && has_slot => Some("planned"),
            Some(OrderStatusChange::Planned) | None => None,
            Some(status) => Some(status.name()),
        };
        if let Some(status) = status {
            row.insert("status".to_owned(), json!(status));
        }
        order
    }
}

/// Why a user resets the baseline of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetReason {
    /// It was repaired.
    Repaired,
    /// It, or a part of it, was replaced.
    Replaced,
    /// It was cleaned.
    Cleaned,
    /// It is operated in another way.
    NewOperatingMode,
    /// Its present behaviour is normal.
    NewNormal,
}

/// A user's request to reset the baseline of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineReset {
    /// What changed.
    pub reason: ResetReason,
    /// A comment, which may be empty.
    #[serde(default)]
    pub comment: String,
}

impl BaselineReset {
    /// Parses the JSON object.
    ///
    /// # Errors
    /// [`ActionError::Invalid`] if the JSON is malformed, has unknown fields, or no reason.
    pub fn parse(text: &str) -> Result<Self, ActionError> {
        serde_json::from_str(text).map_err(|error| {
            ActionError::Invalid(format!(
                "invalid reset of a baseline: {error}; expected an object with reason and, if needed, comment"
            ))
        })
    }
}

fn unknown_technician(name: &str, configured: &[String]) -> String {
    let expected = if configured.is_empty() {
        "none is configured".to_owned()
    } else {
        format!("expected one of {}", configured.join(", "))
    };
    format!("technician {name:?} is unknown; {expected}")
}

/// A request for a what-if plan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanRequest {
    /// The sensors whose machines the plan reports. Empty: all machines.
    pub sensor_ids: Vec<String>,
    /// The planning horizon in hours, above 0 and at most 8,784. `None`: as configured.
    pub horizon_hours: Option<f64>,
    /// Further constraints.
    pub constraints: PlanConstraints,
}

/// The constraints of a what-if plan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanConstraints {
    /// The technicians who are available. `None`: all.
    pub technicians: Option<Vec<String>>,
    /// The earliest start of any order, in nanoseconds since 1970.
    pub not_before: Option<i64>,
}

impl PlanRequest {
    /// Parses the JSON object.
    ///
    /// # Errors
    /// [`ActionError::Invalid`] if the JSON is malformed or a value is out of range.
    pub fn parse(text: &str) -> Result<Self, ActionError> {
        let request: Self = serde_json::from_str(text).map_err(|error| {
            ActionError::Invalid(format!(
                "invalid plan request: {error}; expected an object with sensor_ids, horizon_hours and constraints"
            ))
        })?;
        if let Some(hours) = request.horizon_hours.filter(|hours| !(*hours > 0.0 && *hours <= MAX_HORIZON_HOURS)) {
            return Err(ActionError::Invalid(format!(
                "horizon_hours is {hours}; expected above 0, at most {MAX_HORIZON_HOURS}"
            )));
        }
        if request.constraints.technicians.as_ref().is_some_and(Vec::is_empty) {
            return Err(ActionError::Invalid(
                "the list of technicians is empty; name at least one, or leave technicians out for all".to_owned(),
            ));
        }
        Ok(request)
    }

    /// Returns the start of the plan: `not_before`, but never before `now`.
    pub fn start_time(&self, now: i64) -> i64 {
        self.constraints.not_before.map_or(now, |time| time.max(now))
    }

    /// Returns the planner's configuration (JSON) with the request's constraints applied.
    ///
    /// # Errors
    /// [`ActionError::Conflict`], naming the first technician who is not configured.
    pub fn restrict_config(&self, config: &str) -> Result<String, ActionError> {
        let mut config = parse_object(config);
        if let Some(names) = &self.constraints.technicians {
            let configured = technician_names(&config);
            if let Some(name) = names.iter().find(|name| !configured.contains(name)) {
                return Err(ActionError::Conflict(unknown_technician(name, &configured)));
            }
            if let Some(technicians) = config.get_mut("technicians").and_then(Json::as_array_mut) {
                technicians.retain(|technician| {
                    names.iter().any(|name| technician.get("name").is_some_and(|value| value == name))
                });
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

fn parse_object(config: &str) -> Map<String, Json> {
    serde_json::from_str(config).unwrap_or_default()
}

fn technician_names(config: &Map<String, Json>) -> Vec<String> {
    let technicians = config.get("technicians").and_then(Json::as_array).into_iter().flatten();
    technicians.filter_map(|technician| Some(technician.get("name")?.as_str()?.to_owned())).collect()
}

/// Returns the names of the technicians in the planner's configuration (JSON).
pub fn configured_technicians(config: &str) -> Vec<String> {
    technician_names(&parse_object(config))
}

/// Summarises a plan as JSON. `orders` are the plan's work orders as rows of the table query; `assets` are the assets
/// that are reported, `None` for all; `from` is [`PlanRequest::start_time`].
pub fn summarize_plan(orders: Vec<Json>, assets: Option<&[String]>, from: i64) -> Json {
    let assets: Option<BTreeSet<&str>> = assets.map(|assets| assets.iter().map(String::as_str).collect());
    let is_reported = |order: &Json| {
        let asset = order.get("asset").and_then(Json::as_str).unwrap_or_default();
        assets.as_ref().is_none_or(|assets| assets.contains(asset))
    };
    let mut orders: Vec<Json> = orders.into_iter().filter(is_reported).collect();
    let start = |order: &Json| order.get("scheduled_time").and_then(Json::as_i64);
    let text = |order: &Json, key: &str| order.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    orders.sort_by_key(|order| (start(order).is_none(), start(order), text(order, "id")));
    let minutes = |order: &Json| order.get("estimated_duration_minutes").and_then(Json::as_i64).unwrap_or(0);
    let ends = orders.iter().filter_map(|order| Some(start(order)?.saturating_add(minutes(order) * 60_000_000_000)));
    let last = ends.max().unwrap_or(from).max(from);
    let costs = orders.iter().filter_map(|order| order.get("cost").and_then(Json::as_f64));
    let cost = costs.fold(0.0, |sum, cost| sum + cost);
    let unscheduled = orders.iter().filter(|order| text(order, "status") == "unscheduled").count();
    #[allow(clippy::cast_precision_loss, reason = "hours need no full precision")]
    let hours = last.saturating_sub(from) as f64 / 3.6e12;
    json!({ "work_orders": orders, "unscheduled": unscheduled, "makespan_hours": hours, "cost": cost })
}

/// A repair that a user ordered for an anomaly, as an alert for the planner. It stays open until its work orders are
/// closed.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are those of the contracts' alert")]
pub struct RepairRequest {
    pub id: String,
    pub asset: String,
    pub sensor: String,
    /// `high` or `critical`, never lower, because a user ordered it.
    pub severity: &'static str,
    /// The time of both `opened` and `updated`, in nanoseconds since 1970.
    pub time: i64,
    pub peak_score: f64,
    /// The id of the anomaly.
    pub anomaly: String,
    pub fault_mode: Option<String>,
    pub title: String,
    pub message: String,
    pub recommendation: String,
}

impl RepairRequest {
    /// Selects a row if an open alert of the same asset ($1) and fault mode ($2) has work orders that are not
    /// finished. The parameters are [`Self::asset`] and [`Self::fault_mode_or_empty`].
    pub const PENDING_ORDER_SQL: &str =
        "SELECT work_orders.id FROM alerts JOIN work_orders ON work_orders.alert = alerts.id
        WHERE alerts.asset = $1 AND alerts.state = 'open' AND coalesce(alerts.fault_mode, '') = $2
            AND work_orders.status IN ('planned', 'unscheduled') LIMIT 1";

    /// Returns the fault mode, or an empty string if it is unknown.
    pub fn fault_mode_or_empty(&self) -> &str {
        self.fault_mode.as_deref().unwrap_or_default()
    }

    /// Creates the repair from an anomaly, given as a row of the table query.
    pub fn new(anomaly: &Json, remark: &str, now: i64) -> Self {
        let text = |key: &str| anomaly.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (asset, id) = (text("asset"), text("id"));
        let fault_mode = anomaly.get("fault_mode").and_then(Json::as_str).map(str::to_owned);
        let machine = asset.rsplit('/').next().unwrap_or(&asset);
        let suffix = fault_mode.as_ref().map_or_else(String::new, |mode| format!(" for {}", mode.replace('-', " ")));
        Self {
            title: format!("{machine}: repair ordered by hand{suffix}"),
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

/// Converts a [`RepairRequest`] to the contracts' alert. `types` is the module of the caller's bindings, which each
/// crate generates.
#[macro_export]
macro_rules! repair_alert {
    ($repair:expr, $types:ident) => {{
        let repair: $crate::action_rules::RepairRequest = $repair;
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

/// Returns an anomaly's explanation as a JSON object, in the format of the column `metadata`.
pub fn explanation_json(message: &str, fault_mode: Option<&str>, contributions: &Json) -> String {
    json!({ "message": message, "fault_mode": fault_mode, "contributions": contributions }).to_string()
}

/// Converts a sample whose `values` are an array to readings of the sensor one second apart, the last of them at
/// `timestamp` (whole nanoseconds since 1970). Returns `None` for any other payload. A sensor that sends waveforms
/// takes the array as it is.
pub fn array_to_readings(payload: &[u8]) -> Option<Vec<u8>> {
    let sample: Map<String, Json> = serde_json::from_slice(payload).ok()?;
    let (id, last) = (sample.get("sensor_id")?, sample.get("timestamp")?.as_i64()?);
    let values = sample.get("values")?.as_array()?;
    let age = |index: usize| i64::try_from(values.len() - 1 - index).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    let readings: Vec<Json> = values
        .iter()
        .enumerate()
        .map(|(index, value)| json!({ "sensor_id": id, "timestamp": last.saturating_sub(age(index)), "values": value }))
        .collect();
    Some(Json::Array(readings).to_string().into_bytes())
}

/// Returns the most anomalous of several windows. A window that can be scored comes before one whose model is still
/// learning. `of` returns whether the window can be scored, its score and its start.
pub fn most_anomalous<T>(windows: Vec<T>, of: impl Fn(&T) -> (bool, f64, i64)) -> Option<T> {
    windows.into_iter().max_by(|a, b| {
        let ((a_ready, a_score, a_start), (b_ready, b_score, b_start)) = (of(a), of(b));
        a_ready.cmp(&b_ready).then(a_score.total_cmp(&b_score)).then(a_start.cmp(&b_start))
    })
}

/// Returns the error for a machine whose model has too few windows to score a sample.
pub fn still_learning_error(asset: &str, learned: u32, needed: u32) -> ActionError {
    ActionError::Conflict(format!(
        "the baseline of {asset} is still learning: {learned} of {needed} windows so far; retry when more readings are stored"
    ))
}
