//! `wheeltapper user`.

use clap::Subcommand;
use wheeltapper_access::{Role, UserChange};

use super::{GlobalArgs, audit_change, format_time, join_with_commas};
use crate::clock;

/// Manages users, also while the host runs; changes take effect with the user's next request.
#[derive(Debug, clap::Args)]
pub(super) struct UserCommand {
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Debug, Subcommand)]
enum UserAction {
    /// Show all users
    List,
    /// Add a user; prints the one-time password
    Add {
        /// Name of the user
        name: String,
        /// Role: admin, engineer, operator or viewer
        #[arg(long = "role", value_name = "ROLE", default_value = "viewer")]
        roles: Vec<Role>,
        /// A site the user may see, such as plant or plant/hall-1 [default: all sites]
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
    },
    /// Create a new one-time password for a user; ends their sessions and resets the count of failed sign-ins
    Reset {
        /// Name of the user
        name: String,
    },
    /// Disable a user, who can then no longer sign in
    Disable {
        /// Name of the user
        name: String,
        /// Enable the user again
        #[arg(long)]
        undo: bool,
    },
    /// Remove a user
    Remove {
        /// Name of the user
        name: String,
    },
}

impl UserCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let access = global.open_access()?;
        match self.action {
            UserAction::List => {
                let users = access.users()?;
                if users.is_empty() {
                    println!("no users; `wheeltapper user add NAME --role admin` adds one");
                }
                for user in users {
                    let sites = user.sites.map_or_else(|| "all sites".to_owned(), |sites| sites.join(","));
                    let last = user.last_login.map_or_else(|| "never".to_owned(), format_time);
                    let state = match (user.disabled, user.must_change_password) {
                        (true, _) => "  disabled",
                        (false, true) => "  one-time password",
                        (false, false) => "",
                    };
                    println!(
                        "{:<24} {:<18} {sites}  last signed in: {last}{state}",
                        user.name,
                        join_with_commas(&user.roles)
                    );
                }
            }
            UserAction::Add { name, roles, sites } => {
                let restricted = (!sites.is_empty()).then(|| sites.clone());
                let password = access.add_user(&name, &roles, restricted, clock::now())?;
                audit_change(&access, "user add", &name, &format!("{} {}", join_with_commas(&roles), sites.join(",")))?;
                println!("{name} may sign in with the one-time password {password}");
            }
            UserAction::Reset { name } => {
                let password = access.reset_password(&name)?;
                audit_change(&access, "user reset", &name, "")?;
                println!("{name} may sign in with the one-time password {password}");
            }
            UserAction::Disable { name, undo } => {
                access.change_user(&name, UserChange { disabled: Some(!undo), ..UserChange::default() })?;
                audit_change(&access, if undo { "user enable" } else { "user disable" }, &name, "")?;
                println!("{name} may {}sign in", if undo { "" } else { "not " });
            }
            UserAction::Remove { name } => {
                access.remove_user(&name)?;
                audit_change(&access, "user remove", &name, "")?;
                println!("{name} is removed");
            }
        }
        Ok(())
    }
}
