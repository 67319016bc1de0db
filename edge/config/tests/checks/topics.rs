//! Topic filters, templates of sensors' names, formats.

use proptest::prelude::*;
use wheeltapper_config::FORMATS;
use wheeltapper_ingest::formats::Format;

use crate::{each, told};

#[test]
fn topic_rules_are_told_with_their_place() {
    let rule = |rest: &str| format!("[[mqtt.topic]]\n{rest}\n");
    let sensor = |sensor: &str| rule(&format!("filter = \"a/+/#\"\nsensor = {sensor:?}"));
    each(&[
        (&rule("filter = \"a/#/b\""), "2:10", "write \"a/#\", or \"a/+/b\" for just one level"),
        (&rule("filter = \"a/b+/c\""), "2:10", "stands for one whole level"),
        (&rule("filter = \"a/b#\""), "2:10", "stands for one whole level"),
        (&rule("filter = \"\""), "2:10", "\"#\" for all"),
        (&rule("filter = \"a\\u0000\""), "2:10", "NUL"),
        (&rule(&format!("filter = {:?}", "a/".repeat(200))), "2:10", "128 levels"),
        ("[mqtt.broker]\ningest = [\"a\", \"b/#/#\"]\n", "2:16", "write \"b/#\", or \"b/+/#\""),
        (&sensor("m/{2}"), "3:10", "has 1 \"+\" and a \"#\""),
        (&sensor("m/{0}"), "3:10", "has 1 \"+\""),
        (&sensor("m/{1"), "3:10", "not closed"),
        (&sensor("m/{name}"), "3:10", "{topic} for all of it"),
        (&sensor(""), "3:10", "has a name"),
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
        assert_eq!(told(&good), "nothing", "{good}");
    }
}

#[test]
fn the_formats_are_those_of_ingest() {
    for format in FORMATS {
        assert!(Format::named(format).is_ok(), "ingest does not know {format}");
    }
    // What it knows it tells of whoever asks for something else.
    let told = Format::named("nonsense").unwrap_err().message;
    let (_, known) = told.split_once("expected one of ").unwrap();
    for word in known.split([',', ' ']).filter(|word| !["", "or", "a", "short", "name:"].contains(word)) {
        assert!(FORMATS.contains(&word), "{word} is missing in FORMATS");
    }
}

proptest! {
    #[test]
    fn what_is_no_format_of_ingest_is_told(format in "[a-z/+*-]{0,12}") {
        let text = format!("[[mqtt.topic]]\nfilter = \"a\"\nformat = {format:?}\n");
        prop_assert_eq!(told(&text) == "nothing", !format.is_empty() && Format::named(&format).is_ok());
    }

    #[test]
    fn no_rule_makes_it_panic(filter in "[a+#/$é]{0,9}", sensor in "[{}#a-z0-9é]{0,9}", url in "[a-z:/@\\[\\]é.0-9]{0,12}") {
        told(&format!(
            "[http]\nlisten = {url:?}\n[[mqtt.topic]]\nfilter = {filter:?}\nsensor = {sensor:?}\n\
             [[mqtt.client]]\nurl = {url:?}\ntopics = [{filter:?}]\n[[nats]]\nurl = {url:?}\nstream = {filter:?}\nsubjects = [{filter:?}]\n"
        ));
    }
}
