//! The events in the queues, encoded with postcard.

use serde::{Deserialize, Serialize};

use crate::{
    action_rules::WorkOrderChange,
    contracts::{
        detect::Detected,
        types::{Alert, FeatureBatch, ReadingBatch},
    },
};

/// Input of featurize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FeaturizeEvent {
    /// Readings of one asset.
    Push(Box<ReadingBatch>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
    /// A user resets the baseline of the asset, at this time in nanoseconds since 1970.
    ResetBaseline(i64),
}

/// What a stage does after the windows of an event. The first two are encoded as an `Option<i64>`, as which events of
/// earlier versions have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FollowUp {
    /// Nothing.
    Nothing,
    /// It advances the time to this, in nanoseconds since 1970.
    Tick(i64),
    /// It resets the baseline of the asset, at this time in nanoseconds since 1970.
    ResetBaseline(i64),
}

/// Input of detect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DetectEvent {
    pub(crate) features: FeatureBatch,
    pub(crate) follow_up: FollowUp,
}

/// Input of alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlertEvent {
    pub(crate) detected: Detected,
    /// The output of the tick, which follows that of the features.
    pub(crate) tick_output: Option<Detected>,
    pub(crate) follow_up: FollowUp,
}

/// Input of schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum PlannerCommand {
    /// The alerts that one step of one asset changed, or the alert of a repair that a user ordered.
    Alerts(Vec<Alert>),
    /// The current time, in nanoseconds since 1970.
    Tick(i64),
    /// A user changes a work order.
    AmendWorkOrder { order: String, change: WorkOrderChange, now: i64 },
    /// A user requests a what-if plan.
    PlanTask(Box<PlanTask>),
}

/// A what-if plan to compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlanTask {
    pub(crate) id: String,
    /// [`crate::action_rules::PlanRequest`] as JSON.
    pub(crate) request: String,
    /// The assets whose orders are reported. `None`: all.
    pub(crate) assets: Option<Vec<String>>,
    pub(crate) now: i64,
}

#[cfg(test)]
mod tests {
    use super::FollowUp;

    #[test]
    fn events_of_earlier_versions_are_read() {
        for (earlier, expected) in [(None, FollowUp::Nothing), (Some(-7), FollowUp::Tick(-7))] {
            let bytes = postcard::to_allocvec::<Option<i64>>(&earlier).unwrap();
            assert_eq!(postcard::from_bytes::<FollowUp>(&bytes).unwrap(), expected);
            assert_eq!(postcard::to_allocvec(&expected).unwrap(), bytes);
        }
        let reset = postcard::to_allocvec(&FollowUp::ResetBaseline(7)).unwrap();
        assert_eq!(postcard::from_bytes::<FollowUp>(&reset).unwrap(), FollowUp::ResetBaseline(7));
    }
}
