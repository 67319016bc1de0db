//! The description of a route.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{Action, listing::Listing};

/// The permission that a route requires of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// None: the route is public.
    None,
    /// Any signed-in caller.
    SignedIn,
    /// Reading.
    Read,
    /// Changing, including ingestion.
    Write,
    /// Deleting.
    Delete,
    /// Managing users and keys.
    Configure,
}

/// The rate limit that a route counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimitClass {
    /// Scoring of values.
    Detect,
    /// Requests of plans.
    Schedule,
    /// Ingestion of readings, limited by bytes.
    Ingest,
    /// Attempts to sign in.
    Login,
    /// All other routes.
    Other,
}

/// A function that returns the schema of a type.
pub(crate) type SchemaFn = fn(&mut SchemaGenerator) -> Schema;

/// Returns the schema of `T`.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The handler of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handler {
    Dashboard,
    Health,
    Ready,
    Tick,
    Ingest,
    Overview,
    List(&'static Listing),
    Item(&'static Listing),
    Readings,
    SensorStream,
    AnomalyStream,
    Assets,
    AnomalyActions,
    Action(Action),
    AmendWorkOrder,
    ResetBaseline,
    Detect,
    RequestPlan,
    PlanStatus,
    Calendar,
    GraphQlGet,
    GraphQlPost,
    OpenApi,
    Docs(&'static str),
    /// The edge host answers itself.
    EdgeHost,
}

/// The location of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterLocation {
    Path,
    Query,
    Header,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    /// Any text of at most 256 characters.
    Text,
    /// As `Text`, without control characters.
    VisibleText,
    /// The name of a sensor.
    SensorName,
    /// RFC 3339, or nanoseconds since 1970.
    Time,
    /// A whole number: minimum, maximum and default.
    Number(u32, u32, Option<u32>),
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// The cursor of a page.
    Cursor,
    /// A text of any length.
    LongText,
    /// A JSON object.
    Object,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) location: ParameterLocation,
    pub(crate) kind: ParameterKind,
    pub(crate) description: &'static str,
    pub(crate) example: &'static str,
}

/// A successful response.
#[derive(Clone, Copy)]
pub(crate) struct ResponseInfo {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    pub(crate) media: &'static str,
    pub(crate) schema: Option<SchemaFn>,
    pub(crate) headers: &'static [&'static str],
}

/// A request body.
#[derive(Clone, Copy)]
pub(crate) struct BodyInfo {
    pub(crate) required: bool,
    /// Media types. Without a schema each is bytes.
    pub(crate) media: &'static [&'static str],
    pub(crate) schema: Option<SchemaFn>,
    /// An example, as JSON.
    pub(crate) example: &'static str,
}

/// The description of a route. `path` is a template, in which `{id}` stands for any text without a slash, and names of
/// sensors and machines with slashes.
#[derive(Clone)]
pub struct RouteInfo {
    /// The method. GET includes HEAD.
    pub method: Method,
    /// The template of the path.
    pub path: &'static str,
    /// The permission required of the caller.
    pub permission: Permission,
    /// The rate limit that the route counts against.
    pub rate_limit: RateLimitClass,
    /// Whether only the edge host has the route.
    pub edge_only: bool,
    /// The `operationId` in the OpenAPI document.
    pub operation_id: &'static str,
    /// The group in the OpenAPI document. Empty: the document does not contain the route.
    pub tag: &'static str,
    /// A summary of at most one line.
    pub summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) handler: Handler,
    pub(crate) parameters: &'static [Parameter],
    /// Whether the query may contain parameters that are not in `parameters`.
    pub(crate) allows_unknown_params: bool,
    pub(crate) body: Option<BodyInfo>,
    pub(crate) responses: &'static [ResponseInfo],
    /// Error statuses beyond those that follow from the other fields.
    pub(crate) error_statuses: &'static [u16],
}

impl std::fmt::Debug for RouteInfo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

impl RouteInfo {
    /// Returns the parts before and after the `{…}` of the template. `None` if there is no placeholder.
    pub(crate) fn split_template(&self) -> Option<(&'static str, &'static str)> {
        let (before, rest) = self.path.split_once('{')?;
        Some((before, rest.split_once('}')?.1))
    }

    pub(crate) const fn new(method: Method, path: &'static str, permission: Permission, op: Handler) -> Self {
        Self {
            method,
            path,
            permission,
            rate_limit: RateLimitClass::Other,
            edge_only: false,
            operation_id: "",
            tag: "",
            summary: "",
            description: "",
            handler: op,
            parameters: &[],
            allows_unknown_params: false,
            body: None,
            responses: &[],
            error_statuses: &[],
        }
    }

    pub(crate) const fn with_docs(mut self, name: &'static str, tag: &'static str, summary: &'static str) -> Self {
        self.operation_id = name;
        self.tag = tag;
        self.summary = summary;
        self
    }

    pub(crate) const fn with_description(mut self, about: &'static str) -> Self {
        self.description = about;
        self
    }

    pub(crate) const fn with_rate_limit(mut self, class: RateLimitClass) -> Self {
        self.rate_limit = class;
        self
    }

    /// Marks the route as one that only the edge host has.
    pub(crate) const fn only_on_edge_host(mut self) -> Self {
        self.edge_only = true;
        self
    }

    pub(crate) const fn allow_unknown_params(mut self) -> Self {
        self.allows_unknown_params = true;
        self
    }

    pub(crate) const fn with_params(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(crate) const fn with_json_body(mut self, required: bool, shape: SchemaFn, example: &'static str) -> Self {
        self.body = Some(BodyInfo { required, media: &["application/json"], schema: Some(shape), example });
        self
    }

    pub(crate) const fn with_raw_body(mut self, media: &'static [&'static str], example: &'static str) -> Self {
        self.body = Some(BodyInfo { required: true, media, schema: None, example });
        self
    }

    pub(crate) const fn with_responses(mut self, replies: &'static [ResponseInfo]) -> Self {
        self.responses = replies;
        self
    }

    pub(crate) const fn with_errors(mut self, problems: &'static [u16]) -> Self {
        self.error_statuses = problems;
        self
    }
}

impl ResponseInfo {
    /// A JSON response with a schema.
    pub(crate) const fn json(status: u16, about: &'static str, shape: SchemaFn) -> Self {
        Self { status, description: about, media: "application/json", schema: Some(shape), headers: &[] }
    }

    /// A text response with status 200.
    pub(crate) const fn text(about: &'static str, media: &'static str) -> Self {
        Self { status: 200, description: about, media, schema: Some(schema_of::<String>), headers: &[] }
    }

    /// A response without a body.
    pub(crate) const fn empty(status: u16, about: &'static str) -> Self {
        Self { status, description: about, media: "", schema: None, headers: &[] }
    }

    pub(crate) const fn with_headers(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }
}
