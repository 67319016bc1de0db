//! What is sent.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::scalars::{Loose, Moment, Name, Object, Remark, SensorName, Text, Within, given};

/// A remark that goes with a deed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// Why, in words.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Remark")]
    pub(crate) comment: Option<Remark>,
}

/// A remark alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    /// What is said.
    pub(crate) comment: Remark,
}

/// What becomes of a work order: at least one member. Moving it pins it, unless `pinned` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub(crate) struct Amendment {
    /// When it begins.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Moment")]
    pub(crate) scheduled_time: Option<Moment>,
    /// Who does it.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Name")]
    pub(crate) technician: Option<Name>,
    /// Whether it stays where it is when the others are planned anew.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "bool")]
    pub(crate) pinned: Option<bool>,
    /// Where it stands.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Standing")]
    pub(crate) status: Option<Standing>,
}

/// Where a work order stands.
#[derive(Clone, Copy, Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(crate) enum Standing {
    Planned,
    Done,
    Cancelled,
}

// By hand: an object with the name as its key would be one as well.
impl<'de> Deserialize<'de> for Standing {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        [Self::Planned, Self::Done, Self::Cancelled]
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| D::Error::custom(format!("{name:?}, expected one of planned, done, cancelled")))
    }
}

impl Standing {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Values to judge.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detection {
    /// What was measured.
    #[schemars(with = "Measured")]
    pub(crate) sensor_data: Object<Measured>,
    /// Which detector judges: `ensemble`, the machine's own, or the name of one that it is made of.
    #[serde(default = "ensemble")]
    pub(crate) model_name: Text<1, 64>,
    /// From which score on it is called an anomaly.
    #[serde(default = "threshold")]
    pub(crate) threshold: Within<0, 1>,
}

fn ensemble() -> Text<1, 64> {
    Text("ensemble".to_owned())
}

const fn threshold() -> Within<0, 1> {
    Within(0.95)
}

/// What one sensor measured.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    /// The sensor's name.
    pub(crate) sensor_id: SensorName,
    /// When.
    pub(crate) timestamp: Moment,
    pub(crate) values: Values,
    /// What else is known, such as `sampling_hz`.
    #[serde(default)]
    #[schemars(with = "Loose")]
    pub(crate) metadata: Map<String, Value>,
}

/// A number, numbers by name, or a stretch of samples.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Values {
    One(f64),
    Named(Map<String, Value>),
    Stretch(Vec<f64>),
}

/// Samples of a stretch, at most.
const SAMPLES: usize = 1_000_000;
/// Numbers by name, at most.
const NAMES: usize = 1_000;

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Values;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number, an object of numbers, or an array of numbers")
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Values, E> {
                Ok(Values::One(number))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Values, E> {
                Ok(Values::One(number as f64))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Values, E> {
                Ok(Values::One(number as f64))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Values, A::Error> {
                let mut samples = Vec::with_capacity(from.size_hint().unwrap_or(0).min(SAMPLES));
                while let Some(sample) = from.next_element::<f64>()? {
                    samples.push(sample);
                    if samples.len() > SAMPLES {
                        return Err(A::Error::custom(format!("more than {SAMPLES} samples; send less at a time")));
                    }
                }
                if samples.is_empty() {
                    return Err(A::Error::custom("an empty array, expected at least one number"));
                }
                Ok(Values::Stretch(samples))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Values, A::Error> {
                let mut named = Map::new();
                while let Some((SensorName(name), number)) = from.next_entry::<SensorName, f64>()? {
                    named.insert(name, number.into());
                    if named.len() > NAMES {
                        return Err(A::Error::custom(format!("more than {NAMES} numbers; send less at a time")));
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
            "description": "A number, numbers by name, or a stretch of samples (with `metadata.sampling_hz`).",
            "anyOf": [
                { "type": "number" },
                { "type": "object", "additionalProperties": { "type": "number" }, "propertyNames": name,
                  "minProperties": 1, "maxProperties": NAMES },
                { "type": "array", "items": { "type": "number" }, "minItems": 1, "maxItems": SAMPLES },
            ]
        })
    }
}

/// What a plan is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planning {
    /// Sensors whose machines are to be planned for; none: all.
    #[schemars(length(max = 1000))]
    #[serde(deserialize_with = "few")]
    pub(crate) sensor_ids: Vec<SensorName>,
    /// How far ahead.
    #[serde(default = "week")]
    pub(crate) time_horizon_hours: Within<1, 8760>,
    #[serde(default)]
    #[schemars(with = "Constraints")]
    pub(crate) constraints: Object<Constraints>,
}

const fn week() -> Within<1, 8760> {
    Within(168.0)
}

/// What a plan has to keep to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constraints {
    /// Who may be planned; left out: all.
    #[serde(default, deserialize_with = "few_given")]
    #[schemars(with = "Vec<Name>", length(min = 1, max = 1000))]
    pub(crate) technicians: Option<Vec<Name>>,
    /// Nothing begins earlier.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Moment")]
    pub(crate) not_before: Option<Moment>,
}

fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let names = Vec::<T>::deserialize(from)?;
    if names.len() > 1000 {
        return Err(D::Error::custom(format!("{} names, expected at most 1000", names.len())));
    }
    Ok(names)
}

fn few_given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Name>>, D::Error> {
    few(from).map(Some)
}

/// A GraphQL request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct GraphRequest {
    /// The document; it may be left out where `extensions.persistedQuery` names one that is known.
    #[serde(default)]
    pub(crate) query: Option<String>,
    /// Which of the document's operations.
    #[serde(default, rename = "operationName")]
    pub(crate) operation_name: Option<String>,
    /// The operation's variables.
    #[serde(default)]
    pub(crate) variables: Option<Map<String, Value>>,
    /// `persistedQuery`: `{"version": 1, "sha256Hash": …}`.
    #[serde(default)]
    pub(crate) extensions: Option<Map<String, Value>>,
}
