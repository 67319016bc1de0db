//! Verification of the audit log: each kind of change of the file is found, at the right entry.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use proptest::prelude::*;
use rusqlite::{Connection, params};
use tempfile::TempDir;
use wheeltapper_access::{Access, AuditDefect, AuditEvent, Settings};

const S: i64 = 1_000_000_000;
const NOW: i64 = 1_767_225_600 * S;
/// Number of entries, including the first one, which is written when the file is created.
const ENTRIES: i64 = 8;

fn access_with_entries() -> (TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::open(folder.path(), Settings::default(), NOW).unwrap();
    for number in 2..=ENTRIES {
        let target = format!("anomalies/{number}");
        let event = AuditEvent {
            actor: "ada",
            action: "POST /api/v1/anomalies/{id}/acknowledge",
            target: &target,
            outcome: "200",
            address: "192.0.2.1",
            detail: "seen by hand",
        };
        assert_eq!(access.record(&event, NOW + number * S).unwrap(), number);
    }
    let verification = access.verify_audit().unwrap();
    assert!(verification.is_intact() && verification.entries == ENTRIES as u64, "{verification:?}");
    (folder, access)
}

/// Opens the file like an attacker who can write it but does not have the keyring.
fn open_without_triggers(folder: &Path) -> Connection {
    let file = Connection::open(folder.join("access.db")).unwrap();
    file.execute_batch("DROP TRIGGER IF EXISTS audit_stays; DROP TRIGGER IF EXISTS audit_stays_so").unwrap();
    file
}

fn first_defect(access: &Access) -> AuditDefect {
    access.verify_audit().unwrap().first_defect.unwrap()
}

#[test]
fn triggers_of_the_file_prevent_changes() {
    let (folder, _access) = access_with_entries();
    let file = Connection::open(folder.path().join("access.db")).unwrap();
    for change in ["DELETE FROM audit", "UPDATE audit SET actor = 'x'", "UPDATE audit SET hash = x'00' WHERE seq = 3"] {
        assert!(file.execute(change, []).unwrap_err().to_string().contains("append-only"), "{change}");
    }
}

#[test]
fn an_edit_of_any_column_is_found() {
    for edit in [
        "time = time + 1",
        "actor = 'bob'",
        "action = 'GET'",
        "target = ''",
        "outcome = '403'",
        "address = (SELECT address FROM audit WHERE seq = 5)",
        "detail = (SELECT detail FROM audit WHERE seq = 5)",
        "address = detail, detail = address",
        "detail = ''",
        "detail = replace(detail, 'a', 'b') || 'A'",
        "hash = zeroblob(32)",
        "hash = x'00'",
        "key = 'abcd'",
        "actor = actor || action, action = ''",
    ] {
        let (folder, access) = access_with_entries();
        open_without_triggers(folder.path()).execute(&format!("UPDATE audit SET {edit} WHERE seq = 4"), []).unwrap();
        assert_eq!(first_defect(&access).seq, 4, "{edit}");
    }
}

#[test]
fn a_removed_entry_is_found_even_the_first_or_last() {
    for seq in 1..=ENTRIES {
        let (folder, access) = access_with_entries();
        open_without_triggers(folder.path()).execute("DELETE FROM audit WHERE seq = ?1", [seq]).unwrap();
        let bad = first_defect(&access);
        assert_eq!((bad.seq, bad.reason.contains("missing")), (seq, true), "{bad:?}");
    }
}

#[test]
fn a_truncated_log_is_found_even_after_new_entries() {
    for head in [
        "SELECT 1",
        "UPDATE audit_head SET seq = 5",
        "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)",
        "DELETE FROM audit_head",
    ] {
        let (folder, access) = access_with_entries();
        let file = open_without_triggers(folder.path());
        file.execute("DELETE FROM audit WHERE seq > 5", []).unwrap();
        file.execute_batch(head).unwrap();
        assert!((5..=6).contains(&first_defect(&access).seq), "{head}");
        access.record(&AuditEvent { actor: "ada", action: "login", ..AuditEvent::default() }, NOW).unwrap();
        access.record(&AuditEvent { actor: "ada", action: "login", ..AuditEvent::default() }, NOW).unwrap();
        assert_eq!(first_defect(&access).seq, 6, "{head}: new entries must not hide it");
    }
}

