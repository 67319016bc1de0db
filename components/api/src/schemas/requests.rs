//! Request bodies.

use std::{borrow::Cow, fmt};

use async_graphql::Enum;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};

use super::scalars::{
    BoundedNumber, BoundedText, JsonObject, Name, Remark, SensorName, StrictObject, Timestamp, non_null,
};

/// A comment on an action.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionalComment {
    /// The reason, as text.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "Remark")]
    pub(crate) comment: Option<Remark>,
}

/// A comment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    /// The text of the comment.
    pub(crate) comment: Remark,
}

/// Changes of a work order. At least one member is required. Moving it pins it, unless `pinned` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct Amendment {
    /// The new start.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "Timestamp")]
    pub(crate) scheduled_time: Option<Timestamp>,
    /// The technician who does it.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "Name")]
    pub(crate) technician: Option<Name>,
    /// Whether it keeps its time and technician when the plan is made again.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "bool")]
    pub(crate) pinned: Option<bool>,
    /// The new status.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "OrderStatusChange")]
    pub(crate) status: Option<OrderStatusChange>,
    /// Whether the baseline of the machine is reset too, because the repair changed it. Requires the status `done`.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "bool")]
    pub(crate) reset_baseline: Option<bool>,
}

/// The status of a work order.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(crate) enum OrderStatusChange {
    Planned,
    Done,
    Cancelled,
}

// Implemented by hand: serde's derived enum would also accept an object with the name as its key.
impl<'de> Deserialize<'de> for OrderStatusChange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        [Self::Planned, Self::Done, Self::Cancelled]
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| D::Error::custom(format!("{name:?}, expected one of planned, done, cancelled")))
    }
}

impl OrderStatusChange {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A reset of the baseline of a machine.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BaselineReset {
    /// What changed.
    pub(crate) reason: ResetReason,
    /// A comment, as text.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "Remark")]
    pub(crate) comment: Option<Remark>,
}

/// The reason to reset the baseline of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Enum)]
#[schemars(rename_all = "kebab-case")]
pub(crate) enum ResetReason {
    Repaired,
    Replaced,
    Cleaned,
    NewOperatingMode,
    NewNormal,
}

// Implemented by hand, as that of `OrderStatusChange`.
impl<'de> Deserialize<'de> for ResetReason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| {
            D::Error::custom(format!("{name:?}, expected one of {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

impl ResetReason {
    const ALL: [Self; 5] = [Self::Repaired, Self::Replaced, Self::Cleaned, Self::NewOperatingMode, Self::NewNormal];

    const fn name(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Replaced => "replaced",
            Self::Cleaned => "cleaned",
            Self::NewOperatingMode => "new-operating-mode",
            Self::NewNormal => "new-normal",
        }
    }

    /// Returns the text of the action, in the form that `wit/line-api.wit` documents.
    pub(crate) fn action_text(self, comment: Option<&str>) -> String {
        let mut text = json!({ "reason": self.name() });
        if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
            text["comment"] = json!(comment);
        }
        text.to_string()
    }
}

/// Values to score.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectBody {
    /// The measured values.
    #[schemars(with = "SensorData")]
    pub(crate) sensor_data: StrictObject<SensorData>,
    /// The detector: `ensemble`, which monitors the machine, or the name of one of its members.
    #[serde(default = "default_model")]
    pub(crate) model_name: BoundedText<1, 64>,
    /// The score from which the values count as an anomaly.
    #[serde(default = "default_threshold")]
    pub(crate) threshold: BoundedNumber<0, 1>,
}

fn default_model() -> BoundedText<1, 64> {
    BoundedText("ensemble".to_owned())
}

const fn default_threshold() -> BoundedNumber<0, 1> {
    BoundedNumber(0.95)
}

/// Values that one sensor measured.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensorData {
    /// The sensor's name.
    pub(crate) sensor_id: SensorName,
    /// The time of the measurement.
    pub(crate) timestamp: Timestamp,
    pub(crate) values: Values,
    /// Further data, such as `sampling_hz`.
    #[serde(default)]
    #[schemars(with = "JsonObject")]
    pub(crate) metadata: Map<String, Value>,
}

/// A number, numbers by name, or the samples of a waveform.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Values {
    Scalar(f64),
    Named(Map<String, Value>),
    Samples(Vec<f64>),
}

