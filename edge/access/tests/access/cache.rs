//! Most requests are answered from the cache, and a change by any process takes effect with the next request.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tempfile::TempDir;
use wheeltapper_access::{Access, AuditEvent, AuthError, Identity, RejectReason, Role, Scope, Settings, UserChange};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";

fn open(folder: &TempDir) -> Access {
    Access::open(folder.path(), Settings::default(), NOW).unwrap()
}

/// The result from the cache; `None` on a cache miss.
fn cached(access: &Access, credential: &str) -> Option<Result<Identity, RejectReason>> {
    access.authenticate_cached(credential, NOW).map(|result| {
        result.map_err(|error| match error {
            AuthError::Rejected(reason) => reason,
            other => panic!("{other}"),
        })
    })
}

fn reject_reason(access: &Access, credential: &str) -> Option<RejectReason> {
    match access.authenticate(credential, NOW) {
        Ok(_) => None,
        Err(AuthError::Rejected(reason)) => Some(reason),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_repeated_request_needs_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let (access, command) = (open(&folder), open(&folder));
    let first = access.add_user("ada", &[Role::Engineer], None, NOW).unwrap();
    let session = access.change_password("ada", &first, PASSWORD, NOW).unwrap();
    let (_, key) = access.add_api_key("gateway", &[Scope::Ingest], None, None, NOW).unwrap();
    for credential in [session.token.as_str(), &key] {
        assert_eq!(cached(&access, credential), None, "not yet");
        let identity = access.authenticate(credential, NOW).unwrap();
        assert_eq!(cached(&access, credential), Some(Ok(identity)));
    }
    // Logins and audit entries are the most frequent writes; they do not invalidate the cache.
    command.login("ada", PASSWORD, NOW).unwrap();
    command.record(&AuditEvent { actor: "ada", action: "test", ..AuditEvent::default() }, NOW).unwrap();
    for credential in [session.token.as_str(), &key] {
        assert!(matches!(cached(&access, credential), Some(Ok(_))));
    }
    // A wrong secret of a cached key is rejected without the database too.
    assert_eq!(cached(&access, &format!("{}0", key)), Some(Err(RejectReason::InvalidSignature)));
}

#[test]
fn a_change_by_another_process_takes_effect_with_the_next_request() {
    let folder = tempfile::tempdir().unwrap();
    let (access, command) = (open(&folder), open(&folder));
    for changer in [&command, &access] {
        let first = access.add_user("ada", &[Role::Engineer], None, NOW).unwrap();
        let mut session = access.change_password("ada", &first, PASSWORD, NOW).unwrap();
        let fresh = || access.login("ada", PASSWORD, NOW).unwrap();
        let known = |credential: &str| {
            access.authenticate(credential, NOW).unwrap();
            assert!(matches!(cached(&access, credential), Some(Ok(_))));
        };
        known(&session.token);
        let narrower = UserChange { sites: Some(Some(vec!["plant".into()])), ..UserChange::default() };
        changer.change_user("ada", narrower).unwrap();
        assert_eq!(cached(&access, &session.token), None);
        assert_eq!(access.authenticate(&session.token, NOW).unwrap().sites, Some(vec!["plant".into()]));

        known(&session.token);
        changer.logout(&session.identity, NOW).unwrap();
        assert_eq!(reject_reason(&access, &session.token), Some(RejectReason::Revoked));

        session = fresh();
        known(&session.token);
        let off = |disabled| UserChange { disabled: Some(disabled), ..UserChange::default() };
        changer.change_user("ada", off(true)).unwrap();
        assert_eq!(reject_reason(&access, &session.token), Some(RejectReason::InvalidAccount));
        changer.change_user("ada", off(false)).unwrap();

        session = fresh();
        known(&session.token);
        changer.reset_password("ada").unwrap();
        assert_eq!(reject_reason(&access, &session.token), Some(RejectReason::InvalidAccount));
        changer.remove_user("ada").unwrap();
        assert_eq!(reject_reason(&access, &session.token), Some(RejectReason::InvalidAccount));

        let (key, text) = access.add_api_key("gateway", &[Scope::Ingest], None, None, NOW).unwrap();
        known(&text);
        assert!(access.api_key_identity(&key.id, NOW).is_ok());
        changer.remove_api_key(&key.id).unwrap();
        assert_eq!(reject_reason(&access, &text), Some(RejectReason::UnknownKey));
        assert!(matches!(access.api_key_identity(&key.id, NOW), Err(AuthError::Rejected(RejectReason::UnknownKey))));
    }
}

#[test]
fn uses_of_keys_are_written_later_and_at_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    let (_, key) = access.add_api_key("gateway", &[Scope::Ingest], None, None, NOW).unwrap();
    access.authenticate(&key, NOW).unwrap();
    access.authenticate(&key, NOW + S).unwrap();
    assert_eq!(access.api_keys().unwrap()[0].last_used, Some(NOW + S), "visible at once in this process");
    let command = open(&folder);
    assert_eq!(command.api_keys().unwrap()[0].last_used, None, "no write for each use");
    drop(access);
    assert_eq!(command.api_keys().unwrap()[0].last_used, Some(NOW + S));
}

#[test]
fn a_file_of_version_1_is_migrated() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    let first = access.add_user("ada", &[Role::Engineer], None, NOW).unwrap();
    drop(access);
    let file = rusqlite::Connection::open(folder.path().join("access.db")).unwrap();
    for trigger in ["users_come", "users_go", "users_change", "keys_come", "keys_go", "keys_change", "tokens_end"] {
        file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    file.execute_batch("DROP TABLE changes; PRAGMA user_version = 1").unwrap();
    drop(file);
    let access = open(&folder);
    let token = access.login("ada", &first, NOW).unwrap().token;
    access.authenticate(&token, NOW).unwrap();
    open(&folder).change_user("ada", UserChange { disabled: Some(true), ..UserChange::default() }).unwrap();
    assert_eq!(reject_reason(&access, &token), Some(RejectReason::InvalidAccount));
}