#[test]
fn an_emptied_audit_is_found() {
    let (folder, access) = access_with_entries();
    open_without_triggers(folder.path()).execute_batch("DELETE FROM audit; DELETE FROM audit_head").unwrap();
    assert_eq!(first_defect(&access).seq, 1);
    access.record(&AuditEvent { actor: "ada", action: "login", ..AuditEvent::default() }, NOW).unwrap();
    assert_eq!(first_defect(&access).seq, 1);
}

#[test]
fn reordered_entries_are_found() {
    let (folder, access) = access_with_entries();
    open_without_triggers(folder.path())
        .execute_batch(
            "UPDATE audit SET seq = -1 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = -1",
        )
        .unwrap();
    assert_eq!(first_defect(&access).seq, 4);
    // Swap only the content; numbers, times and hashes stay.
    let (folder, access) = access_with_entries();
    let columns = "actor, action, target, outcome, address, detail, key";
    open_without_triggers(folder.path())
        .execute_batch(&format!(
            "UPDATE audit SET ({columns}) = (SELECT {columns} FROM audit AS other WHERE other.seq = 9 - audit.seq) WHERE seq IN (4, 5)"
        ))
        .unwrap();
    assert_eq!(first_defect(&access).seq, 4);
}

#[test]
fn an_inserted_entry_is_found() {
    let columns = "time, actor, action, target, outcome, address, detail, key, hash";
    let (folder, access) = access_with_entries();
    let file = open_without_triggers(folder.path());
    for seq in (5..=ENTRIES).rev() {
        file.execute("UPDATE audit SET seq = ?1 + 1 WHERE seq = ?1", params![seq]).unwrap();
    }
    file.execute(&format!("INSERT INTO audit (seq, {columns}) SELECT 5, {columns} FROM audit WHERE seq = 4"), [])
        .unwrap();
    assert_eq!(first_defect(&access).seq, 5);
    let (folder, access) = access_with_entries();
    open_without_triggers(folder.path())
        .execute(&format!("INSERT INTO audit (seq, {columns}) SELECT 9, {columns} FROM audit WHERE seq = 8"), [])
        .unwrap();
    assert_eq!(first_defect(&access).seq, 9, "at the end");
    let (folder, access) = access_with_entries();
    open_without_triggers(folder.path())
        .execute(&format!("INSERT INTO audit (seq, {columns}) SELECT 0, {columns} FROM audit WHERE seq = 1"), [])
        .unwrap();
    assert_eq!(first_defect(&access).seq, 0, "at the beginning");
}

