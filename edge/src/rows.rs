//! From the contracts' types to names and rows of the store.

use wheeltapper_line_api::RejectionReason;

use crate::components::wit::types::Reason;

wheeltapper_domain::contract_mapping!(crate::components::wit::types);

/// The name of a reason in replies, metrics and the store.
pub(crate) fn reason_name(reason: Reason) -> &'static str {
    wheeltapper_line_api::convert_reason!(reason, Reason => RejectionReason).name()
}
