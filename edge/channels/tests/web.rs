//! Channels over HTTP, to receivers that check what the published schemas demand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod receivers;

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use receivers::{
    Answer, Certificates, NOW, Request, Secrets, WebServer, channel, notification, send, try_channel, why,
};
use sha2::Sha256;
use wheeltapper_channels::{Event, Outcome};

const KEY: &str = "54da40dba52a53d6721e63fb78bbf04a-1767600110000000000-opened";
const OK: &[Answer] = &[("200 OK", "ok")];

fn slack(server: &WebServer, secrets: &Secrets) -> wheeltapper_channels::Channel {
    let url = secrets.write("url", &format!("{}/services/T0/B0/hunter2", server.url()));
    channel(&format!("[alerts.channel.slack]\nurl_file = {url}\n"))
}

#[test]
fn slack_gets_blocks() {
    let (server, secrets) = (WebServer::start(OK), Secrets::new());
    assert_eq!(send(&slack(&server, &secrets)).outcome, Outcome::Delivered);
    let request = server.request();
    assert_eq!((request.path.as_str(), request.headers["idempotency-key"].as_str()), ("/services/T0/B0/hunter2", KEY));
    let body = request.json();
    assert_eq!(body["text"], "Alert: pump_07* &lt;b&gt;: likely overheating (critical)");
    for block in body["blocks"].as_array().unwrap() {
        assert!(["header", "section"].contains(&block["type"].as_str().unwrap()), "{block}");
        assert!(block["text"].is_object() || block["fields"].is_array(), "{block}");
    }
}

