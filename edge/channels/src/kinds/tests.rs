//! What each kind renders: within the limits, and without a text that acts as markup.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::{
    AlertMessage, Event, Notification, Severity, Wording, notification::tests::message, secret::Secret, text::Unit,
};

fn odd(title: &str, text: &str, event: Event) -> Notification {
    let wording = Wording { url: Some("https://plant.example".into()), ..Wording::default() };
    wording.notification(&AlertMessage {
        title: title.into(),
        message: text.into(),
        recommendation: text.into(),
        asset: format!("north/{}", title.replace('/', "")),
        fault_mode: Some(title.into()),
        ..message("54da40dba52a53d6721e63fb78bbf04a", event, Severity::Critical)
    })
}

/// All texts of a JSON value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

const NASTY: &str = "pump_07* <b>&\"x\"</b> <!channel> [a](http://evil) `c` \u{202e}\r\nBcc: x@evil";

#[test]
fn slack_gets_plain_text_with_escaped_control_characters() {
    let body = slack::body(&odd(NASTY, NASTY, Event::Opened));
    let all = body.to_string();
    assert!(!all.contains("<b>") && !all.contains("<!channel>") && all.contains("pump_07* &lt;b&gt;&amp;"), "{all}");
    let blocks = body["blocks"].as_array().unwrap();
    let mrkdwn: Vec<&Value> = blocks.iter().filter(|block| block["text"]["type"] == "mrkdwn").collect();
    assert_eq!(mrkdwn.len(), 1, "only the link has markup");
    assert!(mrkdwn[0]["text"]["text"].as_str().unwrap().starts_with("<https://plant.example/#/anomaly/"));
    assert_eq!(body["mrkdwn"], false);
}

