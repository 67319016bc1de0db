//! What a route demands of whoever asks.

use axum::http::{Method, StatusCode};
use serde_json::json;
use wheeltapper_access::{Class, Identity, Permission};
use wheeltapper_api::{Class as RouteClass, Permission as RoutePermission, route_of};

use super::Problem;

/// Where a new password is chosen; all else waits for it.
const AUTH: &str = "/api/v1/auth/";

/// What has to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: strangers may.
    Nothing,
    /// To be known.
    Identity,
    /// To send readings.
    Ingest,
    /// This.
    Permission(Permission),
}

/// What a request has to be written down as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audited {
    /// Not at all: it changes nothing, or its handler writes it down.
    No,
    /// As a change.
    Yes,
    /// As a change where its body is a GraphQL mutation.
    Graph,
}

/// What a request demands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) needs: Needs,
    pub(super) class: Class,
    pub(super) audited: Audited,
    /// Whether a browser opens it without headers of its own.
    pub(super) stream: bool,
    /// The route's template; empty where there is no such route.
    pub(super) template: &'static str,
}

/// What a method on a path demands. A path that is not there demands to be known, so that strangers learn nothing.
pub(super) fn demand(method: &Method, path: &str) -> Demand {
    let mut demand =
        Demand { needs: Needs::Identity, class: Class::Other, audited: Audited::No, stream: false, template: "" };
    if *method == Method::OPTIONS {
        // A browser asks so before it shows who it is for.
        return Demand { needs: Needs::Nothing, ..demand };
    }
    let Some(route) = route_of(method, path) else {
        if path == "/metrics" {
            return Demand { needs: Needs::Permission(Permission::Read), template: "/metrics", ..demand };
        }
        return demand;
    };
    demand.template = route.path;
    demand.stream = route.path.ends_with("/stream") || route.path.starts_with("/ws/");
    demand.class = match route.class {
        RouteClass::Detect => Class::Detect,
        RouteClass::Schedule => Class::Schedule,
        RouteClass::Ingest => Class::Ingest,
        RouteClass::Login => Class::Login,
        RouteClass::Other => Class::Other,
    };
    demand.needs = match route.permission {
        RoutePermission::Write if demand.class == Class::Ingest => Needs::Ingest,
        RoutePermission::None => Needs::Nothing,
        RoutePermission::SignedIn => Needs::Identity,
        RoutePermission::Read => Needs::Permission(Permission::Read),
        RoutePermission::Write => Needs::Permission(Permission::Write),
        RoutePermission::Delete => Needs::Permission(Permission::Delete),
        RoutePermission::Configure => Needs::Permission(Permission::Configure),
    };
    demand.audited = match (route.path, demand.needs, demand.class) {
        ("/graphql", ..) if *method == Method::POST => Audited::Graph,
        // Judging and asking for a plan change nothing; readings are too many; sign-ins are written down by their handler.
        (_, Needs::Nothing | Needs::Ingest, _) | (_, _, Class::Detect | Class::Schedule) => Audited::No,
        _ if method.is_safe() => Audited::No,
        _ => Audited::Yes,
    };
    demand
}

impl Demand {
    /// Whether it is gone through with also where whoever asked has hung up: what is changed must be written down.
    pub(super) fn is_lasting(&self) -> bool {
        self.audited != Audited::No || self.template.starts_with(AUTH)
    }

