//! What is answered beside rows.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::{
    rows::WorkOrder,
    scalars::{Loose, Moment},
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
                "next": { "type": ["string", "null"], "description": "The way to the rows that follow; null: these are the last." },
            },
            "required": ["items", "next"],
        })
    }
}

/// A problem (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProblemDetails {
    /// A URI for the kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    /// What was expected, what came, what to do.
    pub(crate) detail: String,
    /// Where in the body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldError>,
}

/// What is wrong at one place: of a body its `pointer`; of an event that was refused `position`, `reason` and `message`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// What was expected and what came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// What became of an event.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ingested {
    /// Readings that were taken and are durable.
    pub(crate) accepted: u32,
    /// Readings that were refused; they lie in the dead letters.
    pub(crate) rejected: u64,
    /// At most 100 of the refusals.
    pub(crate) errors: Vec<Refusal>,
}

/// Why a part of an event was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Refusal {
    /// Line or element from 1; 0 for the whole event.
    pub(crate) position: u32,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// A sensor's course.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Course {
    pub(crate) sensor: String,
    /// Readings that the points stand for.
    pub(crate) count: usize,
    pub(crate) items: Vec<Point>,
    pub(crate) next: Option<String>,
}

/// One reading.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Point {
    pub(crate) time: Moment,
    pub(crate) value: f64,
}

/// What the first page shows. Times in nanoseconds since 1970.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Overview {
    pub(crate) readings_per_second: Option<f64>,
    pub(crate) readings: Option<u64>,
    pub(crate) sensors: u64,
    pub(crate) windows: Option<u64>,
    pub(crate) uptime_seconds: Option<f64>,
    pub(crate) behind_bytes: Option<u64>,
    pub(crate) counts: Loose,
    /// Figures that are lower bounds.
    pub(crate) at_least: Vec<String>,
    pub(crate) anomalies: Vec<Loose>,
    pub(crate) alerts: Vec<Loose>,
    pub(crate) work_orders: Vec<Loose>,
}

/// A node of the tree that the machines' paths make.
#[derive(Clone, Debug, Serialize, JsonSchema, async_graphql::SimpleObject)]
pub(crate) struct Asset {
    /// The last part of its path.
    pub(crate) name: String,
    pub(crate) path: String,
    /// `site`, `area`, `machine` or `group`.
    pub(crate) kind: &'static str,
    pub(crate) children: Vec<Asset>,
    /// On machines; elsewhere none.
    pub(crate) sensors: Vec<AssetSensor>,
}

/// A sensor in the tree.
#[derive(Clone, Debug, Serialize, JsonSchema, async_graphql::SimpleObject)]
pub(crate) struct AssetSensor {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) unit: String,
}

/// The tree.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AssetTree {
    pub(crate) items: Vec<Asset>,
}

/// How values were judged.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Judgement {
    /// 0 to 1: the fraction of the machine's normal windows that score lower.
    pub(crate) anomaly_score: f64,
    /// Whether the score reaches the threshold that was asked for.
    pub(crate) is_anomaly: bool,
    /// 0 to 1.
    pub(crate) confidence: f64,
    pub(crate) model_used: String,
    pub(crate) processing_time_ms: f64,
    pub(crate) explanation: Reasons,
}

/// Why.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reasons {
    pub(crate) message: String,
    pub(crate) fault_mode: Option<String>,
    /// What stood out, and by how much.
    pub(crate) contributions: Vec<Loose>,
    /// The score from which on the line itself calls it an anomaly.
    pub(crate) line_threshold: f64,
}

/// A plan was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Accepted {
    pub(crate) task_id: String,
    pub(crate) status: String,
    /// Where to ask what became of it.
    pub(crate) check_status_url: String,
}

/// What became of a plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Task {
    pub(crate) task_id: String,
    /// `queued`, `done` or `failed`.
    pub(crate) status: String,
    /// 0 to 1.
    pub(crate) progress: f64,
    pub(crate) created: Option<Moment>,
    pub(crate) finished: Option<Moment>,
    pub(crate) plan: Option<Plan>,
}

/// A plan.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    work_orders: Vec<PlannedOrder>,
    /// Orders for which there is no time or nobody.
    unscheduled: Loosest,
    makespan_hours: Option<f64>,
    cost: Option<f64>,
}

/// A work order as a plan has it.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedOrder(Loose);

impl JsonSchema for PlannedOrder {
    fn schema_name() -> Cow<'static, str> {
        "PlannedOrder".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // What is a work order and what is not, the stage that plans says.
        let _ = generator.subschema_for::<WorkOrder>();
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

/// Any JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Loosest(serde_json::Value);

impl JsonSchema for Loosest {
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

/// Alive or ready.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct State {
    pub(crate) status: String,
}

/// Up to when time passed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Ticked {
    pub(crate) now: Moment,
}

/// A GraphQL response.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GraphResponse {
    /// What was asked for; null or missing where nothing of it could be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Loose>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Loose>,
}

/// The OpenAPI document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Document {
    pub(crate) openapi: String,
    pub(crate) info: Loose,
    pub(crate) paths: Loose,
    pub(crate) components: Loose,
}
