//! Responses other than rows.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{
    rows::WorkOrder,
    scalars::{JsonObject, Timestamp},
};

/// A page of rows.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T: JsonSchema> JsonSchema for Page<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Page", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": item },
                "next": { "type": ["string", "null"], "description": "The URL of the next page. Null: this is the last page." },
            },
            "required": ["items", "next"],
        })
    }
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProblemDetails {
    /// A URI for the kind of problem; `about:blank` if the status is sufficient.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    /// What was expected, what was received, and what to do.
    pub(crate) detail: String,
    /// Where the problem is, in the body or in the event.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
}

/// One error: in a body with `pointer` and `detail`; of a rejected event with `position`, `reason` and `message`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// What was expected and what was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// The outcome of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct IngestOutcome {
    /// Number of accepted readings. They are durable.
    pub(crate) accepted: u32,
    /// Number of rejected readings. They are kept as dead letters.
    pub(crate) rejected: u64,
    /// The first 100 rejections at most.
    pub(crate) errors: Vec<RejectedPart>,
}

/// Why a part of an event was rejected.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RejectedPart {
    /// Line or element, counted from 1; 0 for the whole event.
    pub(crate) position: u32,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// The readings of a sensor, downsampled.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SensorReadings {
    pub(crate) sensor: String,
    /// Number of readings that the points represent.
    pub(crate) count: usize,
    pub(crate) items: Vec<Point>,
    pub(crate) next: Option<String>,
}

/// One reading.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Point {
    pub(crate) time: Timestamp,
    pub(crate) value: f64,
}

/// The content of the first page. Times are nanoseconds since 1970.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Overview {
    pub(crate) readings_per_second: Option<f64>,
    pub(crate) readings: Option<u64>,
    pub(crate) sensors: u64,
    pub(crate) windows: Option<u64>,
    pub(crate) uptime_seconds: Option<f64>,
    pub(crate) behind_bytes: Option<u64>,
    pub(crate) counts: JsonObject,
    /// The names of figures that are lower bounds.
    pub(crate) at_least: Vec<String>,
    pub(crate) anomalies: Vec<JsonObject>,
    pub(crate) alerts: Vec<JsonObject>,
    pub(crate) work_orders: Vec<JsonObject>,
}

/// A node of the tree of sites, areas and machines, which the paths of the machines form.
#[derive(Clone, Debug, Serialize, JsonSchema, async_graphql::SimpleObject)]
pub(crate) struct Asset {
    /// The last part of the path.
    pub(crate) name: String,
    pub(crate) path: String,
    /// `site`, `area`, `machine` or `group`.
    pub(crate) kind: &'static str,
    pub(crate) children: Vec<Asset>,
    /// The sensors of a machine; empty for other nodes.
    pub(crate) sensors: Vec<AssetSensor>,
}

/// A sensor in the tree.
#[derive(Clone, Debug, Serialize, JsonSchema, async_graphql::SimpleObject)]
pub(crate) struct AssetSensor {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) unit: String,
}

/// The tree of sites, areas and machines.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssetTree {
    pub(crate) items: Vec<Asset>,
}

/// The score of values.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DetectResult {
    /// 0 to 1: the fraction of the machine's normal windows that score lower.
    pub(crate) anomaly_score: f64,
    /// Whether the score reaches the threshold of the request.
    pub(crate) is_anomaly: bool,
    /// 0 to 1.
    pub(crate) confidence: f64,
    pub(crate) model_used: String,
    pub(crate) processing_time_ms: f64,
    pub(crate) explanation: DetectExplanation,
}

/// The explanation of a score.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DetectExplanation {
    pub(crate) message: String,
    pub(crate) fault_mode: Option<String>,
    /// The features that contributed, and their shares.
    pub(crate) contributions: Vec<JsonObject>,
    /// The score from which the line itself reports an anomaly.
    pub(crate) line_threshold: f64,
}

/// A plan was requested.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlanAccepted {
    pub(crate) task_id: String,
    pub(crate) status: String,
    /// The URL of the status.
    pub(crate) check_status_url: String,
}

/// The status of a requested plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PlanTask {
    pub(crate) task_id: String,
    /// `queued`, `done` or `failed`.
    pub(crate) status: String,
    /// 0 to 1.
    pub(crate) progress: f64,
    pub(crate) created: Option<Timestamp>,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) plan: Option<MaintenancePlan>,
}

/// A maintenance plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MaintenancePlan {
    work_orders: Vec<PlannedOrder>,
    /// Work orders without a free slot or a suitable technician.
    unscheduled: AnyJson,
    makespan_hours: Option<f64>,
    cost: Option<f64>,
}

/// A work order as planned.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedOrder(JsonObject);

impl JsonSchema for PlannedOrder {
    fn schema_name() -> Cow<'static, str> {
        "PlannedOrder".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The schema is open: the planning stage defines the members.
        let _ = generator.subschema_for::<WorkOrder>();
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// Any JSON.
#[derive(Debug, Serialize)]
pub(crate) struct AnyJson(serde_json::Value);

impl JsonSchema for AnyJson {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// The status of the host.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HostStatus {
    pub(crate) status: String,
}

/// The time after a tick.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TickResult {
    pub(crate) now: Timestamp,
}

/// A GraphQL response.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphQlResponse {
    /// The requested data. Null or missing if there is none because of errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<JsonObject>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<JsonObject>,
}

/// The OpenAPI document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OpenApiDocument {
    pub(crate) openapi: String,
    pub(crate) info: JsonObject,
    pub(crate) paths: JsonObject,
    pub(crate) components: JsonObject,
}