    /// Why this identity may not; none where it may.
    pub(super) fn refuse(&self, identity: &Identity) -> Option<Problem> {
        if identity.must_change_password && !self.template.starts_with(AUTH) && self.needs != Needs::Nothing {
            let detail = "choose a password of your own first: POST /api/v1/auth/password";
            let problem = Problem::new(StatusCode::FORBIDDEN, detail);
            return Some(problem.with("type", json!("urn:wheeltapper:password-change-required")));
        }
        let (may, what) = match self.needs {
            Needs::Nothing | Needs::Identity => return None,
            Needs::Ingest => (identity.may_ingest(), "ingest"),
            Needs::Permission(permission) => (identity.may(permission), permission.name()),
        };
        if may && self.needs == Needs::Permission(Permission::Configure) && identity.sites.is_some() {
            // Users, keys and the audit are of the whole plant: who could change them would see all of it.
            let detail = format!("{} is of some sites; ask an admin of the whole plant", identity.name);
            return Some(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if may {
            return None;
        }
        let detail = format!("{} may not {what} here; ask an admin for a role or key that may", identity.name);
        Some(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

#[cfg(test)]
mod tests {
    use wheeltapper_access::{Method as By, Role, Scope};
    use wheeltapper_api::ROUTES;

    use super::*;

    fn somebody(roles: &[Role], scopes: &[Scope]) -> Identity {
        let method = if scopes.is_empty() { By::Password } else { By::Key };
        Identity { roles: roles.to_vec(), scopes: scopes.to_vec(), method, ..Identity::local() }
    }

    fn filled(path: &str) -> String {
        match (path.find('{'), path.find('}')) {
            (Some(start), Some(end)) => format!("{}x{}", &path[..start], &path[end + 1..]),
            _ => path.to_owned(),
        }
    }

    #[test]
    fn each_role_and_scope_may_on_each_route_what_the_table_says() {
        for route in ROUTES {
            let demand = demand(&route.method, &filled(route.path));
            assert_eq!(demand.template, route.path, "{route:?}");
            for role in Role::ALL {
                let may = match route.permission {
                    RoutePermission::None | RoutePermission::SignedIn | RoutePermission::Read => true,
                    RoutePermission::Write => role != Role::Viewer,
                    RoutePermission::Delete => matches!(role, Role::Admin | Role::Engineer),
                    RoutePermission::Configure => role == Role::Admin,
                };
                assert_eq!(demand.refuse(&somebody(&[role], &[])).is_none(), may, "{role} on {route:?}");
            }
            for scope in Scope::ALL {
                let may = match (route.permission, demand.class) {
                    (RoutePermission::None | RoutePermission::SignedIn, _) => true,
                    (RoutePermission::Write, Class::Ingest) => scope == Scope::Ingest,
                    (RoutePermission::Read, _) => scope == Scope::Read,
                    (RoutePermission::Write, _) => scope == Scope::Write,
                    (RoutePermission::Delete | RoutePermission::Configure, _) => false,
                };
                assert_eq!(demand.refuse(&somebody(&[], &[scope])).is_none(), may, "{scope} on {route:?}");
            }
            let nobody = somebody(&[], &[]);
            let open = matches!(route.permission, RoutePermission::None | RoutePermission::SignedIn);
            assert_eq!(demand.refuse(&nobody).is_none(), open, "no role on {route:?}");
        }
    }

    #[test]
    fn an_admin_of_some_sites_does_not_manage_users() {
        let of_south = Identity { sites: Some(vec!["south".into()]), ..somebody(&[Role::Admin], &[]) };
        for route in ROUTES {
            let may = demand(&route.method, &filled(route.path)).refuse(&of_south).is_none();
            assert_eq!(may, route.permission != RoutePermission::Configure, "{route:?}");
        }
    }

    #[test]
    fn a_one_time_password_is_good_for_choosing_another_only() {
        let mut fresh = somebody(&[Role::Admin], &[]);
        fresh.must_change_password = true;
        for route in ROUTES {
            let may = route.permission == RoutePermission::None || route.path.starts_with(AUTH);
            assert_eq!(demand(&route.method, &filled(route.path)).refuse(&fresh).is_none(), may, "{route:?}");
        }
        assert!(demand(&Method::GET, "/metrics").refuse(&fresh).is_some());
        assert!(demand(&Method::GET, "/no/such/path").refuse(&fresh).is_some());
    }

    #[test]
    fn what_is_not_in_the_table_is_not_for_strangers() {
        for path in ["/metrics", "/api/v1/nothing", "/api/v1/users/", "//api/v1/users", "/api/v1/%75sers"] {
            assert_ne!(demand(&Method::GET, path).needs, Needs::Nothing, "{path}");
        }
        assert_eq!(demand(&Method::DELETE, "/api/v1/users").needs, Needs::Identity);
        assert_eq!(demand(&Method::HEAD, "/api/v1/users").needs, Needs::Permission(Permission::Configure));
        assert_eq!(demand(&Method::OPTIONS, "/api/v1/users").needs, Needs::Nothing);
        assert!(
            demand(&Method::GET, "/ws/anomalies").stream && demand(&Method::GET, "/api/v1/sensors/a/stream").stream
        );
        assert!(!demand(&Method::GET, "/api/v1/sensors/a").stream);
    }

    #[test]
    fn every_change_is_written_down() {
        for route in ROUTES.iter().filter(|route| !route.method.is_safe()) {
            let audited = demand(&route.method, &filled(route.path)).audited;
            let unwritten = [
                "/api/v1/ingest",
                "/api/v1/tick",
                "/api/v1/detect",
                "/api/v1/maintenance/schedule",
                "/api/v1/auth/login",
                "/api/v1/auth/refresh",
            ];
            assert_eq!(audited == Audited::No, unwritten.contains(&route.path), "{route:?}");
        }
    }
}
