//! Sends an e-mail by SMTP (RFC 5321), with each recipient's own answer.

use std::{collections::BTreeSet, error::Error as _};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{Certificate, CertificateStore, SmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use wheeltapper_config::EmailSecurity;

use super::{Email, compose};
use crate::{Attempt, Notification, Outcome, tls};

/// Sends a notification once to the recipients that are not in `finished`. `now` is in nanoseconds since 1970.
pub(crate) fn send(email: &Email, finished: &BTreeSet<String>, notification: &Notification, now: i64) -> Attempt {
    let open: Vec<&Address> =
        email.to.iter().map(|to| &to.email).filter(|to| !finished.contains(&to.to_string())).collect();
    let message = match compose(email, notification, now) {
        Ok(message) => message.formatted(),
        Err(error) => return Outcome::rejected(error.to_string()).into(),
    };
    let mut connection = match connect(email) {
        Ok(connection) => connection,
        Err(why) => return Outcome::failed(why).into(),
    };
    let attempt = transfer(&mut connection, email, &open, &message);
    // The server has taken the message or not; whether it says goodbye does not matter.
    let _ = connection.quit();
    attempt
}

/// Connects, encrypts the connection if it should be, and signs in.
fn connect(email: &Email) -> Result<SmtpConnection, String> {
    let server = format!("{}:{}", email.server, email.port);
    let explain = |what: &str, error: &Error| explained(&server, what, error, email);
    let hello = ClientId::Domain(email.hello.clone());
    let tls = match email.security {
        EmailSecurity::None => None,
        EmailSecurity::Starttls | EmailSecurity::Tls => {
            Some(tls_parameters(email).map_err(|error| explain("preparing TLS", &error))?)
        }
    };
    let immediate = tls.as_ref().filter(|_| email.security == EmailSecurity::Tls);
    let mut connection =
        SmtpConnection::connect((email.server.as_str(), email.port), Some(email.timeout), &hello, immediate, None)
            .map_err(|error| explain("connecting", &error))?;
    if let Some(tls) = tls.as_ref().filter(|_| email.security == EmailSecurity::Starttls) {
        if !connection.can_starttls() {
            return Err(format!(
                "{server} does not offer STARTTLS, and nothing is sent without encryption; set security = \"tls\" and \
                 its port (usually 465), or security = \"none\" for a server in a trusted network"
            ));
        }
        connection.starttls(tls, &hello).map_err(|error| explain("STARTTLS", &error))?;
    }
    if let Some((user, password)) = &email.credentials {
        sign_in(&mut connection, &server, user, password.reveal())?;
    }
    Ok(connection)
}

fn tls_parameters(email: &Email) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(email.server.clone());
    if let Some(pem) = &email.ca {
        builder = builder.certificate_store(CertificateStore::None);
        builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
    }
    builder.build_rustls()
}

fn sign_in(connection: &mut SmtpConnection, server: &str, user: &str, password: &str) -> Result<(), String> {
    // Never in the clear; the checks of the configuration exclude it too.
    if !connection.is_encrypted() {
        return Err(format!(
            "{server}: the password is not sent without encryption; set security = \"starttls\" or \"tls\""
        ));
    }
    let mechanisms = [Mechanism::Plain, Mechanism::Login];
    if connection.server_info().get_auth_mechanism(&mechanisms).is_none() {
        return Err(format!(
            "{server} offers neither PLAIN nor LOGIN to sign in; remove `user` if it needs none, or ask its administrator"
        ));
    }
    let credentials = Credentials::new(user.to_owned(), password.to_owned());
    let result = connection.auth(&mechanisms, &credentials);
    result.map(|_| ()).map_err(|error| {
        let said = error.status().map_or_else(|| chain(&error), |_| error.to_string());
        format!("{server} does not accept user {user:?} and the password ({said}); check both")
    })
}

/// Sends the message to each recipient that the server accepts.
fn transfer(connection: &mut SmtpConnection, email: &Email, to: &[&Address], message: &[u8]) -> Attempt {
    let server = format!("{}:{}", email.server, email.port);
    let explain = |what: &str, error: &Error| explained(&server, what, error, email);
    let mut options = Vec::new();
    let is_ascii = |address: &Address| address.to_string().is_ascii();
    if !is_ascii(&email.from.email) || !to.iter().all(|to| is_ascii(to)) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = format!("{server} does not support addresses beyond ASCII; write others");
            return Outcome::rejected(why).into();
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !message.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if let Err(error) = connection.command(Mail::new(Some(email.from.email.clone()), options)) {
        // A sender that is not allowed can be corrected in the settings, and the alert is not lost until then.
        return Outcome::failed(explain("the sender (`from`) is not accepted", &error)).into();
    }
    let mut outcomes = Vec::new();
    let mut accepted = Vec::new();
    for recipient in to {
        match connection.command(Rcpt::new((*recipient).clone(), Vec::new())) {
            Ok(_) => accepted.push(recipient.to_string()),
            Err(error) if error.is_permanent() => {
                outcomes.push((recipient.to_string(), Outcome::rejected(explain("the recipient is refused", &error))));
            }
            // Without an answer the connection is of no more use.
            Err(error) if error.status().is_none() => {
                return Outcome::failed(explain("asking for the recipients", &error)).into();
            }
            Err(error) => {
                outcomes.push((
                    recipient.to_string(),
                    Outcome::failed(explain("the recipient is refused for now", &error)),
                ));
            }
        }
    }
    if !accepted.is_empty() {
        let sent = connection.command(Data).and_then(|_| connection.message(message));
        let outcome = match sent {
            Ok(_) => Outcome::Accepted { note: format!("{server} has accepted it: see its log for the delivery") },
            Err(error) if error.is_permanent() => Outcome::rejected(explain("the message is refused", &error)),
            Err(error) => Outcome::failed(explain("sending the message", &error)),
        };
        outcomes.extend(accepted.into_iter().map(|recipient| (recipient, outcome.clone())));
    }
    Attempt::of_recipients(outcomes)
}

/// What is wrong, and what to do.
fn explained(server: &str, what: &str, error: &Error, email: &Email) -> String {
    let text = chain(error);
    if let Some(explained) = tls::explain(server, &text) {
        return explained;
    }
    if error.status().is_some() {
        return format!("{server}: {what}: {error}");
    }
    if error.is_timeout() || text.contains("timed out") {
        let hint = if email.security == EmailSecurity::Tls {
            "check server and port; if the port is 587, set security = \"starttls\""
        } else {
            "check server and port; if the port is 465, set security = \"tls\""
        };
        return format!("{server} did not answer within {:?}; {hint}", email.timeout);
    }
    let hint = if text.contains("refused") {
        "check the port, and that the server runs"
    } else if text.contains("lookup") || text.contains("resolve") {
        "check the spelling of `server` and the DNS of this machine"
    } else {
        "check server, port and security"
    };
    format!("{server}: {what}: {text}; {hint}")
}

/// The error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
