//! Which path is what. One table ([`ROUTES`]) routes, tells the methods of a path, checks the query, makes the OpenAPI
//! document, and tells the edge host's guard who may do it; so that none of them can say something else.

mod kinds;
mod parameters;
mod table;

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

pub(crate) use kinds::{Body, Kind, Op, Parameter, Place, Reply};
pub use kinds::{Class, Permission, RouteInfo};
pub use table::ROUTES;

use crate::{page::is_file, problem::Problem};

/// What a path leads to.
#[derive(Debug)]
pub(crate) struct Path<'a> {
    /// The template that it fits.
    pub(crate) template: &'static str,
    /// What stands in the place of the template's `{…}`, as it was sent.
    id: &'a str,
}

impl<'a> Path<'a> {
    /// The template that a path fits; none where the host does not have it.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let mut best: Option<(Self, &str)> = None;
        for (index, route) in ROUTES.iter().enumerate() {
            // Routes of one path stand one after the other.
            if index > 0 && ROUTES[index - 1].path == route.path {
                continue;
            }
            let Some((before, after)) = route.halves() else {
                if route.path == path {
                    return Some(Self { template: route.path, id: "" });
                }
                continue;
            };
            let Some(id) = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else { continue };
            // Sensors have slashes in their ids, which whoever types them does not write as %2F.
            if id.is_empty() || (id.contains('/') && !route.path.starts_with("/api/v1/sensors/")) {
                continue;
            }
            // The longest says most: `/sensors/a/readings` is the course of `a`.
            if best.as_ref().is_none_or(|(_, ending)| after.len() > ending.len()) {
                best = Some((Self { template: route.path, id }, after));
            }
        }
        best.map(|(path, _)| path)
    }

    /// The route of a method; that of GET for HEAD.
    pub(crate) fn route(&self, method: &Method) -> Option<&'static RouteInfo> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.routes().find(|route| route.method == *method)
    }

    /// All that the path takes.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &'static RouteInfo> + use<> {
        let template = self.template;
        ROUTES.iter().filter(move |route| route.path == template)
    }

    /// The methods that it takes, for `Allow`.
    pub(crate) fn methods(&self) -> String {
        let mut methods = String::new();
        for route in self.routes() {
            methods.push_str(route.method.as_str());
            methods.push_str(if route.method == Method::GET { ", HEAD, " } else { ", " });
        }
        methods + "OPTIONS"
    }

    /// The id in it. A plus is a plus there.
    pub(crate) fn id(&self) -> Result<Cow<'a, str>, Problem> {
        percent_decode_str(self.id).decode_utf8().map_err(|_| {
            Problem::bad_request(format!(
                "{} is not UTF-8 once its percent signs are undone; encode the id as UTF-8",
                self.id
            ))
        })
    }
}

/// The route that answers a method on a path: what a guard has to know of it. A file of the dashboard counts as `/`, and
/// HEAD as GET. None: there is no such path, or it does not take the method.
pub fn route_of(method: &Method, path: &str) -> Option<&'static RouteInfo> {
    Path::of(if is_file(path) { "/" } else { path })?.route(method)
}
