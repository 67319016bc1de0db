//! What each route requires of the caller.

use axum::http::{Method, StatusCode};
use serde_json::json;
use wheeltapper_access::{Class, Identity, Permission};
use wheeltapper_api::{Class as RouteClass, Permission as RoutePermission, route_of};

use super::Problem;

/// The paths that stay usable while the user has to change a one-time password.
const AUTH_PREFIX: &str = "/api/v1/auth/";

/// What the caller needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: the route is public.
    Public,
    /// A known identity with any permission.
    SignedIn,
    /// The right to send readings.
    Ingest,
    /// This permission.
    Permission(Permission),
}

/// How a request is recorded in the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audited {
    /// Not at all: it changes nothing, or its handler writes the entry.
    Skip,
    /// As a change.
    Record,
    /// As a change if its body is a GraphQL mutation.
    RecordMutations,
}

/// What a request requires.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) needs: Needs,
    pub(super) class: Class,
    pub(super) audited: Audited,
    /// Whether it is a stream, which browsers open without headers of their own.
    pub(super) stream: bool,
    /// The route's template; empty if there is no such route.
    pub(super) template: &'static str,
}

/// The policy for a method on a path. An unknown path requires a sign-in, so that strangers learn nothing about the
/// routes.
pub(super) fn policy_for(method: &Method, path: &str) -> Demand {
    let mut policy =
        Demand { needs: Needs::SignedIn, class: Class::Other, audited: Audited::Skip, stream: false, template: "" };
    if *method == Method::OPTIONS {
        // A browser sends this before it sends credentials.
        return Demand { needs: Needs::Public, ..policy };
    }
    let Some(route) = route_of(method, path) else {
        if path == "/metrics" {
            return Demand { needs: Needs::Permission(Permission::Read), template: "/metrics", ..policy };
        }
        return policy;
    };
    policy.template = route.path;
    policy.stream = route.path.ends_with("/stream") || route.path.starts_with("/ws/");
    policy.class = match route.class {
        RouteClass::Detect => Class::Detect,
        RouteClass::Schedule => Class::Schedule,
        RouteClass::Ingest => Class::Ingest,
        RouteClass::Login => Class::Login,
        RouteClass::Other => Class::Other,
    };
    policy.needs = match route.permission {
        RoutePermission::Write if policy.class == Class::Ingest => Needs::Ingest,
        RoutePermission::None => Needs::Public,
        RoutePermission::SignedIn => Needs::SignedIn,
        RoutePermission::Read => Needs::Permission(Permission::Read),
        RoutePermission::Write => Needs::Permission(Permission::Write),
        RoutePermission::Delete => Needs::Permission(Permission::Delete),
        RoutePermission::Configure => Needs::Permission(Permission::Configure),
    };
    policy.audited = match (route.path, policy.needs, policy.class) {
        ("/graphql", ..) if *method == Method::POST => Audited::RecordMutations,
        // Scoring and plan requests change nothing; readings are too many; sign-ins are recorded by their handler.
        (_, Needs::Public | Needs::Ingest, _) | (_, _, Class::Detect | Class::Schedule) => Audited::Skip,
        _ if method.is_safe() => Audited::Skip,
        _ => Audited::Record,
    };
    policy
}

impl Demand {
    /// Whether the request runs to its end even if the client disconnects: a change must be recorded in the audit.
    pub(super) fn is_lasting(&self) -> bool {
        self.audited != Audited::Skip || self.template.starts_with(AUTH_PREFIX)
    }

