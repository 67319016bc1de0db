//! The names of the contracts' enums in the store and in responses.

use wheeltapper_line_api::RejectionReason;

use crate::contracts::types::{Reason, Severity};

pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

pub(crate) fn reason_name(reason: Reason) -> &'static str {
    wheeltapper_line_api::convert_reason!(reason, Reason => RejectionReason).name()
}
