//! SenML, RFC 8428: labels that must be understood.

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