    /// Why this identity is not allowed; `None` if it is.
    pub(super) fn refuse(&self, identity: &Identity) -> Option<Problem> {
        if identity.must_change_password && !self.template.starts_with(AUTH_PREFIX) && self.needs != Needs::Public {
            let detail = "set a new password first: POST /api/v1/auth/password";
            let problem = Problem::new(StatusCode::FORBIDDEN, detail);
            return Some(problem.with("type", json!("urn:wheeltapper:password-change-required")));
        }
        let (may, what) = match self.needs {
            Needs::Public | Needs::SignedIn => return None,
            Needs::Ingest => (identity.may_ingest(), "ingest"),
            Needs::Permission(permission) => (identity.may(permission), permission.name()),
        };
        if may && self.needs == Needs::Permission(Permission::Configure) && identity.sites.is_some() {
            // Users, keys and the audit belong to the whole plant: a caller who could change them could see all of it.
            let detail = format!("{} is limited to some sites; ask an admin of the whole plant", identity.name);
            return Some(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if may {
            return None;
        }
        let detail = format!(
            "{} is not allowed to {what} here; ask an admin for a role or key with this permission",
            identity.name
        );
        Some(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

#[cfg(test)]
mod tests {
    use wheeltapper_access::{Method as By, Role, Scope};
    use wheeltapper_api::ROUTES;

    use super::*;

    fn identity_with(roles: &[Role], scopes: &[Scope]) -> Identity {
        let method = if scopes.is_empty() { By::Password } else { By::Key };
        Identity { roles: roles.to_vec(), scopes: scopes.to_vec(), method, ..Identity::local() }
    }

    fn fill_template(path: &str) -> String {
        match (path.find('{'), path.find('}')) {
            (Some(start), Some(end)) => format!("{}x{}", &path[..start], &path[end + 1..]),
            _ => path.to_owned(),
        }
    }

    #[test]
    fn roles_and_scopes_match_the_route_table() {
        for route in ROUTES {
            let policy = policy_for(&route.method, &fill_template(route.path));
            assert_eq!(policy.template, route.path, "{route:?}");
            for role in Role::ALL {
                let may = match route.permission {
                    RoutePermission::None | RoutePermission::SignedIn | RoutePermission::Read => true,
                    RoutePermission::Write => role != Role::Viewer,
                    RoutePermission::Delete => matches!(role, Role::Admin | Role::Engineer),
                    RoutePermission::Configure => role == Role::Admin,
                };
                assert_eq!(policy.refuse(&identity_with(&[role], &[])).is_none(), may, "{role} on {route:?}");
            }
            for scope in Scope::ALL {
                let may = match (route.permission, policy.class) {
                    (RoutePermission::None | RoutePermission::SignedIn, _) => true,
                    (RoutePermission::Write, Class::Ingest) => scope == Scope::Ingest,
                    (RoutePermission::Read, _) => scope == Scope::Read,
                    (RoutePermission::Write, _) => scope == Scope::Write,
                    (RoutePermission::Delete | RoutePermission::Configure, _) => false,
                };
                assert_eq!(policy.refuse(&identity_with(&[], &[scope])).is_none(), may, "{scope} on {route:?}");
            }
            let without_roles = identity_with(&[], &[]);
            let open = matches!(route.permission, RoutePermission::None | RoutePermission::SignedIn);
            assert_eq!(policy.refuse(&without_roles).is_none(), open, "no role on {route:?}");
        }
    }

    #[test]
    fn an_admin_of_some_sites_cannot_manage_users() {
        let of_south = Identity { sites: Some(vec!["south".into()]), ..identity_with(&[Role::Admin], &[]) };
        for route in ROUTES {
            let may = policy_for(&route.method, &fill_template(route.path)).refuse(&of_south).is_none();
            assert_eq!(may, route.permission != RoutePermission::Configure, "{route:?}");
        }
    }

    #[test]
    fn a_one_time_password_only_allows_a_password_change() {
        let mut new_admin = identity_with(&[Role::Admin], &[]);
        new_admin.must_change_password = true;
        for route in ROUTES {
            let may = route.permission == RoutePermission::None || route.path.starts_with(AUTH_PREFIX);
            assert_eq!(
                policy_for(&route.method, &fill_template(route.path)).refuse(&new_admin).is_none(),
                may,
                "{route:?}"
            );
        }
        assert!(policy_for(&Method::GET, "/metrics").refuse(&new_admin).is_some());
        assert!(policy_for(&Method::GET, "/no/such/path").refuse(&new_admin).is_some());
    }

    #[test]
    fn unknown_routes_are_not_public() {
        for path in ["/metrics", "/api/v1/nothing", "/api/v1/users/", "//api/v1/users", "/api/v1/%75sers"] {
            assert_ne!(policy_for(&Method::GET, path).needs, Needs::Public, "{path}");
        }
        assert_eq!(policy_for(&Method::DELETE, "/api/v1/users").needs, Needs::SignedIn);
        assert_eq!(policy_for(&Method::HEAD, "/api/v1/users").needs, Needs::Permission(Permission::Configure));
        assert_eq!(policy_for(&Method::OPTIONS, "/api/v1/users").needs, Needs::Public);
        assert!(
            policy_for(&Method::GET, "/ws/anomalies").stream
                && policy_for(&Method::GET, "/api/v1/sensors/a/stream").stream
        );
        assert!(!policy_for(&Method::GET, "/api/v1/sensors/a").stream);
    }

    #[test]
    fn every_change_is_audited() {
        for route in ROUTES.iter().filter(|route| !route.method.is_safe()) {
            let audited = policy_for(&route.method, &fill_template(route.path)).audited;
            let unaudited = [
                "/api/v1/ingest",
                "/api/v1/tick",
                "/api/v1/detect",
                "/api/v1/maintenance/schedule",
                "/api/v1/auth/login",
                "/api/v1/auth/refresh",
            ];
            assert_eq!(audited == Audited::Skip, unaudited.contains(&route.path), "{route:?}");
        }
    }
}
