//! What each route requires of the caller.

use axum::http::{Method, StatusCode};
use serde_json::json;
use wheeltapper_access::{Identity, Permission, RateClass};
use wheeltapper_api::{Permission as RoutePermission, RateLimitClass as RouteClass, find_route};

use crate::triggers::http::problem::Problem;

/// The paths that stay usable while the user has to change a one-time password.
const AUTH_PREFIX: &str = "/api/v1/auth/";

/// What the caller needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequiredPermission {
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
pub(crate) enum AuditMode {
    /// Not at all: it changes nothing, or its handler writes the entry.
    Skip,
    /// As a change.
    Record,
    /// As a change if its body is a GraphQL mutation.
    RecordMutations,
}

/// What a request requires.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoutePolicy {
    pub(crate) required: RequiredPermission,
    pub(crate) class: RateClass,
    pub(crate) audit: AuditMode,
    /// Whether it is a stream, which browsers open without headers of their own.
    pub(crate) is_stream: bool,
    /// The route's template; empty if there is no such route.
    pub(crate) template: &'static str,
}

/// The policy for a method on a path. An unknown path requires a sign-in, so that strangers learn nothing about the
/// routes.
pub(crate) fn policy_for(method: &Method, path: &str) -> RoutePolicy {
    let mut policy = RoutePolicy {
        required: RequiredPermission::SignedIn,
        class: RateClass::Other,
        audit: AuditMode::Skip,
        is_stream: false,
        template: "",
    };
    if *method == Method::OPTIONS {
        // A browser sends this before it sends credentials.
        return RoutePolicy { required: RequiredPermission::Public, ..policy };
    }
    let Some(route) = find_route(method, path) else {
        if path == "/metrics" {
            return RoutePolicy {
                required: RequiredPermission::Permission(Permission::Read),
                template: "/metrics",
                ..policy
            };
        }
        return policy;
    };
    policy.template = route.path;
    policy.is_stream = route.path.ends_with("/stream") || route.path.starts_with("/ws/");
    policy.class = match route.rate_limit {
        RouteClass::Detect => RateClass::Detect,
        RouteClass::Schedule => RateClass::Schedule,
        RouteClass::Ingest => RateClass::Ingest,
        RouteClass::Login => RateClass::Login,
        RouteClass::Other => RateClass::Other,
    };
    policy.required = match route.permission {
        RoutePermission::Write if policy.class == RateClass::Ingest => RequiredPermission::Ingest,
        RoutePermission::None => RequiredPermission::Public,
        RoutePermission::SignedIn => RequiredPermission::SignedIn,
        RoutePermission::Read => RequiredPermission::Permission(Permission::Read),
        RoutePermission::Write => RequiredPermission::Permission(Permission::Write),
        RoutePermission::Delete => RequiredPermission::Permission(Permission::Delete),
        RoutePermission::Configure => RequiredPermission::Permission(Permission::Configure),
    };
    policy.audit = match (route.path, policy.required, policy.class) {
        ("/graphql", ..) if *method == Method::POST => AuditMode::RecordMutations,
        // Scoring and plan requests change nothing; readings are too many; sign-ins are recorded by their handler.
        (_, RequiredPermission::Public | RequiredPermission::Ingest, _)
        | (_, _, RateClass::Detect | RateClass::Schedule) => AuditMode::Skip,
        _ if method.is_safe() => AuditMode::Skip,
        _ => AuditMode::Record,
    };
    policy
}

impl RoutePolicy {
    /// Whether the request runs to its end even if the client disconnects: a change must be recorded in the audit.
    pub(crate) fn must_complete(&self) -> bool {
        self.audit != AuditMode::Skip || self.template.starts_with(AUTH_PREFIX)
    }

