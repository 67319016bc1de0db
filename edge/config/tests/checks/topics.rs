//! Validation of topic filters, templates of sensor ids, and formats.

use proptest::prelude::*;
use wheeltapper_config::PAYLOAD_FORMATS;
use wheeltapper_ingest::formats::Format;

use crate::{assert_single_errors, errors_of};

#[test]
fn errors_of_topic_rules_are_reported() {
    let rule = |rest: &str| format!("[[mqtt.topic]]\n{rest}\n");
    let sensor = |sensor: &str| rule(&format!("filter = \"a/+/#\"\nsensor = {sensor:?}"));
    assert_single_errors(&[
        (&rule("filter = \"a/#/b\""), "2:10", "write \"a/#\", or \"a/+/b\" for one level"),
        (&rule("filter = \"a/b+/c\""), "2:10", "stands for one whole level"),
        (&rule("filter = \"a/b#\""), "2:10", "stands for one whole level"),
        (&rule("filter = \"\""), "2:10", "\"#\" for all"),
        (&rule("filter = \"a\\u0000\""), "2:10", "NUL"),
        (&rule(&format!("filter = {:?}", "a/".repeat(200))), "2:10", "128 levels"),
        ("[mqtt.broker]\ningest = [\"a\", \"b/#/#\"]\n", "2:16", "write \"b/#\", or \"b/+/#\""),
        (&sensor("m/{2}"), "3:10", "has 1 \"+\" and a \"#\""),
        (&sensor("m/{0}"), "3:10", "has 1 \"+\""),
        (&sensor("m/{1"), "3:10", "unclosed brace"),
        (&sensor("m/{name}"), "3:10", "{topic} for the whole topic"),
        (&sensor(""), "3:10", "is empty"),
        (&rule("filter = \"a\"\nsensor = \"{#}\""), "3:10", "no \"#\""),
        (&rule("filter = \"a\"\nformat = \"jsn\""), "3:10", "did you mean \"json\"?"),
        (&rule("filter = \"a\"\nformat = \"image/png\""), "3:10", "json, ndjson, line-protocol,"),
    ]);
    for good in [
        rule("filter = \"a\"\nformat = \"JSON\""),
        rule("filter = \"a\"\nformat = \"application/json; charset=utf-8\""),
        rule("filter = \"+/+/#\"\nsensor = \"{1}/{2}/{#}/{topic}\""),
        rule("filter = \"/a//b\""),
        "[[mqtt.client]]\nurl = \"mqtt://a\"\ntopics = [\"$share/wheeltapper/plant/#\"]\n".to_owned(),
    ] {
        assert_eq!(errors_of(&good), "nothing", "{good}");
    }
}

#[test]
fn the_formats_are_those_of_ingest() {
    for format in PAYLOAD_FORMATS {
        assert!(Format::parse(format).is_ok(), "ingest does not know {format}");
    }
    // The error for an unknown format lists the known ones.
    let error = Format::parse("nonsense").unwrap_err().message;
    let (_, known) = error.split_once("expected one of ").unwrap();
    for word in known.split([',', ' ']).filter(|word| !["", "or", "a", "short", "name:"].contains(word)) {
        assert!(PAYLOAD_FORMATS.contains(&word), "{word} is missing in FORMATS");
    }
}

proptest! {
    #[test]
    fn formats_that_ingest_does_not_know_are_reported(format in "[a-z/+*-]{0,12}") {
        let text = format!("[[mqtt.topic]]\nfilter = \"a\"\nformat = {format:?}\n");
        prop_assert_eq!(errors_of(&text) == "nothing", !format.is_empty() && Format::parse(&format).is_ok());
    }

    #[test]
    fn arbitrary_rules_cause_no_panic(
        filter in "[a+#/$é]{0,9}",
        sensor in "[{}#a-z0-9é]{0,9}",
        url in "[a-z:/@\\[\\]é.0-9]{0,12}",
    ) {
        errors_of(&format!(
            "[http]\nlisten = {url:?}\n[[mqtt.topic]]\nfilter = {filter:?}\nsensor = {sensor:?}\n\
             [[mqtt.client]]\nurl = {url:?}\ntopics = [{filter:?}]\n[[nats]]\nurl = {url:?}\nstream = {filter:?}\nsubjects = [{filter:?}]\n"
        ));
    }
}
