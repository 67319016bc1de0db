#!/bin/bash
# Run in the repository root AFTER ra.py has applied h4.tsv: what rust-analyzer cannot see (wasm-only code, names in
# string attributes, derive attributes, the crate fuzz outside the workspace). Idempotent. Then: cargo fmt -p wheeltapper-api
set -eu
A=components/api
# 1. component.rs is cfg(target_family = "wasm"). Names after `front::` are WIT bindings and stay until front.wit changes.
perl -0pi -e '
  s/\bLIMIT\b/MAX_BODY_BYTES/g; s/\bis_too_large\b/exceeds_body_limit/g; s/\bbroken_off\b/incomplete_request/g;
  s/Settings::read\b/Settings::from_variables/g;
  s/(?<!front::)\bFrontError\b/LineApiError/g; s/\bFront\b/LineApi/g;
  s/(?<!front::)\bSample\b/DetectRequest/g; s/(?<!front::)\bChange\b/ActionRequest/g; s/\bRefused\b/Rejection/g;
  s/\bReason,(?= Receipt)/RejectionReason,/; s/WitReason => Reason\b/WitReason => RejectionReason/;
  s/(?<=ActionRequest, )Deed\b/Action/; s/wheeltapper_front::deed!\(deed, Deed => WitDeed\)/wheeltapper_front::convert_action!(action, Action => WitDeed)/;
  s/wheeltapper_front::table!/wheeltapper_front::convert_table!/; s/wheeltapper_front::reason!/wheeltapper_front::convert_reason!/;
  s/let ActionRequest \{ deed, id/let ActionRequest { action, id/;
  s/let refused = receipt\.refused/let rejections = receipt.refused/; s/refused: refused\.collect\(\)/rejections: rejections.collect()/;
  s/fn look\(/fn query(/; s/fn act\(/fn perform_action(/; s/change: &ActionRequest/request: &ActionRequest/; s/= change\.clone\(\)/= request.clone()/;
  s/sample: &DetectRequest/request: &DetectRequest/; s/= sample\.clone\(\)/= request.clone()/;
  s/Self::Broken\(/Self::Internal(/; s/Self::Absent\(/Self::NotFound(/;
' $A/src/component.rs
# 2. names in string attributes and derive attributes
S=$A/src/shapes; [ -d $A/src/schemas ] && S=$A/src/schemas
perl -pi -e 's/with = "Moment"/with = "Timestamp"/; s/with = "Loose"/with = "JsonObject"/; s/"given"/"non_null"/; s/\bgiven\b(?=[};])/non_null/; s/\bfn given</fn non_null</' $S/*.rs
perl -pi -e 's/params\(Action\)/params(ActionRow)/' $A/src/graphql/query.rs
# 3. the crate fuzz is not in the workspace
perl -pi -e 's/\bFrontError::Absent\b/LineApiError::NotFound/g; s/\bFrontError\b/LineApiError/g; s/\bFront\b/LineApi/g; s/\bChange\b/ActionRequest/g; s/\bSample\b/DetectRequest/g;
  s/fn look\(/fn query(/; s/fn act\(/fn perform_action(/; s/Filter::MOST\b/Filter::MAX_ROWS/g; s/refused: Vec::new\(\)/rejections: Vec::new()/' fuzz/src/api.rs
