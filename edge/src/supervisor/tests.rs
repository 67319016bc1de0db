#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;

use super::*;

fn supervisor() -> Supervisor {
    Supervisor::new(Arc::new(Metrics::default()))
}

#[test]
fn a_body_that_fails_or_panics_runs_again_and_is_named_until_it_makes_progress() {
    let supervisor = supervisor();
    let (began, runs) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let mut attempt = 0;
    let mut handle = supervisor
        .spawn("line-0", move |context| {
            attempt += 1;
            began.send(attempt).unwrap();
            match attempt {
                1 => panic!("index out of bounds"),
                2 => anyhow::bail!("the disk is full"),
                _ => {
                    gate.recv().unwrap();
                    context.mark_healthy();
                    began.send(0).unwrap();
                    while context.sleep(Duration::from_secs(60)) {}
                    Ok(())
                }
            }
        })
        .unwrap();
    assert_eq!(runs.recv().unwrap(), 1);
    assert_eq!(runs.recv().unwrap(), 2);
    assert_eq!(runs.recv().unwrap(), 3);
    let failures = supervisor.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].task.as_str(), failures[0].restarts), ("line-0", 2));
    assert_eq!(failures[0].message, "the disk is full");
    assert!(!handle.is_healthy());
    release.send(()).unwrap();
    assert_eq!(runs.recv().unwrap(), 0);
    assert!(supervisor.failures().is_empty() && handle.is_healthy());
    assert!(handle.stop_within(Duration::from_secs(10)));
    assert!(supervisor.tasks().is_empty());
}

#[test]
fn a_body_that_hangs_does_not_block_the_stop() {
    let supervisor = supervisor();
    let (_never, gate) = mpsc::channel::<()>();
    let mut handle = supervisor
        .spawn("stuck", move |_| {
            let _ = gate.recv();
            Ok(())
        })
        .unwrap();
    assert!(!handle.stop_within(Duration::from_millis(20)));
}

#[test]
fn a_task_that_drops_its_own_handle_does_not_wait_for_itself() {
    let supervisor = supervisor();
    let (handle_sender, handle_receiver) = mpsc::channel::<TaskHandle>();
    let (report, ended) = mpsc::channel();
    let handle = supervisor
        .spawn("feed", move |_| {
            drop(handle_receiver.recv().unwrap());
            report.send(()).unwrap();
            Ok(())
        })
        .unwrap();
    handle_sender.send(handle).unwrap();
    ended.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[tokio::test]
async fn a_future_that_panics_runs_again() {
    let supervisor = supervisor();
    let (began, mut runs) = tokio::sync::mpsc::unbounded_channel();
    let mut attempt = 0;
    let task = tokio::spawn(supervisor.supervise("http", move |_| {
        attempt += 1;
        let (began, attempt) = (began.clone(), attempt);
        async move {
            began.send(attempt)?;
            assert!(attempt > 1, "the first attempt panics");
            std::future::pending().await
        }
    }));
    assert_eq!(runs.recv().await, Some(1));
    assert_eq!(runs.recv().await, Some(2));
    assert!(supervisor.metrics.text().contains("task_restarts_total{task=\"http\"} 1"));
    while !supervisor.failures().is_empty() {
        tokio::time::sleep(STARTUP_TIME).await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // The future and its sender are dropped; the task is no longer listed.
    assert_eq!(runs.recv().await, None);
    assert!(supervisor.tasks().is_empty());
}

#[test]
fn a_task_that_takes_over_from_one_of_its_name_stays_listed() {
    let supervisor = supervisor();
    let wait = |task: &TaskContext| {
        while task.sleep(Duration::from_secs(60)) {}
        Ok(())
    };
    let mut before = supervisor.spawn("route-ops", wait).unwrap();
    let mut after = supervisor.spawn("route-ops", wait).unwrap();
    assert!(before.stop_within(Duration::from_secs(10)));
    assert_eq!(supervisor.tasks(), [("route-ops".to_owned(), TaskPhase::Running)]);
    assert!(supervisor.metrics.text().contains("task_up{task=\"route-ops\"} 1"));
    assert!(after.stop_within(Duration::from_secs(10)));
    assert!(supervisor.tasks().is_empty());
    assert!(!supervisor.metrics.text().contains("route-ops"));
}
