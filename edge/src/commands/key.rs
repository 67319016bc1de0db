//! `wheeltapper key`.

use std::time::Duration;

use clap::Subcommand;
use wheeltapper_access::Scope;

use super::{GlobalArgs, audit_change, format_time, join_with_commas};
use crate::clock;

/// API keys of devices, webhooks and programs, and the keyring that signs tokens and encrypts secrets.
#[derive(Debug, clap::Args)]
pub(super) struct KeyCommand {
    #[command(subcommand)]
    action: KeyAction,
}

#[derive(Debug, Subcommand)]
enum KeyAction {
    /// Show the API keys, and the keys of the keyring
    List,
    /// Create an API key and print it, once. MQTT clients send it as their password, with any user name
    Add {
        /// Name of the key
        name: String,
        /// Permission: ingest, read or write
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// A site the key is limited to, such as plant or plant/hall-1 [default: all sites]
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
        /// Lifetime, such as 90d [default: unlimited]
        #[arg(long, value_parser = humantime::parse_duration, value_name = "AGE")]
        expires_in: Option<Duration>,
    },
    /// Remove an API key; MQTT connections that use it are closed within seconds
    Remove {
        /// Id of the key
        id: String,
    },
    /// Create a new key in the keyring, and encrypt all secrets with it; tokens of older keys stay valid until they
    /// expire
    Rotate {
        /// Invalidate tokens of older keys now: everyone must sign in again
        #[arg(long)]
        retire: bool,
    },
}

impl KeyCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let access = global.open_access()?;
        match self.action {
            KeyAction::List => {
                for key in access.api_keys()? {
                    let sites = key.sites.map_or_else(|| "all sites".to_owned(), |sites| sites.join(","));
                    let expires = key.expires.map_or_else(|| "never".to_owned(), format_time);
                    let used = key.last_used.map_or_else(|| "never".to_owned(), format_time);
                    println!(
                        "{}  {:<24} {:<17} {sites}  expires: {expires}  last used: {used}",
                        key.id,
                        key.name,
                        join_with_commas(&key.scopes)
                    );
                }
                for key in access.keys()? {
                    let state = match (key.newest, key.retired) {
                        (true, _) => "signs and encrypts",
                        (false, false) => "verifies tokens, decrypts",
                        (false, true) => "decrypts",
                    };
                    println!("keyring {}  of {}  {state}", key.id, format_time(key.created));
                }
            }
            KeyAction::Add { name, scopes, sites, expires_in } => {
                let now = clock::now();
                let expires =
                    expires_in.map(|age| now.saturating_add(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
                let restricted = (!sites.is_empty()).then(|| sites.clone());
                let (key, text) = access.add_api_key(&name, &scopes, restricted, expires, now)?;
                let detail = format!("{} {} {}", key.name, join_with_commas(&scopes), sites.join(","));
                audit_change(&access, "key add", &key.id, &detail)?;
                eprintln!(
                    "The key is shown only once. Send it as `Authorization: Bearer ...` or `X-API-Key: ...`, or as the password of an MQTT client:"
                );
                println!("{text}");
            }
            KeyAction::Remove { id } => {
                access.remove_api_key(&id)?;
                audit_change(&access, "key remove", &id, "")?;
                println!("{id} is removed");
            }
            KeyAction::Rotate { retire } => {
                let id = access.rotate_keys(retire, clock::now())?;
                audit_change(&access, "key rotate", &id, if retire { "older keys retired" } else { "" })?;
                println!("{id} signs and encrypts from now on");
            }
        }
        Ok(())
    }
}