#[test]
fn answers_are_explained_without_the_secret() {
    let secrets = Secrets::new();
    let cases: &[(&'static [Answer], bool, &str)] = &[
        (&[("404 Not Found", "no_service")], true, "create a new one"),
        (&[("410 Gone", "channel_is_archived")], true, "does not exist any more"),
        (&[("500 Internal Server Error", "<html>garbage")], false, "answered 500"),
        (&[("429 Too Many Requests\r\nRetry-After: 7", "")], false, "limits the rate"),
        (&[("302 Found\r\nLocation: http://evil.example/hunter2", "")], false, "redirect to http://evil.example"),
        (&[("200 OK", "<html>Sign in to this network")], false, "a web page"),
        (&[("nonsense", "")], false, "request to http://127.0.0.1"),
    ];
    for (answers, is_final, expected) in cases {
        let server = WebServer::start(answers);
        let attempt = send(&slack(&server, &secrets));
        let text = why(&attempt);
        assert!(text.contains(expected) && !text.contains("hunter2"), "{text}");
        assert_eq!(matches!(attempt.outcome, Outcome::Rejected { .. }), *is_final, "{attempt:?}");
        if expected.contains("rate") {
            let Outcome::Failed { retry_after, .. } = attempt.outcome else { panic!() };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        // No redirect is followed.
        assert!(server.requests().len() <= 1);
    }
}

#[test]
fn teams_gets_an_adaptive_card_and_says_accepted() {
    let secrets = Secrets::new();
    for (envelope, path) in [("", "/attachments/0/content"), ("envelope = false\n", "")] {
        let server = WebServer::start(&[("202 Accepted", "")]);
        let url = secrets.write("url", &format!("{}/workflows/x/triggers/manual?sig=hunter2", server.url()));
        let attempt = send(&channel(&format!("[alerts.channel.teams]\nurl_file = {url}\n{envelope}")));
        assert!(matches!(&attempt.outcome, Outcome::Accepted { note } if note.contains("run history")), "{attempt:?}");
        let body = server.request().json();
        let card = body.pointer(path).unwrap();
        assert_eq!((&card["type"], &card["version"]), (&"AdaptiveCard".into(), &"1.4".into()));
        assert_eq!(card["$schema"], "http://adaptivecards.io/schemas/adaptive-card.json");
        for block in card["body"].as_array().unwrap() {
            assert_eq!(block["type"], "RichTextBlock");
            assert!(
                block["inlines"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|run| run["type"] == "TextRun" && run["text"].is_string())
            );
        }
    }
}

#[test]
fn pagerduty_gets_events() {
    let (server, secrets) = (WebServer::start(&[("202 Accepted", r#"{"status":"success"}"#)]), Secrets::new());
    let key = "0123456789abcdef0123456789abcdef";
    let pagerduty = channel(&format!(
        "[alerts.channel.pagerduty]\nurl = {:?}\nrouting_key_file = {}\n",
        server.url(),
        secrets.write("key", key)
    ));
    assert!(send(&pagerduty).outcome.is_success());
    assert!(pagerduty.send(&notification(Event::Resolved), &BTreeSet::new(), NOW).outcome.is_success());
    let requests = server.requests();
    let (opened, resolved) = (requests[0].json(), requests[1].json());
    assert_eq!(requests[0].path, "/v2/enqueue");
    assert_eq!((&opened["routing_key"], &opened["event_action"]), (&key.into(), &"trigger".into()));
    for field in ["summary", "source", "severity"] {
        assert!(opened["payload"][field].as_str().is_some_and(|text| !text.is_empty()), "{opened}");
    }
    assert_eq!((&resolved["event_action"], &resolved["dedup_key"]), (&"resolve".into(), &opened["dedup_key"]));
    let server = WebServer::start(&[(
        "400 Bad Request",
        r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect"]}"#,
    )]);
    let wrong = channel(&format!(
        "[alerts.channel.pagerduty]\nurl = {:?}\nrouting_key_file = {}\n",
        server.url(),
        secrets.write("key", "hunter2")
    ));
    let text = why(&send(&wrong));
    assert!(text.contains("32 characters") && text.contains("is incorrect") && !text.contains("hunter2"), "{text}");
}

#[test]
fn telegram_gets_one_message_for_each_chat() {
    let answers: &[Answer] = &[
        ("200 OK", r#"{"ok":true,"result":{}}"#),
        ("403 Forbidden", r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#),
        (
            "429 Too Many Requests",
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":13}}"#,
        ),
    ];
    let (server, secrets) = (WebServer::start(answers), Secrets::new());
    let telegram = channel(&format!(
        "[alerts.channel.telegram]\nurl = {:?}\ntoken_file = {}\nchats = [\"-100\", \"@plant_alerts\", \"7\"]\n",
        server.url(),
        secrets.write("token", "123:hunter2")
    ));
    let attempt = send(&telegram);
    assert_eq!(attempt.finished, ["-100", "@plant_alerts"]);
    assert!(attempt.refused[0].1.contains("the bot may not write to this chat"), "{attempt:?}");
    let Outcome::Failed { retry_after, why } = attempt.outcome else { panic!() };
    assert!(retry_after == Some(Duration::from_secs(13)) && !why.contains("hunter2"), "{why}");
    let request: &Request = &server.requests()[0];
    assert_eq!(request.path, "/bot123:hunter2/sendMessage");
    let body = request.json();
    assert_eq!((&body["chat_id"], &body["parse_mode"]), (&"-100".into(), &"HTML".into()));
    assert!(body["text"].as_str().unwrap().contains("pump_07* &lt;b&gt;"), "{body}");
}

#[test]
fn ntfy_gets_json_with_a_token() {
    let (server, secrets) = (WebServer::start(OK), Secrets::new());
    let ntfy = channel(&format!(
        "[alerts.channel.ntfy]\nurl = {:?}\ntopic = \"plant-alerts\"\ntoken_file = {}\n",
        server.url(),
        secrets.write("token", "tk_hunter2")
    ));
    assert_eq!(send(&ntfy).outcome, Outcome::Delivered);
    let request = server.request();
    assert_eq!((request.path.as_str(), request.headers["authorization"].as_str()), ("/", "Bearer tk_hunter2"));
    let body = request.json();
    assert_eq!((&body["topic"], &body["priority"]), (&"plant-alerts".into(), &5.into()));
    assert_eq!(body["click"], "https://plant.example/#/anomaly/4c7b2a7a0143ae81b0ad6bf71515bd5f");
}

#[test]
fn text_messages_and_calls_are_forms() {
    let secrets = Secrets::new();
    let token = secrets.write("token", "hunter2");
    for (kind, resource, field) in [("sms", "Messages.json", "Body"), ("voice", "Calls.json", "Twiml")] {
        let answers: &[Answer] = &[
            ("201 Created", r#"{"sid":"SM0","status":"queued"}"#),
            ("400 Bad Request", r#"{"code":21211,"message":"Invalid 'To' Phone Number"}"#),
        ];
        let server = WebServer::start(answers);
        let phones = channel(&format!(
            "[alerts.channel.{kind}]\nurl = {:?}\naccount = \"AC0123\"\ntoken_file = {token}\nfrom = \"+31201234567\"\n\
             to = [\"+31612345678\", \"+31600000000\"]\n",
            server.url()
        ));
        let attempt = send(&phones);
        assert!(matches!(attempt.outcome, Outcome::Accepted { .. }), "{attempt:?}");
        assert!(attempt.refused[0].1.contains("the number is not one that can be reached"), "{attempt:?}");
        let request = &server.requests()[0];
        assert_eq!(request.path, format!("/2010-04-01/Accounts/AC0123/{resource}"));
        assert_eq!(request.headers["authorization"], format!("Basic {}", STANDARD.encode("AC0123:hunter2")));
        let form: Vec<(String, String)> = request.body.split('&').map(pair).collect();
        assert_eq!(form[0], ("To".into(), "+31612345678".into()));
        assert_eq!(form[1], ("From".into(), "+31201234567".into()));
        assert_eq!(form[2].0, field);
        assert!(form[2].1.contains("likely overheating"), "{form:?}");
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap();
    (name.to_owned(), percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
}

#[test]
fn webhooks_are_signed() {
    let secrets = Secrets::new();
    let key = STANDARD.encode(b"a secret of 24 bytes....");
    let secret = secrets.write("secret", &format!("whsec_{key}"));
    let server = WebServer::start(OK);
    let webhook =
        channel(&format!("[alerts.channel.webhook]\nurl = \"{}/hook\"\nsecret_file = {secret}\n", server.url()));
    assert_eq!(send(&webhook).outcome, Outcome::Delivered);
    let request = server.request();
    let header = |name: &str| request.headers[name].clone();
    assert_eq!((header("webhook-id").as_str(), header("webhook-timestamp").as_str()), (KEY, "1767600120"));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret of 24 bytes....").unwrap();
    mac.update(format!("{KEY}.1767600120.{}", request.body).as_bytes());
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    let body = request.json();
    assert_eq!((&body["event"], &body["route"]), (&"opened".into(), &"ops".into()));
    assert_eq!(body["alert"]["id"], "54da40dba52a53d6721e63fb78bbf04a");

    // The signature of the body alone, which openssl checks: printf … | openssl dgst -sha256 -hmac secret
    let server = WebServer::start(OK);
    let secret = secrets.write("plain", "plain secret");
    let webhook = channel(&format!(
        "[alerts.channel.webhook]\nurl = \"{}/hook\"\nsecret_file = {secret}\nsignature = \"body\"\n",
        server.url()
    ));
    assert_eq!(send(&webhook).outcome, Outcome::Delivered);
    let request = server.request();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"plain secret").unwrap();
    mac.update(request.body.as_bytes());
    assert_eq!(request.headers["x-hub-signature-256"], format!("sha256={}", hex::encode(mac.finalize().into_bytes())));
}

#[test]
fn a_template_makes_the_body() {
    let (server, secrets) = (WebServer::start(OK), Secrets::new());
    let template = secrets.write(
        "body.json",
        r#"{"summary": {{ subject }}, "machine": {{ asset }}, "urgent": {{ severity == "critical" }}}"#,
    );
    let webhook =
        channel(&format!("[alerts.channel.webhook]\nurl = \"{}\"\ntemplate_file = {template}\n", server.url()));
    assert_eq!(send(&webhook).outcome, Outcome::Delivered);
    let expected = serde_json::json!({
        "summary": "Alert: pump_07* <b>: likely overheating (critical)", "machine": "north/hall-1/pump_07* <b>", "urgent": true,
    });
    assert_eq!(server.request().json(), expected);
    let broken = secrets.write("broken.json", "{{ subject }\n");
    let error =
        try_channel(&format!("[alerts.channel.webhook]\nurl = \"{}\"\ntemplate_file = {broken}\n", server.url()));
    assert!(error.unwrap_err().to_string().contains("line 1"));
}

#[test]
fn private_authorities_are_trusted_only_if_they_are_named() {
    let certificates = Certificates::new("localhost");
    let server = WebServer::start_tls(OK, &certificates);
    let webhook = format!("[alerts.channel.webhook]\nurl = \"https://localhost:{}/hook\"\n", server.port);
    let text = why(&send(&channel(&webhook)));
    assert!(text.contains("authority that is not trusted"), "{text}");
    let with_ca = format!("ca_file = {:?}\n{webhook}", certificates.file("ca.pem"));
    assert_eq!(send(&channel(&with_ca)).outcome, Outcome::Delivered);
    let by_address = with_ca.replace("localhost", "127.0.0.1");
    let text = why(&send(&channel(&by_address)));
    assert!(text.contains("is for another name"), "{text}");
}

#[test]
fn a_silent_or_missing_server_is_explained() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = format!("[alerts.channel.webhook]\nurl = \"http://127.0.0.1:{port}/hunter2\"\n");
    let text = why(&send(&channel(&silent)));
    assert!(text.contains("did not answer within 3s") && !text.contains("hunter2"), "{text}");
    drop(listener);
    let text = why(&send(&channel(&silent)));
    assert!(text.contains("refuses the connection"), "{text}");
    let text = why(&send(&channel("[alerts.channel.webhook]\nurl = \"http://no-such-host.invalid/\"\n")));
    assert!(text.contains("cannot be resolved"), "{text}");
}
