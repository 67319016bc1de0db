//! `wheeltapper user`.

use clap::Subcommand;
use wheeltapper_access::{Role, UserChange};

use super::{Global, listed, readable, write_down};
use crate::clock;

/// Users, also while the host runs; what changes holds from their next request on.
#[derive(Debug, clap::Args)]
pub(super) struct UserCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show them
    List,
    /// Add one; prints the one-time password
    Add {
        /// Name
        name: String,
        /// What they are: admin, engineer, operator or viewer
        #[arg(long = "role", value_name = "ROLE", default_value = "viewer")]
        roles: Vec<Role>,
        /// A site they see, such as plant or plant/hall-1; all, where none is given
        #[arg(long = "site", value_name = "SITE")]
        sites: Vec<String>,
    },
    /// Give one a new one-time password; whoever is signed in as them is signed out, and failed sign-ins no longer count
    Reset {
        /// Name
        name: String,
    },
    /// Let one not sign in any more
    Disable {
        /// Name
        name: String,
        /// Let them sign in again
        #[arg(long)]
        undo: bool,
    },
    /// Remove one
    Remove {
        /// Name
        name: String,
    },
}

impl UserCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<()> {
        let access = global.access()?;
        match self.what {
            What::List => {
                let users = access.users()?;
                if users.is_empty() {
                    println!("no users; `wheeltapper user add NAME --role admin` makes one");
                }
                for user in users {
                    let sites = user.sites.map_or_else(|| "all sites".to_owned(), |sites| sites.join(","));
                    let last = user.last_login.map_or_else(|| "never".to_owned(), readable);
                    let state = match (user.disabled, user.must_change_password) {
                        (true, _) => "  disabled",
                        (false, true) => "  one-time password",
                        (false, false) => "",
                    };
                    println!("{:<24} {:<18} {sites}  last signed in: {last}{state}", user.name, listed(&user.roles));
                }
            }
            What::Add { name, roles, sites } => {
                let restricted = (!sites.is_empty()).then(|| sites.clone());
                let password = access.add_user(&name, &roles, restricted, clock::now())?;
                write_down(&access, "user add", &name, &format!("{} {}", listed(&roles), sites.join(",")))?;
                println!("{name} may sign in with the one-time password {password}");
            }
            What::Reset { name } => {
                let password = access.reset_password(&name)?;
                write_down(&access, "user reset", &name, "")?;
                println!("{name} may sign in with the one-time password {password}");
            }
            What::Disable { name, undo } => {
                access.change_user(&name, UserChange { disabled: Some(!undo), ..UserChange::default() })?;
                write_down(&access, if undo { "user enable" } else { "user disable" }, &name, "")?;
                println!("{name} may {}sign in", if undo { "" } else { "not " });
            }
            What::Remove { name } => {
                access.remove_user(&name)?;
                write_down(&access, "user remove", &name, "")?;
                println!("{name} is removed");
            }
        }
        Ok(())
    }
}
