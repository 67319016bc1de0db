//! SenML, RFC 8428: labels that must be understood, and sums.

mod common;

use common::{decode, messages, one, readings, reasons};
use wheeltapper_ingest::Reason;

#[test]
fn a_label_that_must_be_understood_refuses_the_pack() {
    for label in ["scale_", "bct_", "_", "scale\\u005f", "scale\\u005F"] {
        let body = format!(
            r#"[{{"bn":"a/","bt":1.7e9}},{{"n":"x","v":1}},{{"n":"y","v":2,"{label}":{{"by":[1000]}}}},{{"n":"z","v":1}}]"#
        );
        let decoded = decode(Some("senml"), &body);
        assert_eq!((readings(&decoded), reasons(&decoded)), (vec![], vec![(0, Reason::Malformed)]), "{body}");
        // A table of sensors that have no reading would name what was refused.
        assert!(decoded.ends.is_empty());
        assert_eq!(decoded.refusals.iter().map(|refusal| refusal.readings).sum::<u32>(), 4);
        let said = messages(&decoded).concat();
        let name = label.replace("\\u005f", "_").replace("\\u005F", "_");
        assert!(said.contains("record 3") && said.contains(&format!("{name:?}")), "{said}");
    }
}

#[test]
fn other_labels_are_passed_over() {
    let body = r#"[{"n":"a_","t":1.7e9,"u":"_","v":1,"ct":"_","x_y":1,"more":{"inner_":"z_"}}]"#;
    assert_eq!(readings(&decode(Some("senml"), body)), [one("a_", 1.0)]);
}

#[test]
fn the_base_sum_is_added_to_sums() {
    let body = r#"[{"bn":"a/","bt":1.7e9,"bs":100,"bv":7,"n":"x","s":1},{"n":"y","s":2.5},{"n":"z","v":1,"s":2},{"bs":-1,"n":"x","s":0},{"n":"w"}]"#;
    let decoded = decode(Some("senml"), body);
    assert_eq!(readings(&decoded), [one("a/x", 101.0), one("a/y", 102.5), one("a/z", 8.0), one("a/x", -1.0)]);
    assert_eq!(reasons(&decoded), [(5, Reason::Malformed)]);
}
