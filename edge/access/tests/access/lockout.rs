//! Lockout after wrong passwords: only the guessing address waits, whatever other addresses and the wall clock do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::common::ManualClock;
use tempfile::TempDir;
use wheeltapper_access::{Access, LoginError, RateClass, Settings};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";

fn admin() -> (TempDir, Access, Arc<ManualClock>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let access = clock.open(&folder);
    let first = access.first_admin(NOW).unwrap().unwrap();
    access.change_password("admin", &first, PASSWORD, NOW).unwrap();
    (folder, access, clock)
}

fn from(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn wrong(access: &Access, name: &str, address: IpAddr) -> LoginError {
    access.login_from(name, "some wrong password", address, NOW).unwrap_err()
}

#[test]
fn failures_from_one_address_do_not_lock_out_others() {
    let (_folder, access, _) = admin();
    let session = access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    for _ in 0..5 {
        assert!(matches!(wrong(&access, "admin", from(66)), LoginError::WrongCredentials));
    }
    // The guessing address waits, even with the right password.
    let error = access.login_from("admin", PASSWORD, from(66), NOW).unwrap_err();
    assert!(matches!(error, LoginError::LockedOut(wait) if wait == Duration::from_secs(60)), "{error}");
    // The admin does not wait: not at the known address, not at a new address, not in a session.
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    access.login_from("admin", PASSWORD, from(2), NOW).unwrap();
    assert!(access.authenticate(&session.token, NOW).is_ok());
    access.change_password("admin", PASSWORD, "another good password", NOW).unwrap();
    for name in ["nobody", "admin"] {
        for _ in 0..5 {
            assert!(matches!(wrong(&access, name, from(67)), LoginError::WrongCredentials));
        }
        assert!(matches!(wrong(&access, name, from(67)), LoginError::LockedOut(_)), "{name}");
    }
}

#[test]
fn guesses_from_many_addresses_lock_a_name_but_not_at_its_known_addresses() {
    let (_folder, access, clock) = admin();
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    let mut slowed = 0;
    for guess in 0..60 {
        slowed += u32::from(matches!(wrong(&access, "admin", from(100 + guess)), LoginError::LockedOut(_)));
    }
    assert!(slowed > 0);
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    // At a new address the wait is a minute at most.
    match access.login_from("admin", PASSWORD, from(3), NOW) {
        Err(LoginError::LockedOut(wait)) => assert!(wait <= Duration::from_secs(60), "{wait:?}"),
        other => panic!("{other:?}"),
    }
    clock.advance(Duration::from_secs(60));
    access.login_from("admin", PASSWORD, from(3), NOW).unwrap();
}

#[test]
fn a_password_reset_by_another_process_ends_the_lockout() {
    let (folder, access, _) = admin();
    for _ in 0..5 {
        wrong(&access, "admin", from(1));
    }
    assert!(matches!(access.login_from("admin", PASSWORD, from(1), NOW), Err(LoginError::LockedOut(_))));
    let command = Access::open(folder.path(), Settings::default(), NOW).unwrap();
    let password = command.reset_password("admin").unwrap();
    access.login_from("admin", &password, from(1), NOW).unwrap();
}

#[test]
fn a_step_of_the_wall_clock_does_not_change_a_lockout() {
    let (_folder, access, clock) = admin();
    let day = 24 * 3600 * S;
    let at = |wall: i64| access.login_from("admin", PASSWORD, from(1), wall);
    for wall in [NOW, NOW + 365 * day, NOW - 365 * day] {
        for _ in 0..4 {
            assert!(matches!(
                access.login_from("admin", "wrong password", from(1), wall),
                Err(LoginError::WrongCredentials)
            ));
        }
        at(wall).unwrap();
    }
    for _ in 0..5 {
        wrong(&access, "admin", from(1));
    }
    for wall in [NOW, NOW + 365 * day, NOW - 365 * day] {
        assert!(matches!(at(wall), Err(LoginError::LockedOut(wait)) if wait == Duration::from_secs(60)));
    }
    clock.advance(Duration::from_secs(60));
    at(NOW - 365 * day).unwrap();
    // Rate limits use the monotonic clock too: a bucket refills when time has passed.
    while access.rate_limiter().try_take(RateClass::Login, "10.0.0.1", 1).allowed {}
    assert!(!access.rate_limiter().try_take(RateClass::Login, "10.0.0.1", 1).allowed);
    clock.advance(Duration::from_secs(60));
    assert!(access.rate_limiter().try_take(RateClass::Login, "10.0.0.1", 1).allowed);
}
