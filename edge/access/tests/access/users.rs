//! Users: the first admin, logins that do not reveal which users exist, and the last admin.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use crate::common::ManualClock;
use tempfile::TempDir;
use wheeltapper_access::{Access, AccessError, LoginError, Permission, Role, Settings, UserChange};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";

fn open(folder: &TempDir) -> Access {
    Access::open(folder.path(), Settings::default(), NOW).unwrap()
}

#[test]
fn the_first_start_creates_an_admin_who_has_to_change_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    let first = access.first_admin(NOW).unwrap().unwrap();
    assert_eq!(access.first_admin(NOW).unwrap(), None, "once");
    assert_eq!(open(&folder).first_admin(NOW).unwrap(), None, "once");
    let session = access.login("admin", &first, NOW).unwrap();
    assert!(session.identity.must_change_password && session.identity.has_permission(Permission::Configure));
    for bad in ["short", "admin", first.as_str()] {
        let error = access.change_password("admin", &first, bad, NOW).unwrap_err();
        assert!(matches!(error, LoginError::Access(AccessError::Password(_))), "{bad}: {error}");
    }
    assert!(matches!(access.change_password("admin", "wrong", PASSWORD, NOW), Err(LoginError::WrongCredentials)));
    let session = access.change_password("admin", &first, PASSWORD, NOW).unwrap();
    assert!(!session.identity.must_change_password);
    assert!(matches!(access.login("admin", &first, NOW), Err(LoginError::WrongCredentials)), "a one-time password");
    assert!(access.login("admin", PASSWORD, NOW).is_ok());
    let bytes = [
        std::fs::read(folder.path().join("access.db")).unwrap(),
        std::fs::read(folder.path().join("access.db-wal")).unwrap_or_default(),
    ]
    .concat();
    for secret in [PASSWORD, &first, &session.token, &session.refresh_token] {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "the database contains a secret in plain text"
        );
    }
}

#[test]
fn files_are_private_and_a_missing_key_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    for name in ["access.db", "access.key"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = folder.path().join("access.key");
    let keyring = std::fs::read_to_string(&key).unwrap();
    let error = |settings: Settings| Access::open(folder.path(), settings, NOW).unwrap_err().to_string();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(error(Settings::default()).contains("chmod 600"));
    std::fs::remove_file(&key).unwrap();
    assert!(error(Settings::default()).contains("put it back"));
    let other = format!("abcd:0:{}", "07".repeat(32));
    assert!(error(Settings { keyring: Some(other.clone()), ..Settings::default() }).contains("WHEELTAPPER_KEY"));
    assert!(
        error(Settings { keyring: Some("nonsense".into()), ..Settings::default() }).contains("line 1 is not a key")
    );
    let line = keyring.lines().last().unwrap();
    let both = Settings { keyring: Some(format!("{line}, {other}")), ..Settings::default() };
    let access = Access::open(folder.path(), both, NOW).unwrap();
    assert!(access.verify_audit().unwrap().is_intact());
    assert_eq!(access.keys().unwrap().last().unwrap().id, "abcd");
    assert!(access.rotate_keys(false, NOW).unwrap_err().to_string().contains("add a comma"));
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_login_takes_equally_long_for_unknown_users() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let access = clock.open(&folder);
    access.first_admin(NOW).unwrap();
    access.add_user("disabled", &[Role::Viewer], None, NOW).unwrap();
    access.change_user("disabled", UserChange { disabled: Some(true), ..UserChange::default() }).unwrap();
    // Take the fastest of several logins, by CPU time: other load on this machine can only add to it.
    let mut times = [Duration::MAX; 3];
    for round in 0..16 {
        for (name, fastest) in ["admin", "nobody", "disabled"].into_iter().zip(&mut times) {
            let began = cpu_time();
            // Two hours apart, so that there is no lockout.
            clock.set(Duration::from_secs(round * 7200));
            let error = access.login(name, "some wrong password", NOW).unwrap_err();
            assert!(matches!(error, LoginError::WrongCredentials), "{error}");
            *fastest = (cpu_time() - began).min(*fastest);
        }
    }
    let (fastest, slowest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*fastest > Duration::from_millis(3), "{times:?}: Argon2 was not run");
    // Without Argon2 one of them would be a hundred times as fast; a busy machine causes differences of a third.
    assert!(slowest.as_secs_f64() < 2.0 * fastest.as_secs_f64(), "{times:?}");
}

#[test]
fn the_last_admin_cannot_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    access.first_admin(NOW).unwrap();
    let disable = UserChange { disabled: Some(true), ..UserChange::default() };
    let demote = UserChange { roles: Some(vec![Role::Engineer]), ..UserChange::default() };
    assert!(matches!(access.remove_user("admin"), Err(AccessError::LastAdmin(_))));
    assert!(matches!(access.change_user("Admin", disable.clone()), Err(AccessError::LastAdmin(_))));
    assert!(matches!(access.change_user("admin", demote), Err(AccessError::LastAdmin(_))));
    access.add_user("grace", &[Role::Admin], None, NOW).unwrap();
    access.change_user("grace", disable).unwrap();
    assert!(matches!(access.remove_user("admin"), Err(AccessError::LastAdmin(_))), "a disabled admin does not count");
    access.change_user("grace", UserChange { disabled: Some(false), ..UserChange::default() }).unwrap();
    access.remove_user("admin").unwrap();
    assert_eq!(access.users().unwrap().len(), 1);
}

#[test]
fn names_roles_and_sites_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    for bad in ["", "local", "key:1", "a b", "a/b", "x\n", &"x".repeat(65)] {
        assert!(access.add_user(bad, &[Role::Viewer], None, NOW).is_err(), "{bad:?}");
    }
    assert!(access.add_user("ada", &[], None, NOW).is_err());
    for bad in ["", "/", "a//b", "a/ /b", "a\n"] {
        assert!(access.add_user("ada", &[Role::Viewer], Some(vec![bad.into()]), NOW).is_err(), "{bad:?}");
    }
    access.add_user("ada@example.com", &[Role::Viewer], Some(vec!["plant/hall-1".into()]), NOW).unwrap();
    let taken = access.add_user("ADA@example.com", &[Role::Viewer], None, NOW).unwrap_err();
    assert!(matches!(taken, AccessError::UserExists(_)), "{taken}");
    assert_eq!(access.user("ada@example.com").unwrap().unwrap().sites.unwrap(), ["plant/hall-1"]);
    assert!(matches!(access.reset_password("bob"), Err(AccessError::NotFound { .. })));
    assert!(access.reset_password("ada@example.com").is_ok());
}
