//! Commands to the planner. They are kept in the store until the planner has processed them.

use serde::{Deserialize, Serialize};

use crate::components::wit::{schedule::Amendment, types::Alert};

/// A command of a user to the planner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum PlannerCommand {
    /// Create a work order for an alert.
    Repair(Alert),
    /// Change the time, technician or status of a work order.
    Amend {
        /// The change.
        amendment: Amendment,
        /// Time of the command, in nanoseconds since 1970.
        now: i64,
    },
    /// Compute a what-if plan.
    Plan {
        /// Id of the task that receives the result.
        task: String,
        /// Time of the command, in nanoseconds since 1970.
        now: i64,
        /// The request as JSON, in the format of `wit/line-api.wit`.
        request: String,
        /// Only the orders of these assets are returned; `None`: all.
        assets: Option<Vec<String>>,
    },
}
