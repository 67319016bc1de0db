//! Routing. One table ([`ROUTES`]) is the single source for the dispatch, the methods of a path, the check of the
//! query, the OpenAPI document, and the permissions that the guard of the edge host enforces.

mod parameters;
mod route_info;
mod table;

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

pub(crate) use route_info::{BodyInfo, Handler, Parameter, ParameterKind, ParameterLocation, ResponseInfo};
pub use route_info::{Permission, RateLimitClass, RouteInfo};
pub use table::ROUTES;

use crate::{dashboard::is_file, problem::Problem};

/// A path that matches a template of the table.
#[derive(Debug)]
pub(crate) struct MatchedPath<'a> {
    /// The matching template.
    pub(crate) template: &'static str,
    /// The part in place of the template's `{…}`, percent-encoded as it was sent.
    encoded_id: &'a str,
}

impl<'a> MatchedPath<'a> {
    /// Matches a path against the templates. `None` if none matches.
    pub(crate) fn match_path(path: &'a str) -> Option<Self> {
        let mut best: Option<(Self, &str)> = None;
        for (index, route) in ROUTES.iter().enumerate() {
            // Routes of the same path are adjacent.
            if index > 0 && ROUTES[index - 1].path == route.path {
                continue;
            }
            let Some((before, after)) = route.split_template() else {
                if route.path == path {
                    return Some(Self { template: route.path, encoded_id: "" });
                }
                continue;
            };
            let Some(id) = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else { continue };
            // Names of sensors and machines contain slashes, which users rarely encode as %2F.
            if id.is_empty() || (id.contains('/') && !has_name(route.path)) {
                continue;
            }
            // The longest suffix wins: `/sensors/a/readings` are the readings of `a`.
            if best.as_ref().is_none_or(|(_, ending)| after.len() > ending.len()) {
                best = Some((Self { template: route.path, encoded_id: id }, after));
            }
        }
        best.map(|(path, _)| path)
    }

    /// Returns the route of a method; for HEAD the route of GET.
    pub(crate) fn route(&self, method: &Method) -> Option<&'static RouteInfo> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.routes().find(|route| route.method == *method)
    }

    /// Returns the routes of the path.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &'static RouteInfo> + use<> {
        let template = self.template;
        ROUTES.iter().filter(move |route| route.path == template)
    }

    /// Returns the methods of the path, for the header `Allow`.
    pub(crate) fn methods(&self) -> String {
        let mut methods = String::new();
        for route in self.routes() {
            methods.push_str(route.method.as_str());
            methods.push_str(if route.method == Method::GET { ", HEAD, " } else { ", " });
        }
        methods + "OPTIONS"
    }

    /// Returns the percent-decoded id. A plus is not decoded as a space.
    pub(crate) fn decoded_id(&self) -> Result<Cow<'a, str>, Problem> {
        percent_decode_str(self.encoded_id).decode_utf8().map_err(|_| {
            Problem::bad_request(format!(
                "{} is not UTF-8 after percent-decoding; encode the id as UTF-8",
                self.encoded_id
            ))
        })
    }
}

/// Returns whether the template's `{…}` stands for the name of a sensor or a machine, which may contain slashes.
pub(crate) fn has_name(template: &str) -> bool {
    template.starts_with("/api/v1/sensors/") || template.starts_with("/api/v1/machines/")
}

/// Returns the route of a method and a path, for the guard of a host. A file of the dashboard counts as `/`, HEAD as
/// GET. `None`: the path does not exist, or does not allow the method.
pub fn find_route(method: &Method, path: &str) -> Option<&'static RouteInfo> {
    MatchedPath::match_path(if is_file(path) { "/" } else { path })?.route(method)
}
