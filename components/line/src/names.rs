//! The names that people and the store see.

use wheeltapper_front::Reason as Named;

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
    wheeltapper_front::reason!(reason, Reason => Named).name()
}
