//! From the contracts' types to names and rows.

use wheeltapper_line_api::RejectionReason;

use crate::contracts::types::Reason;

wheeltapper_domain::contract_mapping!(crate::contracts::types);

/// The name of a reason in replies, metrics and the store.
pub(crate) fn reason_name(reason: Reason) -> &'static str {
    wheeltapper_line_api::convert_reason!(reason, Reason => RejectionReason).name()
}
