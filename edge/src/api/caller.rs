//! The caller of a request, and the record of what the caller did.

use std::sync::{Arc, Mutex, PoisonError};

use crate::intake::site_filter::is_at_sites;

/// The caller of a request.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name under which the caller's actions are recorded.
    pub actor: String,
    /// The sites that the caller may see; `None`: all.
    pub sites: Option<Vec<String>>,
    /// Whether the caller may only read. The route alone does not decide this for GraphQL, which both reads and
    /// changes.
    pub read_only: bool,
    /// Where the actions of the request are recorded.
    pub actions: ActionLog,
}

/// The actions of a request, for the audit: the body of a GraphQL request alone does not show what it changed.
#[derive(Clone, Debug, Default)]
pub struct ActionLog(Arc<Mutex<Vec<ActionOutcome>>>);

/// An action of a caller, whether it succeeded or not.
#[derive(Clone, Debug)]
pub struct ActionOutcome {
    /// The name of the action.
    pub action: &'static str,
    /// The id of the row that it changed.
    pub target: String,
    /// The text that came with it: a comment, or the requested changes.
    pub text: String,
    /// Whether it succeeded.
    pub succeeded: bool,
}

impl ActionLog {
    pub(super) fn record(&self, outcome: ActionOutcome) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
    }

    /// Returns the actions so far, and removes them.
    pub fn take(&self) -> Vec<ActionOutcome> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Caller {
    /// Whether an asset belongs to a site that the caller may see.
    pub fn can_see(&self, asset: &str) -> bool {
        self.sites.as_ref().is_none_or(|sites| is_at_sites(asset, sites))
    }
}
