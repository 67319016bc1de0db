//! `wheeltapper audit`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;

use super::{GlobalArgs, format_time};

/// The audit log: every change and sign-in; each entry is chained to the previous one by a hash.
#[derive(Debug, clap::Args)]
pub(super) struct AuditCommand {
    #[command(subcommand)]
    action: AuditAction,
}

#[derive(Debug, Subcommand)]
enum AuditAction {
    /// Check whether an entry was changed, removed, moved or inserted; fails if so, and says which
    Verify,
    /// Write all entries as JSON lines, oldest first
    Export {
        /// Start at this entry, to continue an earlier export
        #[arg(long, default_value_t = 1, value_name = "SEQ")]
        from: i64,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show the newest entries
    List {
        /// Maximum number of entries
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

impl AuditCommand {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let folder = global.load_config()?.data;
        ensure!(
            wheeltapper_access::Access::exists(&folder),
            "there is no access.db in {}; name the data folder with --data, or start a host with `wheeltapper run`",
            folder.display()
        );
        let access = global.open_access()?;
        match self.action {
            AuditAction::Verify => {
                let report = access.verify_audit()?;
                if let Some(bad) = report.first_defect {
                    bail!(
                        "the audit is not as it was written: entry {}: {}; compare it with an export or syslog",
                        bad.seq,
                        bad.reason
                    );
                }
                println!("{} entries, all as they were written", report.entries);
            }
            AuditAction::Export { from, out } => {
                let mut to: Box<dyn Write> = match &out {
                    None => Box::new(io::stdout().lock()),
                    Some(path) => Box::new(File::create(path).with_context(|| format!("writing {}", path.display()))?),
                };
                export(&access, from, &mut BufWriter::new(&mut to))?;
            }
            AuditAction::List { limit } => {
                for entry in access.audit_entries(None, limit)? {
                    let time = format_time(entry.time);
                    println!(
                        "{:>6}  {time}  {:<16} {} {}  {}  {}  {}",
                        entry.seq, entry.actor, entry.action, entry.target, entry.outcome, entry.address, entry.detail
                    );
                }
            }
        }
        Ok(())
    }
}

fn export(access: &wheeltapper_access::Access, from: i64, to: &mut impl Write) -> anyhow::Result<()> {
    let mut written = Ok(());
    access.export_audit(from, |entry| {
        written = writeln!(to, "{}", entry.to_json());
        written.is_ok()
    })?;
    written?;
    Ok(to.flush()?)
}
