//! What people ask of the planner. It lies in the store until a plan has taken it.

use serde::{Deserialize, Serialize};

use crate::components::wit::{schedule::Amendment, types::Alert};

/// What somebody wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Wish {
    /// The repair that an alert calls for.
    Repair(Alert),
    /// Another time, technician or status of a work order.
    Amend {
        /// What.
        amendment: Amendment,
        /// When it was asked.
        now: i64,
    },
    /// To know what a plan would look like.
    Plan {
        /// The task that it is told to.
        task: String,
        /// When it was asked.
        now: i64,
        /// As `wit/front.wit` has it.
        request: String,
        /// Assets that the plan is told of; none: all.
        assets: Option<Vec<String>>,
    },
}