#[test]
fn teams_gets_a_card_of_version_1_4_without_markdown() {
    for envelope in [true, false] {
        let body = teams::body(&odd(NASTY, NASTY, Event::Opened), envelope);
        let card = if envelope { &body["attachments"][0]["content"] } else { &body };
        if envelope {
            assert_eq!(body["type"], "message");
            assert_eq!(body["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive");
        }
        assert_eq!((card["type"].as_str(), card["version"].as_str()), (Some("AdaptiveCard"), Some("1.4")));
        let blocks = card["body"].as_array().unwrap();
        // Only a TextBlock interprets Markdown.
        assert!(blocks.iter().all(|block| block["type"] == "RichTextBlock"));
        assert!(texts(card).iter().any(|text| text.contains("pump_07* <b>")));
        assert_eq!(card["actions"][0]["type"], "Action.OpenUrl");
    }
}

#[test]
fn pagerduty_resolves_the_incident_that_it_opened() {
    let key = "0123456789abcdef0123456789abcdef";
    let opened = pagerduty::body(&odd("pump", "text", Event::Opened), key);
    let resolved = pagerduty::body(&odd("pump", "text", Event::Resolved), key);
    assert_eq!((&opened["event_action"], &resolved["event_action"]), (&"trigger".into(), &"resolve".into()));
    assert_eq!(opened["dedup_key"], resolved["dedup_key"]);
    assert_eq!(opened["payload"]["severity"], "critical");
    assert_eq!(opened["payload"]["timestamp"], "2026-01-05T08:01:50.000Z");
}

#[test]
fn telegram_gets_html_that_is_escaped() {
    let text = telegram::text(&odd(NASTY, NASTY, Event::Opened));
    assert!(text.contains("pump_07* &lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;"), "{text}");
    let tags: Vec<&str> = text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect();
    assert!(tags.iter().all(|tag| ["b", "/b", "/a"].contains(tag) || tag.starts_with("a href=")), "{tags:?}");
}

#[test]
fn a_call_reads_text_that_is_no_markup() {
    let twiml = twilio::twiml(&odd(NASTY, NASTY, Event::Opened));
    assert!(twiml.starts_with("<Response><Say>") && twiml.ends_with("</Say></Response>"), "{twiml}");
    assert_eq!(twiml.matches('<').count(), 7, "{twiml}");
}

#[test]
fn cef_has_seven_bars_and_escaped_values() {
    let text = syslog::message(&odd("a|b\\c", "x=y\nnext line | \\", Event::Opened), "edge", 7, 2048);
    assert!(
        text.starts_with("<130>1 2026-01-05T08:01:50.000Z edge wheeltapper 7 alert - CEF:0|Wheeltapper|"),
        "{text}"
    );
    let bare = text.replace("\\\\", "").replace("\\|", "");
    let header = bare.split_once("rt=").unwrap().0;
    assert_eq!(header.matches('|').count(), 7, "{text}");
    assert!(text.contains("msg=x\\=y\\nnext line | \\\\"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

fn webhook(template: Option<&str>, secret: &str, signature: wheeltapper_config::WebhookSignature) -> webhook::Webhook {
    let json = "application/json";
    webhook::Webhook {
        url: crate::http::CheckedUrl::new("url", "https://hook.example", &crate::AllowedHosts::default()).unwrap(),
        secret: Some(Secret::new(secret)),
        signature,
        content_type: json.into(),
        template: template.map(|text| webhook::template(text.into(), json).unwrap()),
    }
}

#[test]
fn a_template_gets_the_fields_and_escapes_them() {
    let signature = wheeltapper_config::WebhookSignature::Body;
    let hook = webhook(Some(r#"{"a": {{ asset }}, "n": {{ alert.id }}, "s": "{{ severity|upper }}"}"#), "x", signature);
    // Within quotes a template writes a plain word; JSON escaping adds the quotes itself.
    let body = hook.body(&odd(NASTY, NASTY, Event::Opened));
    assert!(body.is_ok(), "{body:?}");
    let hook = webhook(Some(r#"{"asset": {{ asset }}, "facts": {{ facts }}}"#), "x", signature);
    let parsed: Value = serde_json::from_str(&hook.body(&odd(NASTY, NASTY, Event::Opened)).unwrap()).unwrap();
    assert!(parsed["asset"].as_str().unwrap().starts_with("north/pump_07* <b>"));
    assert_eq!(parsed["facts"][1]["value"], "critical");
    for (text, expected) in [("{{ asset", "line 1"), ("\n{% if %}", "line 2")] {
        let error = webhook::template(text.into(), "application/json").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let endless =
        webhook(Some("{% for a in facts %}{% for b in facts %}{{ missing }}{% endfor %}{% endfor %}"), "x", signature);
    let why = endless.body(&odd("a", "b", Event::Opened)).unwrap_err();
    assert!(why.contains("undefined"), "{why}");
}

#[test]
fn an_email_has_both_parts_and_no_injected_header() {
    let notification = odd(NASTY, NASTY, Event::Opened);
    let html = email::html(&notification).unwrap();
    assert!(html.contains("pump_07* &lt;b&gt;&amp;&quot;x&quot;&lt;") && !html.contains("<b>"), "{html}");
    let text = email::text(&notification);
    assert!(text.contains("pump_07* <b>&\"x\"</b>") && !text.contains('\r'), "{text}");
    let settings: wheeltapper_config::EmailChannel = serde_json::from_value(serde_json::json!({
        "server": "mail.plant", "from": "Wheeltapper <alerts@plant.example>", "to": ["a@plant.example", "Ü <b@plant.example>"],
    }))
    .unwrap();
    let timeout = std::time::Duration::from_secs(1);
    let email = email::Email::new(&settings, None, timeout, &crate::AllowedHosts::default()).unwrap();
    let bytes = email::compose(&email, &notification, 1_767_600_110_000_000_000).unwrap().formatted();
    let formatted = String::from_utf8(bytes.clone()).unwrap();
    let head = formatted.split_once("\r\n\r\n").unwrap().0;
    assert!(!head.contains("\r\nBcc:"), "{head}");
    assert!(head.contains("Auto-Submitted: auto-generated") && head.contains("Importance: high"), "{head}");
    assert!(head.contains("Date: Mon, 05 Jan 2026 08:01:50"), "{head}");
    assert!(formatted.lines().all(|line| line.len() <= 998));
    assert_eq!(
        bytes,
        email::compose(&email, &notification, 1_767_600_110_000_000_000).unwrap().formatted(),
        "reproducible"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_rendering_keeps_the_limits_of_its_channel(
        title in "\\PC{0,300}|[<>&\"|=\\\\]{0,3000}", words in "\\PC{1,80}|[<&\n\"=]{1,40}|😀{1,20}", times in 1_usize..2000
    ) {
        let notification = odd(&title, &words.repeat(times), Event::Opened);
        let body = slack::body(&notification);
        let blocks = body["blocks"].as_array().unwrap();
        prop_assert!(blocks.len() <= 50);
        for block in blocks {
            let limit = if block["type"] == "header" { 150 } else { 3000 };
            prop_assert!(block["text"]["text"].as_str().is_none_or(|text| Unit::Utf16.length(text) <= limit));
            let fields = block["fields"].as_array().cloned().unwrap_or_default();
            prop_assert!(fields.len() <= 10);
            prop_assert!(fields.iter().all(|field| Unit::Utf16.length(field["text"].as_str().unwrap()) <= 2000));
        }
        for envelope in [true, false] {
            prop_assert!(teams::body(&notification, envelope).to_string().len() <= 28 * 1024);
        }
        let event = pagerduty::body(&notification, "k");
        prop_assert!(event.to_string().len() <= 512_000);
        prop_assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
        prop_assert!(event["payload"]["source"].as_str().unwrap().chars().count() <= 255);
        prop_assert!(Unit::Utf16.length(&telegram::text(&notification)) <= 4096);
        prop_assert!(ntfy::body(&notification, "t")["message"].as_str().unwrap().len() <= 4096);
        prop_assert!(Unit::Utf16.length(&twilio::sms(&notification)) <= 1600);
        prop_assert!(Unit::Utf16.length(&twilio::twiml(&notification)) <= 4000);
        prop_assert!(syslog::message(&notification, "h", 1, 2048).len() <= 2048);
        // What is left out is said.
        if times > 1900 && words.chars().count() > 10 {
            for text in [body.to_string(), telegram::text(&notification), twilio::sms(&notification), event.to_string()] {
                prop_assert!(text.contains("characters left out"), "{text}");
            }
        }
    }
}
