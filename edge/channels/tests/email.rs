//! E-mail to an SMTP server of another make (aiosmtpd), with and without TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod receivers;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use receivers::{Certificates, NOW, Secrets, channel, notification, send, why};
use serde_json::Value;
use wheeltapper_channels::{Channel, Event, Outcome};

struct SmtpServer {
    port: u16,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl SmtpServer {
    fn start(security: &str, mechanisms: &str, certificates: Option<&Certificates>) -> Self {
        let python = std::env::var_os("WHEELTAPPER_PYTHON").unwrap_or_else(|| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(security).arg(mechanisms).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(certificates) = certificates {
            command.arg(certificates.file("cert.pem")).arg(certificates.file("key.pem"));
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap_or_else(|| {
            panic!("the mail server does not start; run the test by `cargo xtask test`, which installs aiosmtpd")
        });
        Self { port: port.unwrap().parse().unwrap(), process, lines }
    }

    fn received(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A channel to the server; `more` are lines of `[alerts.channel.email]`.
fn email(server: &SmtpServer, certificates: Option<&Certificates>, more: &str) -> Channel {
    let ca = certificates.map_or_else(String::new, |files| format!("ca_file = {:?}\n", files.file("ca.pem")));
    channel(&format!(
        "{ca}[alerts.channel.email]\nserver = \"localhost\"\nport = {}\nfrom = \"Wheeltapper <alerts@plant.example>\"\n{more}",
        server.port
    ))
}

const TO: &str = "to = [\"first@plant.example\"]\n";

fn login(secrets: &Secrets, password: &str) -> String {
    format!("{TO}user = \"wheeltapper\"\npassword_file = {}\n", secrets.write("password", password))
}

#[test]
fn each_way_to_encrypt_and_to_sign_in_works() {
    let (certificates, secrets) = (Certificates::new("localhost"), Secrets::new());
    for security in ["starttls", "tls"] {
        for mechanisms in ["PLAIN", "LOGIN", "PLAIN,LOGIN"] {
            let mut server = SmtpServer::start(security, mechanisms, Some(&certificates));
            let settings = format!(
                "security = {security:?}\nhello = \"edge.plant.example\"\n{}",
                login(&secrets, "correct horse")
            );
            let attempt = send(&email(&server, Some(&certificates), &settings));
            assert!(attempt.outcome.is_success(), "{security} {mechanisms}: {attempt:?}");
            let mail = server.received();
            assert_eq!((&mail["encrypted"], &mail["user"]), (&true.into(), &"wheeltapper".into()), "{mail}");
            assert!(mechanisms.contains(mail["mechanism"].as_str().unwrap()), "{mail}");
            assert_eq!(mail["hello"], "edge.plant.example");
            assert_eq!(
                (&mail["from"], &mail["to"][0]),
                (&"alerts@plant.example".into(), &"first@plant.example".into())
            );
        }
    }
}

#[test]
fn a_server_without_sign_in_works() {
    let mut server = SmtpServer::start("none", "-", None);
    assert!(send(&email(&server, None, &format!("security = \"none\"\n{TO}"))).outcome.is_success());
    let mail = server.received();
    assert_eq!((&mail["encrypted"], &mail["hello"]), (&false.into(), &"plant.example".into()));
    let content = mail["content"].as_str().unwrap();
    assert!(content.contains("Subject: Alert: pump_07* <b>: likely overheating (critical)"), "{content}");
    assert!(content.contains("multipart/alternative") && content.contains("pump_07* &lt;b&gt;"), "{content}");
    // Python's own parser of mails reads both parts.
    let script = "import email, email.policy, sys\nm = email.message_from_string(sys.stdin.read(), policy=email.policy.default)\n\
                  print(m['message-id'], m.get_body(('plain',)).get_content().splitlines()[0], '<table' in m.get_body(('html',)).get_content(), len(m.defects))";
    let mut python =
        Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), content.as_bytes()).unwrap();
    let output = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        output.trim(),
        "<54da40dba52a53d6721e63fb78bbf04a-1767600110000000000-opened@plant.example> Alert: pump_07* <b>: likely overheating (critical) True 0"
    );
}

#[test]
fn nothing_is_sent_before_the_connection_is_encrypted() {
    let secrets = Secrets::new();
    // The server offers sign-in in the clear, and no STARTTLS.
    let server = SmtpServer::start("none", "PLAIN", None);
    let text = why(&send(&email(&server, None, &login(&secrets, "correct horse"))));
    assert!(text.contains("does not offer STARTTLS") && text.contains("security = \"tls\""), "{text}");
}

#[test]
fn certificates_of_another_name_or_authority_are_rejected() {
    let (other, unknown) = (Certificates::new("other.example"), Certificates::new("localhost"));
    for security in ["starttls", "tls"] {
        let settings = format!("security = {security:?}\n{TO}");
        let server = SmtpServer::start(security, "-", Some(&other));
        let text = why(&send(&email(&server, Some(&other), &settings)));
        assert!(text.contains("is for another name"), "{text}");
        let text = why(&send(&email(&server, Some(&unknown), &settings)));
        assert!(text.contains("authority that is not trusted") && text.contains("ca_file"), "{text}");
    }
}

#[test]
fn a_refused_recipient_does_not_lose_the_others() {
    let mut server = SmtpServer::start("none", "-", None);
    let settings =
        "security = \"none\"\nto = [\"refused@plant.example\", \"first@plant.example\", \"later@plant.example\"]\n";
    let channel = email(&server, None, settings);
    let attempt = send(&channel);
    assert!(
        matches!(&attempt.outcome, Outcome::Failed { why, .. } if why.contains("later@plant.example") && why.contains("greylisted")),
        "{attempt:?}"
    );
    assert_eq!(attempt.finished, ["refused@plant.example", "first@plant.example"]);
    assert!(attempt.refused[0].1.contains("no such user"), "{attempt:?}");
    assert_eq!(server.received()["to"], serde_json::json!(["first@plant.example"]));
    // The next attempt is only for the one that is left.
    let finished: BTreeSet<String> = attempt.finished.into_iter().collect();
    let again = channel.send(&notification(Event::Opened), &finished, NOW);
    assert!(again.finished.is_empty(), "{again:?}");
}

#[test]
fn a_wrong_password_or_port_is_explained() {
    let (certificates, secrets) = (Certificates::new("localhost"), Secrets::new());
    let server = SmtpServer::start("starttls", "PLAIN,LOGIN", Some(&certificates));
    let text = why(&send(&email(&server, Some(&certificates), &login(&secrets, "hunter2"))));
    assert!(text.contains("does not accept user \"wheeltapper\"") && !text.contains("hunter2"), "{text}");
    let tls = format!("security = \"tls\"\n{TO}");
    let text = why(&send(&email(&server, Some(&certificates), &tls)));
    assert!(text.contains("does not speak TLS on this port"), "{text}");
    let port = server.port;
    drop(server);
    let settings =
        format!("[alerts.channel.email]\nserver = \"localhost\"\nport = {port}\nfrom = \"a@plant.example\"\n{TO}");
    let text = why(&send(&channel(&settings)));
    assert!(text.contains("refused") && text.contains("check the port"), "{text}");
    let settings =
        format!("[alerts.channel.email]\nserver = \"no-such-host.invalid\"\nfrom = \"a@plant.example\"\n{TO}");
    let text = why(&send(&channel(&settings)));
    assert!(text.contains("check the spelling of `server`"), "{text}");
}
