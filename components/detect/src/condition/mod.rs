//! The judgement of an asset by its operating states.
//!
//! The sensors of an asset are drivers or responses ([`crate::sensor_kind`]). A bounded memory holds the states in which
//! the machine was seen ([`wheeltapper_detectors::similarity`]). Each response is compared with what the memory expects
//! for the present drivers and the other responses.
//!
//! - A state of the drivers that is not known is learnt first, for as long as the first state was. Nothing is judged in
//!   it. So a second load, a start or a stop raises no alarm, and all are known later.
//! - A machine that stands still is neither learnt nor judged, nor is a window that contains a change of state.
//! - The reference is frozen ([`model`]). What was normal since then is kept apart and taken over only after the machine
//!   has been watched for twice as long as before; what deviated is never taken over. So wear cannot be learnt step by
//!   step.
//! - A sensor that is faulty itself is told apart and left out ([`health`]).
//! - Limits are learnt too, on three time scales ([`deviation`]), with physical floors ([`track`]), and they are wide
//!   while little is known ([`plan`]).

mod deviation;
mod dry_run;
mod finding;
mod health;
mod model;
mod plan;
mod track;

pub(crate) use model::{ConditionModel, ConditionOutcome};
pub(crate) use plan::LearningPlan;
