//! Users: the first one, logins that tell nothing, and who may be removed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use common::Hand;
use tempfile::TempDir;
use wheeltapper_access::{Access, AccessError, LoginError, Permission, Role, Settings, UserChange};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";

fn open(folder: &TempDir) -> Access {
    Access::open(folder.path(), Settings::default(), NOW).unwrap()
}

#[test]
fn the_first_start_makes_an_admin_who_has_to_change_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(&folder);
    let first = access.first_admin(NOW).unwrap().unwrap();
    assert_eq!(access.first_admin(NOW).unwrap(), None, "once");
    assert_eq!(open(&folder).first_admin(NOW).unwrap(), None, "once");
    let session = access.login("admin", &first, NOW).unwrap();
    assert!(session.identity.must_change_password && session.identity.may(Permission::Configure));
    for bad in ["short", "admin", first.as_str()] {
        let told = access.change_password("admin", &first, bad, NOW).unwrap_err();
        assert!(matches!(told, LoginError::Access(AccessError::Password(_))), "{bad}: {told}");
    }
    assert!(matches!(access.change_password("admin", "wrong", PASSWORD, NOW), Err(LoginError::Wrong)));
    let session = access.change_password("admin", &first, PASSWORD, NOW).unwrap();
    assert!(!session.identity.must_change_password);
    assert!(matches!(access.login("admin", &first, NOW), Err(LoginError::Wrong)), "a one-time password");
    assert!(access.login("admin", PASSWORD, NOW).is_ok());
    let bytes = [
        std::fs::read(folder.path().join("access.db")).unwrap(),
        std::fs::read(folder.path().join("access.db-wal")).unwrap_or_default(),
    ]
    .concat();
    for secret in [PASSWORD, &first, &session.token, &session.refresh_token] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "a secret lies there");
    }
}

#[test]
fn files_are_the_owners_alone_and_a_missing_key_is_told() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    for name in ["access.db", "access.key"] {
        let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = folder.path().join("access.key");
    let kept = std::fs::read_to_string(&key).unwrap();
    let refused = |settings: Settings| Access::open(folder.path(), settings, NOW).unwrap_err().to_string();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(Settings::default()).contains("chmod 600"));
    std::fs::remove_file(&key).unwrap();
    assert!(refused(Settings::default()).contains("put it back"));
    let other = format!("abcd:0:{}", "07".repeat(32));
    assert!(refused(Settings { keyring: Some(other.clone()), ..Settings::default() }).contains("WHEELTAPPER_KEY"));
    assert!(refused(Settings { keyring: Some("nonsense".into()), ..Settings::default() }).contains("line 1 is no key"));
    let line = kept.lines().last().unwrap();
    let both = Settings { keyring: Some(format!("{line}, {other}")), ..Settings::default() };
    let access = Access::open(folder.path(), both, NOW).unwrap();
    assert!(access.verify_audit().unwrap().ok());
    assert_eq!(access.keys().unwrap().last().unwrap().id, "abcd");
    assert!(access.rotate_keys(false, NOW).unwrap_err().to_string().contains("add a comma"));
}

/// How long this thread has had a processor.
fn worked() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn a_login_takes_as_long_whether_or_not_there_is_such_a_user() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand::default());
    let access = clock.open(&folder);
    access.first_admin(NOW).unwrap();
    access.add_user("disabled", &[Role::Viewer], None, NOW).unwrap();
    access.change_user("disabled", UserChange { disabled: Some(true), ..UserChange::default() }).unwrap();
    // The fastest of several, in turn, by the time this thread had: what else runs here only adds.
    let mut times = [Duration::MAX; 3];
    for round in 0..16 {
        for (name, fastest) in ["admin", "nobody", "disabled"].into_iter().zip(&mut times) {
            let began = worked();
            // Hours apart, so that nobody is locked out.
            clock.set(Duration::from_secs(round * 7200));
            let told = access.login(name, "some wrong password", NOW).unwrap_err();
            assert!(matches!(told, LoginError::Wrong), "{told}");
            *fastest = (worked() - began).min(*fastest);
        }
    }
    let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*least > Duration::from_millis(3), "{times:?}: Argon2 was not run");
    // Without Argon2 one would be a hundred times as fast; a busy machine makes thirds.
    assert!(most.as_secs_f64() < 2.0 * least.as_secs_f64(), "{times:?}");
}

#[test]
fn an_admin_always_stays() {
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
    assert!(matches!(access.remove_user("admin"), Err(AccessError::LastAdmin(_))), "a disabled one does not count");
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
    assert!(matches!(taken, AccessError::Exists(_)), "{taken}");
    assert_eq!(access.user("ada@example.com").unwrap().unwrap().sites.unwrap(), ["plant/hall-1"]);
    assert!(matches!(access.reset_password("bob"), Err(AccessError::Missing { .. })));
    assert!(access.reset_password("ada@example.com").is_ok());
}
