//! From the contracts' types to names and rows.

use serde::Serialize;
use serde_json::json;

/// The column `metadata` of an anomaly, as JSON: the shares of the sensors in the score, and the trend.
pub fn anomaly_metadata(contributions: &impl Serialize, trend: &impl Serialize) -> String {
    json!({ "contributions": contributions, "trend": trend }).to_string()
}

/// Expands to the functions from the types that a driver generates from the contracts to names and rows:
/// `contract_mapping!(crate::contracts::types)`.
#[macro_export]
macro_rules! contract_mapping {
    ($types:path) => {
        use $types as contract;

        /// The name of a severity in the store and in output.
        pub(crate) fn severity_name(severity: contract::Severity) -> &'static str {
            match severity {
                contract::Severity::Low => "low",
                contract::Severity::Medium => "medium",
                contract::Severity::High => "high",
                contract::Severity::Critical => "critical",
            }
        }

        fn alert_state_name(state: contract::AlertState) -> &'static str {
            match state {
                contract::AlertState::Open => "open",
                contract::AlertState::Resolved => "resolved",
            }
        }

        fn drift_kind_name(kind: contract::DriftKind) -> &'static str {
            match kind {
                contract::DriftKind::Drifted => "drifted",
                contract::DriftKind::Kept => "kept",
                contract::DriftKind::Switched => "switched",
            }
        }

        fn order_status_name(status: contract::OrderStatus) -> &'static str {
            match status {
                contract::OrderStatus::Planned => "planned",
                contract::OrderStatus::Unscheduled => "unscheduled",
                contract::OrderStatus::Done => "done",
                contract::OrderStatus::Cancelled => "cancelled",
            }
        }

        pub(crate) fn anomaly_row(anomaly: &contract::Anomaly) -> $crate::AnomalyRow {
            $crate::AnomalyRow {
                id: anomaly.id.clone(),
                detection_time: anomaly.end,
                sensor: anomaly.sensor.clone(),
                asset: anomaly.asset.clone(),
                start_time: anomaly.start,
                end_time: anomaly.end,
                score: anomaly.score,
                model: anomaly.model.clone(),
                severity: severity_name(anomaly.severity).to_owned(),
                handled: false,
                threshold: anomaly.threshold,
                confidence: anomaly.confidence,
                fault_mode: anomaly.fault_mode.clone(),
                message: anomaly.message.clone(),
                metadata: $crate::anomaly_metadata(&anomaly.contributions, &anomaly.trend),
            }
        }

        pub(crate) fn alert_row(alert: &contract::Alert) -> $crate::AlertRow {
            $crate::AlertRow {
                id: alert.id.clone(),
                asset: alert.asset.clone(),
                sensor: alert.sensor.clone(),
                severity: severity_name(alert.severity).to_owned(),
                state: alert_state_name(alert.state).to_owned(),
                opened: alert.opened,
                updated: alert.updated,
                resolved: alert.resolved,
                anomalies: alert.anomalies,
                peak_score: alert.peak_score,
                anomaly: alert.anomaly.clone(),
                fault_mode: alert.fault_mode.clone(),
                title: alert.title.clone(),
                message: alert.message.clone(),
                recommendation: alert.recommendation.clone(),
            }
        }

        pub(crate) fn drift_row(drift: &contract::Drift) -> $crate::DriftRow {
            $crate::DriftRow {
                id: drift.id.clone(),
                asset: drift.asset.clone(),
                time: drift.time,
                kind: drift_kind_name(drift.kind).to_owned(),
                sensors: drift.sensors.clone(),
                p_value: drift.p_value,
                message: drift.message.clone(),
            }
        }

        pub(crate) fn prognosis_row(prognosis: &contract::Prognosis) -> $crate::PrognosisRow {
            $crate::PrognosisRow {
                asset: prognosis.asset.clone(),
                time: prognosis.time,
                health: prognosis.health,
                p10_hours: prognosis.p10,
                p50_hours: prognosis.p50,
                p90_hours: prognosis.p90,
                model: prognosis.model.clone(),
            }
        }

        pub(crate) fn work_order_row(order: &contract::WorkOrder) -> $crate::WorkOrderRow {
            $crate::WorkOrderRow {
                id: order.id.clone(),
                alert: order.alert.clone(),
                asset: order.asset.clone(),
                kind: order.kind.clone(),
                priority: order.priority,
                status: order_status_name(order.status).to_owned(),
                scheduled: order.scheduled,
                duration_minutes: order.duration_minutes,
                technician: order.technician.clone(),
                skills: order.skills.clone(),
                after: order.after.clone(),
                cost: order.cost,
                notes: order.notes.clone(),
                pinned: order.pinned,
            }
        }
    };
}