#[test]
fn entries_are_encrypted_listed_exported_and_re_encrypted() {
    let (folder, access) = access_with_entries();
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap_or_default();
    let file = [bytes("access.db"), bytes("access.db-wal")].concat();
    for secret in [b"192.0.2.1".as_slice(), b"seen by hand"] {
        assert!(!file.windows(secret.len()).any(|window| window == secret), "the database contains it in plain text");
    }
    let listed = access.audit_entries(None, 3).unwrap();
    assert_eq!(listed.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [8, 7, 6]);
    assert_eq!((listed[0].address.as_str(), listed[0].detail.as_str()), ("192.0.2.1", "seen by hand"));
    assert_eq!(access.audit_entries(Some(6), 1).unwrap()[0].seq, 5);
    let mut exported = Vec::new();
    access
        .export_audit(4, |entry| {
            exported.push(entry.to_json());
            exported.len() < 3
        })
        .unwrap();
    assert_eq!(exported[0]["seq"], 4);
    assert_eq!(exported[0]["time"], "2026-01-01T00:00:04Z");
    assert_eq!(exported.len(), 3);

    access.rotate_keys(false, NOW).unwrap();
    let newest = access.keys().unwrap().pop().unwrap().id;
    let old: i64 = Connection::open(folder.path().join("access.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM audit WHERE NOT address LIKE 's1.' || ?1 || '.%'", [newest], |row| row.get(0))
        .unwrap();
    assert_eq!(old, 0);
    access.record(&AuditEvent { actor: "ada", action: "login", ..AuditEvent::default() }, NOW).unwrap();
    assert!(access.verify_audit().unwrap().is_intact(), "{:?}", access.verify_audit());
    assert_eq!(access.audit_entries(Some(9), 1).unwrap()[0].address, "192.0.2.1");
}

#[test]
fn two_processes_write_one_chain() {
    let (folder, access) = access_with_entries();
    std::thread::scope(|scope| {
        for actor in ["host", "command"] {
            let folder = folder.path();
            scope.spawn(move || {
                let access = Access::open(folder, Settings::default(), NOW).unwrap();
                for _ in 0..50 {
                    access.record(&AuditEvent { actor, action: "test", ..AuditEvent::default() }, NOW).unwrap();
                }
            });
        }
    });
    let verification = access.verify_audit().unwrap();
    assert!(verification.is_intact() && verification.entries == ENTRIES as u64 + 100, "{verification:?}");
}

#[test]
fn a_long_text_is_truncated() {
    let (_folder, access) = access_with_entries();
    let long = "ü".repeat(100_000);
    access.record(&AuditEvent { actor: &long, action: "login", ..AuditEvent::default() }, NOW).unwrap();
    assert!(access.audit_entries(None, 1).unwrap()[0].actor.len() < 3000);
    assert!(access.verify_audit().unwrap().is_intact());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_changed_byte_of_an_encrypted_column_is_found(seq in 1..=ENTRIES, detail: bool, at in 0_usize..60, by in 1_u8..255) {
        let (folder, access) = access_with_entries();
        let file = open_without_triggers(folder.path());
        let column = if detail { "detail" } else { "address" };
        let read = format!("SELECT {column} FROM audit WHERE seq = ?1");
        let mut text: Vec<u8> = file.query_row(&read, [seq], |row| row.get::<_, String>(0)).unwrap().into_bytes();
        let at = at % text.len();
        text[at] = (text[at].wrapping_add(by) % 94) + 33;
        let text = String::from_utf8(text).unwrap();
        let before: String = file.query_row(&read, [seq], |row| row.get(0)).unwrap();
        file.execute(&format!("UPDATE audit SET {column} = ?2 WHERE seq = ?1"), params![seq, text]).unwrap();
        let found = access.verify_audit().unwrap();
        if text == before {
            prop_assert!(found.is_intact());
        } else {
            prop_assert_eq!(found.first_defect.unwrap().seq, seq);
        }
    }

    #[test]
    fn an_encrypted_value_can_only_be_decrypted_for_its_row(plain: Vec<u8>, table in "[a-z]{1,8}", row in "[a-z0-9/]{1,8}") {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::open(folder.path(), Settings::default(), NOW).unwrap();
        let encrypted = access.encrypt_column(&table, &row, &plain).unwrap();
        prop_assert_eq!(access.decrypt_column(&table, &row, &encrypted).unwrap(), plain.clone());
        prop_assert_ne!(&encrypted, &access.encrypt_column(&table, &row, &plain).unwrap());
        let elsewhere = (format!("{table}x"), format!("x{row}"));
        prop_assert!(access.decrypt_column(&elsewhere.0, &row, &encrypted).is_err());
        prop_assert!(access.decrypt_column(&table, &elsewhere.1, &encrypted).is_err());
        let joined = format!("{table}{row}");
        prop_assert!(access.decrypt_column(&joined, "", &encrypted).is_err());
        prop_assert!(!access.is_encrypted_with_old_key(&encrypted).unwrap());
        access.rotate_keys(true, NOW).unwrap();
        prop_assert!(access.is_encrypted_with_old_key(&encrypted).unwrap());
        prop_assert_eq!(access.decrypt_column(&table, &row, &encrypted).unwrap(), plain);
    }
}