    /// Why this identity is not allowed; `None` if it is.
    pub(crate) fn denial(&self, identity: &Identity) -> Option<Problem> {
        if identity.must_change_password
            && !self.template.starts_with(AUTH_PREFIX)
            && self.required != RequiredPermission::Public
        {
            let detail = "set a new password first: POST /api/v1/auth/password";
            let problem = Problem::new(StatusCode::FORBIDDEN, detail);
            return Some(problem.with_member("type", json!("urn:wheeltapper:password-change-required")));
        }
        let (may, what) = match self.required {
            RequiredPermission::Public | RequiredPermission::SignedIn => return None,
            RequiredPermission::Ingest => (identity.can_ingest(), "ingest"),
            RequiredPermission::Permission(permission) => (identity.has_permission(permission), permission.name()),
        };
        if may && self.required == RequiredPermission::Permission(Permission::Configure) && identity.sites.is_some() {
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
    use wheeltapper_access::{AuthMethod as By, Role, Scope};
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
                let is_allowed = match route.permission {
                    RoutePermission::None | RoutePermission::SignedIn | RoutePermission::Read => true,
                    RoutePermission::Write => role != Role::Viewer,
                    RoutePermission::Delete => matches!(role, Role::Admin | Role::Engineer),
                    RoutePermission::Configure => role == Role::Admin,
                };
                assert_eq!(policy.denial(&identity_with(&[role], &[])).is_none(), is_allowed, "{role} on {route:?}");
            }
            for scope in Scope::ALL {
                let is_allowed = match (route.permission, policy.class) {
                    (RoutePermission::None | RoutePermission::SignedIn, _) => true,
                    (RoutePermission::Write, RateClass::Ingest) => scope == Scope::Ingest,
                    (RoutePermission::Read, _) => scope == Scope::Read,
                    (RoutePermission::Write, _) => scope == Scope::Write,
                    (RoutePermission::Delete | RoutePermission::Configure, _) => false,
                };
                assert_eq!(policy.denial(&identity_with(&[], &[scope])).is_none(), is_allowed, "{scope} on {route:?}");
            }
            let without_roles = identity_with(&[], &[]);
            let open = matches!(route.permission, RoutePermission::None | RoutePermission::SignedIn);
            assert_eq!(policy.denial(&without_roles).is_none(), open, "no role on {route:?}");
        }
    }

    #[test]
    fn an_admin_of_some_sites_cannot_manage_users() {
        let of_south = Identity { sites: Some(vec!["south".into()]), ..identity_with(&[Role::Admin], &[]) };
        for route in ROUTES {
            let is_allowed = policy_for(&route.method, &fill_template(route.path)).denial(&of_south).is_none();
            assert_eq!(is_allowed, route.permission != RoutePermission::Configure, "{route:?}");
        }
    }

    #[test]
    fn a_one_time_password_only_allows_a_password_change() {
        let mut new_admin = identity_with(&[Role::Admin], &[]);
        new_admin.must_change_password = true;
        for route in ROUTES {
            let is_allowed = route.permission == RoutePermission::None || route.path.starts_with(AUTH_PREFIX);
            assert_eq!(
                policy_for(&route.method, &fill_template(route.path)).denial(&new_admin).is_none(),
                is_allowed,
                "{route:?}"
            );
        }
        assert!(policy_for(&Method::GET, "/metrics").denial(&new_admin).is_some());
        assert!(policy_for(&Method::GET, "/no/such/path").denial(&new_admin).is_some());
    }

    #[test]
    fn unknown_routes_are_not_public() {
        for path in ["/metrics", "/api/v1/nothing", "/api/v1/users/", "//api/v1/users", "/api/v1/%75sers"] {
            assert_ne!(policy_for(&Method::GET, path).required, RequiredPermission::Public, "{path}");
        }
        assert_eq!(policy_for(&Method::DELETE, "/api/v1/users").required, RequiredPermission::SignedIn);
        assert_eq!(
            policy_for(&Method::HEAD, "/api/v1/users").required,
            RequiredPermission::Permission(Permission::Configure)
        );
        assert_eq!(policy_for(&Method::OPTIONS, "/api/v1/users").required, RequiredPermission::Public);
        assert!(
            policy_for(&Method::GET, "/ws/anomalies").is_stream
                && policy_for(&Method::GET, "/api/v1/sensors/a/stream").is_stream
        );
        assert!(!policy_for(&Method::GET, "/api/v1/sensors/a").is_stream);
    }

    #[test]
    fn every_change_is_audited() {
        for route in ROUTES.iter().filter(|route| !route.method.is_safe()) {
            let audited = policy_for(&route.method, &fill_template(route.path)).audit;
            let unaudited = [
                "/api/v1/ingest",
                "/api/v1/tick",
                "/api/v1/detect",
                "/api/v1/maintenance/schedule",
                "/api/v1/auth/login",
                "/api/v1/auth/refresh",
            ];
            assert_eq!(audited == AuditMode::Skip, unaudited.contains(&route.path), "{route:?}");
        }
    }
}
