//! The description of a route.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{Deed, listing::Listing};

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
pub enum Class {
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
pub(crate) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// Returns the schema of `T`.
pub(crate) fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The handler of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Page,
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
    Actions,
    Deed(Deed),
    Amend,
    Detect,
    Plan,
    Task,
    Calendar,
    GraphGet,
    GraphPost,
    OpenApi,
    Docs(&'static str),
    /// The edge host answers itself.
    Edge,
}

/// The location of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text of at most 256 characters.
    Text,
    /// As `Text`, without control characters.
    Visible,
    /// The name of a sensor.
    Sensor,
    /// RFC 3339, or nanoseconds since 1970.
    Time,
    /// A whole number: minimum, maximum and default.
    Number(u32, u32, Option<u32>),
    /// One of these values.
    OneOf(&'static [&'static str]),
    /// The cursor of a page.
    Cursor,
    /// A text of any length.
    Long,
    /// A JSON object.
    Object,
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
    pub(crate) example: &'static str,
}

/// A successful response.
#[derive(Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) media: &'static str,
    pub(crate) shape: Option<Shape>,
    pub(crate) headers: &'static [&'static str],
}

/// A request body.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    pub(crate) required: bool,
    /// Media types. Without a schema each is bytes.
    pub(crate) media: &'static [&'static str],
    pub(crate) shape: Option<Shape>,
    /// An example, as JSON.
    pub(crate) example: &'static str,
}

/// The description of a route. `path` is a template, in which `{id}` stands for any text without a slash.
#[derive(Clone)]
pub struct RouteInfo {
    /// The method. GET includes HEAD.
    pub method: Method,
    /// The template of the path.
    pub path: &'static str,
    /// The permission required of the caller.
    pub permission: Permission,
    /// The rate limit that the route counts against.
    pub class: Class,
    /// Whether only the edge host has the route.
    pub edge_only: bool,
    /// The `operationId` in the OpenAPI document.
    pub name: &'static str,
    /// The group in the OpenAPI document. Empty: the document does not contain the route.
    pub tag: &'static str,
    /// A summary of at most one line.
    pub summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) op: Op,
    pub(crate) parameters: &'static [Parameter],
    /// Whether the query may contain parameters that are not in `parameters`.
    pub(crate) lax: bool,
    pub(crate) body: Option<Body>,
    pub(crate) replies: &'static [Reply],
    /// Error statuses beyond those that follow from the other fields.
    pub(crate) problems: &'static [u16],
}

impl std::fmt::Debug for RouteInfo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

impl RouteInfo {
    /// Returns the parts before and after the `{…}` of the template. `None` if there is no placeholder.
    pub(crate) fn halves(&self) -> Option<(&'static str, &'static str)> {
        let (before, rest) = self.path.split_once('{')?;
        Some((before, rest.split_once('}')?.1))
    }

    pub(crate) const fn at(method: Method, path: &'static str, permission: Permission, op: Op) -> Self {
        Self {
            method,
            path,
            permission,
            class: Class::Other,
            edge_only: false,
            name: "",
            tag: "",
            summary: "",
            about: "",
            op,
            parameters: &[],
            lax: false,
            body: None,
            replies: &[],
            problems: &[],
        }
    }

    pub(crate) const fn called(mut self, name: &'static str, tag: &'static str, summary: &'static str) -> Self {
        self.name = name;
        self.tag = tag;
        self.summary = summary;
        self
    }

    pub(crate) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(crate) const fn limited(mut self, class: Class) -> Self {
        self.class = class;
        self
    }

    /// Marks the route as one that only the edge host has.
    pub(crate) const fn edge(mut self) -> Self {
        self.edge_only = true;
        self
    }

    pub(crate) const fn lax(mut self) -> Self {
        self.lax = true;
        self
    }

    pub(crate) const fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    pub(crate) const fn body(mut self, required: bool, shape: Shape, example: &'static str) -> Self {
        self.body = Some(Body { required, media: &["application/json"], shape: Some(shape), example });
        self
    }

    pub(crate) const fn bytes(mut self, media: &'static [&'static str], example: &'static str) -> Self {
        self.body = Some(Body { required: true, media, shape: None, example });
        self
    }

    pub(crate) const fn gives(mut self, replies: &'static [Reply]) -> Self {
        self.replies = replies;
        self
    }

    pub(crate) const fn fails(mut self, problems: &'static [u16]) -> Self {
        self.problems = problems;
        self
    }
}

impl Reply {
    /// A JSON response with a schema.
    pub(crate) const fn json(status: u16, about: &'static str, shape: Shape) -> Self {
        Self { status, about, media: "application/json", shape: Some(shape), headers: &[] }
    }

    /// A text response with status 200.
    pub(crate) const fn text(about: &'static str, media: &'static str) -> Self {
        Self { status: 200, about, media, shape: Some(shape::<String>), headers: &[] }
    }

    /// A response without a body.
    pub(crate) const fn empty(status: u16, about: &'static str) -> Self {
        Self { status, about, media: "", shape: None, headers: &[] }
    }

    pub(crate) const fn with(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }
}
