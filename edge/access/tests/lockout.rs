//! Who guesses waits; nobody else does, whatever strangers do and the wall clock shows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::{net::IpAddr, sync::Arc, time::Duration};

use common::Hand;
use tempfile::TempDir;
use wheeltapper_access::{Access, Class, LoginError, Settings};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
const PASSWORD: &str = "correct horse battery";

fn admin() -> (TempDir, Access, Arc<Hand>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Hand::default());
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
fn strangers_lock_nobody_out() {
    let (_folder, access, _) = admin();
    let session = access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    for _ in 0..5 {
        assert!(matches!(wrong(&access, "admin", from(66)), LoginError::Wrong));
    }
    // The stranger waits, also with the right password.
    let told = access.login_from("admin", PASSWORD, from(66), NOW).unwrap_err();
    assert!(matches!(told, LoginError::Locked(left) if left == Duration::from_secs(60)), "{told}");
    // The admin does not: not where they were, not anew from elsewhere, not where they are signed in.
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    access.login_from("admin", PASSWORD, from(2), NOW).unwrap();
    assert!(access.authenticate(&session.token, NOW).is_ok());
    access.change_password("admin", PASSWORD, "another good password", NOW).unwrap();
    for name in ["nobody", "admin"] {
        for _ in 0..5 {
            assert!(matches!(wrong(&access, name, from(67)), LoginError::Wrong));
        }
        assert!(matches!(wrong(&access, name, from(67)), LoginError::Locked(_)), "{name}");
    }
}

#[test]
fn guesses_from_everywhere_slow_a_name_down_but_not_the_addresses_it_is_known_at() {
    let (_folder, access, clock) = admin();
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    let mut slowed = 0;
    for guess in 0..60 {
        slowed += u32::from(matches!(wrong(&access, "admin", from(100 + guess)), LoginError::Locked(_)));
    }
    assert!(slowed > 0);
    access.login_from("admin", PASSWORD, from(1), NOW).unwrap();
    // From a new address the wait is short, and shorter than what a guesser would need.
    match access.login_from("admin", PASSWORD, from(3), NOW) {
        Err(LoginError::Locked(left)) => assert!(left <= Duration::from_secs(60), "{left:?}"),
        other => panic!("{other:?}"),
    }
    clock.forward(Duration::from_secs(60));
    access.login_from("admin", PASSWORD, from(3), NOW).unwrap();
}

#[test]
fn a_reset_by_another_process_begins_anew() {
    let (folder, access, _) = admin();
    for _ in 0..5 {
        wrong(&access, "admin", from(1));
    }
    assert!(matches!(access.login_from("admin", PASSWORD, from(1), NOW), Err(LoginError::Locked(_))));
    let command = Access::open(folder.path(), Settings::default(), NOW).unwrap();
    let password = command.reset_password("admin").unwrap();
    access.login_from("admin", &password, from(1), NOW).unwrap();
}

#[test]
fn a_step_of_the_wall_clock_locks_nobody_out_and_lets_nobody_in() {
    let (_folder, access, clock) = admin();
    let day = 24 * 3600 * S;
    let at = |wall: i64| access.login_from("admin", PASSWORD, from(1), wall);
    for wall in [NOW, NOW + 365 * day, NOW - 365 * day] {
        for _ in 0..4 {
            assert!(matches!(access.login_from("admin", "wrong password", from(1), wall), Err(LoginError::Wrong)));
        }
        at(wall).unwrap();
    }
    for _ in 0..5 {
        wrong(&access, "admin", from(1));
    }
    for wall in [NOW, NOW + 365 * day, NOW - 365 * day] {
        assert!(matches!(at(wall), Err(LoginError::Locked(left)) if left == Duration::from_secs(60)));
    }
    clock.forward(Duration::from_secs(60));
    at(NOW - 365 * day).unwrap();
    // Limits have no other clock either: what is used up comes back when time has passed.
    while access.limits().take(Class::Login, "10.0.0.1", 1).allowed {}
    assert!(!access.limits().take(Class::Login, "10.0.0.1", 1).allowed);
    clock.forward(Duration::from_secs(60));
    assert!(access.limits().take(Class::Login, "10.0.0.1", 1).allowed);
}
