//! Settings from environment variables.

/// The bearer token required by every route that is not public.
const API_TOKEN_VARIABLE: &str = "WHEELTAPPER_API_TOKEN";
/// The bearer token required by `POST /api/v1/tick`.
const TICK_TOKEN_VARIABLE: &str = "WHEELTAPPER_TICK_TOKEN";
/// The origins, separated by commas, whose pages may send requests; `*` for all.
const CORS_ORIGINS_VARIABLE: &str = "WHEELTAPPER_CORS_ORIGINS";
/// `edge`: the edge host serves this API, together with routes of its own.
const HOST_VARIABLE: &str = "WHEELTAPPER_HOST";

/// The settings of the operator.
#[derive(Clone, Default)]
pub struct Settings {
    /// The API token. `None`: the API is open to anyone who reaches it.
    pub api_token: Option<String>,
    /// The token of `POST /api/v1/tick`. `None`: the route does not exist.
    pub tick_token: Option<String>,
    /// The origins whose pages may send requests. Empty: browsers block pages of other origins.
    pub allowed_origins: Vec<String>,
    /// Whether the edge host serves this API. Its own routes are then documented as well.
    pub is_edge_host: bool,
}

// Implemented by hand, so that no token gets into a log.
impl std::fmt::Debug for Settings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Settings")
            .field("api_token", &self.api_token.is_some())
            .field("tick_token", &self.tick_token.is_some())
            .field("origins", &self.allowed_origins)
            .field("edge", &self.is_edge_host)
            .finish()
    }
}

impl Settings {
    /// Reads the settings from variables, which `variable` looks up. An empty variable counts as not set: manifests
    /// pass unset variables on as empty ones.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let origins = set(CORS_ORIGINS_VARIABLE).unwrap_or_default();
        Self {
            api_token: set(API_TOKEN_VARIABLE),
            tick_token: set(TICK_TOKEN_VARIABLE),
            is_edge_host: set(HOST_VARIABLE).is_some_and(|host| host == "edge"),
            allowed_origins: origins
                .split(',')
                // An origin has no path, and browsers send it in lower case.
                .map(|origin| origin.trim().trim_end_matches('/').to_ascii_lowercase())
                .filter(|origin| !origin.is_empty())
                .collect(),
        }
    }
}
