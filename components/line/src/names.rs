//! The names that people and the store see.

use crate::contracts::types::{Reason, Severity};

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Malformed => "malformed",
        Reason::Oversize => "oversize",
        Reason::NonFinite => "non-finite",
        Reason::TooOld => "too-old",
        Reason::InFuture => "in-future",
        Reason::UnknownSensor => "unknown-sensor",
        Reason::OutOfRange => "out-of-range",
        Reason::Duplicate => "duplicate",
        Reason::Late => "late",
        Reason::StageFailure => "stage-failure",
    }
}
