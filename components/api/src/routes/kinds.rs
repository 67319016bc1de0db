//! What is told of a route.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{Deed, listing::Listing};

/// What whoever asks has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing: strangers may.
    None,
    /// Nothing more than to be known.
    SignedIn,
    /// To see.
    Read,
    /// To change.
    Write,
    /// To remove.
    Delete,
    /// To say who may do what.
    Configure,
}

/// What is counted together against a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Judging values.
    Detect,
    /// Asking for plans.
    Schedule,
    /// Readings, by their bytes.
    Ingest,
    /// Guesses at passwords.
    Login,
    /// All else.
    Other,
}

/// Makes a type's schema.
pub(crate) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub(crate) fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who answers.
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
    /// The edge host itself.
    Edge,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text of a length that names have.
    Text,
    /// Text of a length that names have, without control characters.
    Visible,
    /// The name of a sensor: see [`crate::check_name`].
    Sensor,
    /// RFC 3339, or nanoseconds since 1970.
    Time,
    /// A whole number: the least, the most, and what stands where none is given.
    Number(u32, u32, Option<u32>),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Where a page goes on.
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

/// An answer that is no problem.
#[derive(Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) about: &'static str,
    pub(crate) media: &'static str,
    pub(crate) shape: Option<Shape>,
    pub(crate) headers: &'static [&'static str],
}

/// A body that is taken.
#[derive(Clone, Copy)]
pub(crate) struct Body {
    pub(crate) required: bool,
    /// Media types; with no shape each is bytes.
    pub(crate) media: &'static [&'static str],
    pub(crate) shape: Option<Shape>,
    /// As JSON.
    pub(crate) example: &'static str,
}

/// What is told of a route. `path` is a template; `{id}` in it stands for anything without a slash.
#[derive(Clone)]
pub struct RouteInfo {
    /// The method. Where it is GET, HEAD is taken as well.
    pub method: Method,
    /// The path's template.
    pub path: &'static str,
    /// What whoever asks has to be allowed.
    pub permission: Permission,
    /// What limits it.
    pub class: Class,
    /// Whether the edge host alone has it.
    pub edge_only: bool,
    /// Its name in the OpenAPI document (`operationId`).
    pub name: &'static str,
    /// Its group there; empty: it is not in it.
    pub tag: &'static str,
    /// What it is for, in a line.
    pub summary: &'static str,
    pub(crate) about: &'static str,
    pub(crate) op: Op,
    pub(crate) parameters: &'static [Parameter],
    /// Whether the query may say what is not in `parameters`.
    pub(crate) lax: bool,
    pub(crate) body: Option<Body>,
    pub(crate) replies: &'static [Reply],
    /// Statuses of problems beyond those that follow from the rest.
    pub(crate) problems: &'static [u16],
}

impl std::fmt::Debug for RouteInfo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.method, self.path)
    }
}

impl RouteInfo {
    /// What is before and after the `{…}` of the template; none where it has none.
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

    /// The edge host's own.
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
    /// JSON of a shape.
    pub(crate) const fn json(status: u16, about: &'static str, shape: Shape) -> Self {
        Self { status, about, media: "application/json", shape: Some(shape), headers: &[] }
    }

    /// A text.
    pub(crate) const fn text(about: &'static str, media: &'static str) -> Self {
        Self { status: 200, about, media, shape: Some(shape::<String>), headers: &[] }
    }

    /// Nothing but a status.
    pub(crate) const fn empty(status: u16, about: &'static str) -> Self {
        Self { status, about, media: "", shape: None, headers: &[] }
    }

    pub(crate) const fn with(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }
}