/// Maximum number of samples of a waveform.
const MAX_SAMPLES: usize = 1_000_000;
/// Maximum number of named numbers.
const MAX_NAMED: usize = 1_000;

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Values;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number, an object of numbers, or an array of numbers")
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Values, E> {
                Ok(Values::Scalar(number))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Values, E> {
                Ok(Values::Scalar(number as f64))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Values, E> {
                Ok(Values::Scalar(number as f64))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Values, A::Error> {
                let mut samples = Vec::with_capacity(from.size_hint().unwrap_or(0).min(MAX_SAMPLES));
                while let Some(sample) = from.next_element::<f64>()? {
                    samples.push(sample);
                    if samples.len() > MAX_SAMPLES {
                        return Err(A::Error::custom(format!("more than {MAX_SAMPLES} samples; send less at a time")));
                    }
                }
                if samples.is_empty() {
                    return Err(A::Error::custom("an empty array, expected at least one number"));
                }
                Ok(Values::Samples(samples))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Values, A::Error> {
                let mut named = Map::new();
                while let Some((SensorName(name), number)) = from.next_entry::<SensorName, f64>()? {
                    named.insert(name, number.into());
                    if named.len() > MAX_NAMED {
                        return Err(A::Error::custom(format!("more than {MAX_NAMED} numbers; send less at a time")));
                    }
                }
                if named.is_empty() {
                    return Err(A::Error::custom("an empty object, expected at least one number"));
                }
                Ok(Values::Named(named))
            }
        }
        from.deserialize_any(Any)
    }
}

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<SensorName>();
        json_schema!({
            "description": "A number, numbers by name, or the samples of a waveform (with `metadata.sampling_hz`).",
            "anyOf": [
                { "type": "number" },
                { "type": "object", "additionalProperties": { "type": "number" }, "propertyNames": name,
                  "minProperties": 1, "maxProperties": MAX_NAMED },
                { "type": "array", "items": { "type": "number" }, "minItems": 1, "maxItems": MAX_SAMPLES },
            ]
        })
    }
}

/// A request of a plan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanBody {
    /// The sensors whose machines are planned for. Empty: all.
    #[schemars(length(max = 1000))]
    #[serde(deserialize_with = "at_most_1000")]
    pub(crate) sensor_ids: Vec<SensorName>,
    /// The length of the plan in hours.
    #[serde(default = "default_horizon")]
    pub(crate) time_horizon_hours: BoundedNumber<1, 8760>,
    #[serde(default)]
    #[schemars(with = "Constraints")]
    pub(crate) constraints: StrictObject<Constraints>,
}

const fn default_horizon() -> BoundedNumber<1, 8760> {
    BoundedNumber(168.0)
}

/// The constraints of a plan.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraints {
    /// The technicians who may be planned. Omitted: all.
    #[serde(default, deserialize_with = "some_at_most_1000")]
    #[schemars(with = "Vec<Name>", length(min = 1, max = 1000))]
    pub(crate) technicians: Option<Vec<Name>>,
    /// The earliest start of a work order.
    #[serde(default, deserialize_with = "non_null")]
    #[schemars(with = "Timestamp")]
    pub(crate) not_before: Option<Timestamp>,
}

fn at_most_1000<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let names = Vec::<T>::deserialize(from)?;
    if names.len() > 1000 {
        return Err(D::Error::custom(format!("{} names, expected at most 1000", names.len())));
    }
    Ok(names)
}

fn some_at_most_1000<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Name>>, D::Error> {
    at_most_1000(from).map(Some)
}

/// A GraphQL request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct GraphQlRequest {
    /// The document. May be omitted if `extensions.persistedQuery` names a known one.
    #[serde(default)]
    pub(crate) query: Option<String>,
    /// The operation of the document to execute.
    #[serde(default, rename = "operationName")]
    pub(crate) operation_name: Option<String>,
    /// The operation's variables.
    #[serde(default)]
    pub(crate) variables: Option<Map<String, Value>>,
    /// A persisted query: `{"persistedQuery": {"version": 1, "sha256Hash": …}}`.
    #[serde(default)]
    pub(crate) extensions: Option<Map<String, Value>>,
}
