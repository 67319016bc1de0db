//! What the operator set, by environment variables.

/// The bearer token that every route that is not open to all demands.
const API_TOKEN: &str = "WHEELTAPPER_API_TOKEN";
/// The bearer token of whoever may let time pass.
const TICK_TOKEN: &str = "WHEELTAPPER_TICK_TOKEN";
/// Origins, separated by commas, whose pages may ask; `*` for all.
const CORS_ORIGINS: &str = "WHEELTAPPER_CORS_ORIGINS";
/// `edge`: the edge host serves this, with what it answers itself beside it.
const HOST: &str = "WHEELTAPPER_HOST";

/// What the operator set.
#[derive(Clone, Default)]
pub struct Settings {
    /// None: the API is open.
    pub api_token: Option<String>,
    /// None: there is no such route.
    pub tick_token: Option<String>,
    /// Empty: pages of other origins are refused by their browsers.
    pub origins: Vec<String>,
    /// Whether the edge host serves this: its own routes are documented as well.
    pub edge: bool,
}

// By hand, so that no token gets into a log.
impl std::fmt::Debug for Settings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Settings")
            .field("api_token", &self.api_token.is_some())
            .field("tick_token", &self.tick_token.is_some())
            .field("origins", &self.origins)
            .field("edge", &self.edge)
            .finish()
    }
}

impl Settings {
    /// From variables, as `variable` gives them. An empty one is none: manifests pass on what nobody set as empty.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let origins = set(CORS_ORIGINS).unwrap_or_default();
        Self {
            api_token: set(API_TOKEN),
            tick_token: set(TICK_TOKEN),
            edge: set(HOST).is_some_and(|host| host == "edge"),
            origins: origins
                .split(',')
                // An origin has no path; browsers write it in lower case.
                .map(|origin| origin.trim().trim_end_matches('/').to_ascii_lowercase())
                .filter(|origin| !origin.is_empty())
                .collect(),
        }
    }
}
