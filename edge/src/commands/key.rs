//! `wheeltapper key`.

use std::time::Duration;

use clap::Subcommand;
use wheeltapper_access::Scope;

use super::{Global, listed, readable, write_down};
use crate::clock;

/// API keys of devices, webhooks and programs, and the keyring that tokens and seals are made with.
#[derive(Debug, clap::Args)]
pub(super) struct KeyCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the API keys, and the keys of the keyring
    List,
    /// Make an API key; prints it, once. MQTT clients send it as their password, with any user name
    Add {
        /// What it is for
        name: String,
        /// What it may do: ingest, read or write
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// A site it is for, such as plant or plant/hall-1; all, where none is given
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
        /// How long it is good, such as 90d; for ever, where nothing is said
        #[arg(long, value_parser = humantime::parse_duration, value_name = "AGE")]
        expires_in: Option<Duration>,
    },
    /// Remove an API key; MQTT connections that came with it end within seconds
    Remove {
        /// Its id
        id: String,
    },
    /// Make a new key in the keyring, and seal anew what is sealed; tokens of older keys stay good until they end
    Rotate {
        /// End tokens of older keys now: everybody signs in anew
        #[arg(long)]
        retire: bool,
    },
}

impl KeyCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let access = global.access()?;
        match self.what {
            What::List => {
                for key in access.api_keys()? {
                    let sites = key.sites.map_or_else(|| "all sites".to_owned(), |sites| sites.join(","));
                    let expires = key.expires.map_or_else(|| "never".to_owned(), readable);
                    let used = key.last_used.map_or_else(|| "never".to_owned(), readable);
                    println!(
                        "{}  {:<24} {:<17} {sites}  ends: {expires}  last used: {used}",
                        key.id,
                        key.name,
                        listed(&key.scopes)
                    );
                }
                for key in access.keys()? {
                    let state = match (key.newest, key.retired) {
                        (true, _) => "signs and seals",
                        (false, false) => "verifies tokens, opens seals",
                        (false, true) => "opens seals",
                    };
                    println!("keyring {}  of {}  {state}", key.id, readable(key.created));
                }
            }
            What::Add { name, scopes, sites, expires_in } => {
                let now = clock::now();
                let expires =
                    expires_in.map(|age| now.saturating_add(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
                let restricted = (!sites.is_empty()).then(|| sites.clone());
                let (key, text) = access.add_api_key(&name, &scopes, restricted, expires, now)?;
                let detail = format!("{} {} {}", key.name, listed(&scopes), sites.join(","));
                write_down(&access, "key add", &key.id, &detail)?;
                eprintln!(
                    "It is shown this once; send it as `Authorization: Bearer ...` or `X-API-Key: ...`, or as the password of an MQTT client:"
                );
                println!("{text}");
            }
            What::Remove { id } => {
                access.remove_api_key(&id)?;
                write_down(&access, "key remove", &id, "")?;
                println!("{id} is removed");
            }
            What::Rotate { retire } => {
                let id = access.rotate_keys(retire, clock::now())?;
                write_down(&access, "key rotate", &id, if retire { "older keys retired" } else { "" })?;
                println!("{id} signs and seals from now on");
            }
        }
        Ok(())
    }
}
