//! Runs commands in three lanes at once, and prints the output of each when it ends.

use std::{
    collections::{HashMap, VecDeque},
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::target;

/// Interval of the lines that name the running jobs.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(30);
/// The priority of jobs that only compute: the others wait for a processor no longer than without them.
const BACKGROUND_NICENESS: &str = "15";
/// The shortest job in the table of durations.
const LISTED_DURATION: Duration = Duration::from_secs(5);

/// Where a job runs. In each lane one job runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Starts servers, and may assert durations.
    Servers,
    /// As [`Self::Servers`], but mostly waits, so that it may run beside that lane.
    Waiting,
    /// Only computes. Runs with low priority, also in the other lanes once these have nothing else to do.
    Background,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Servers, Self::Waiting, Self::Background];
}

/// A command to run.
#[derive(Debug)]
pub(super) struct Job {
    name: String,
    lane: Lane,
    command: Command,
}

impl Job {
    pub(super) fn new(name: String, lane: Lane, command: Command) -> Self {
        let command = if lane == Lane::Background { with_low_priority(&command) } else { command };
        Self { name, lane, command }
    }

    /// Runs the command. Its output goes to a file, so that the outputs of several jobs do not mix.
    fn run(&mut self) -> anyhow::Result<ExitStatus> {
        let path = output_path(&self.name);
        let output = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        self.command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        self.command.status().with_context(|| format!("starting {}", self.command.get_program().display()))
    }
}

/// Returns the file for the output of a job.
fn output_path(job: &str) -> PathBuf {
    let name = job.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    target().join("test-output").join(format!("{name}.txt"))
}

/// Returns the same command with a low priority.
fn with_low_priority(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", BACKGROUND_NICENESS]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice
}

/// What a lane reports.
enum Event {
    Started(String),
    Ended(String, anyhow::Result<ExitStatus>),
}

/// Runs all jobs, also after a failure.
///
/// # Errors
/// If a job fails; the error names all that do.
pub(super) fn run_all(jobs: Vec<Job>) -> anyhow::Result<()> {
    let folder = target().join("test-output");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut progress = Progress::new(jobs.len());
    let mut queues: HashMap<Lane, VecDeque<Job>> = HashMap::new();
    for job in jobs {
        queues.entry(job.lane).or_default().push_back(job);
    }
    let queues = Mutex::new(queues);
    let next = |lane: Lane| {
        let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
        let mut take = |lane| queues.get_mut(&lane).and_then(VecDeque::pop_front);
        take(lane).or_else(|| take(Lane::Background))
    };
    thread::scope(|scope| {
        let (events, received) = mpsc::channel();
        for lane in Lane::ALL {
            let (events, next) = (events.clone(), &next);
            scope.spawn(move || {
                while let Some(mut job) = next(lane) {
                    let _ = events.send(Event::Started(job.name.clone()));
                    let result = job.run();
                    let _ = events.send(Event::Ended(job.name, result));
                }
            });
        }
        drop(events);
        loop {
            match received.recv_timeout(PROGRESS_INTERVAL) {
                Ok(Event::Started(name)) => progress.started(name),
                Ok(Event::Ended(name, result)) => progress.ended(name, result),
                Err(mpsc::RecvTimeoutError::Timeout) => progress.print(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
    });
    progress.print_durations();
    ensure!(
        progress.failed.is_empty(),
        "failed: {}; the outputs are in {}",
        progress.failed.join(", "),
        folder.display()
    );
    Ok(())
}

/// The state of all jobs.
struct Progress {
    total: usize,
    running: Vec<(String, Instant)>,
    ended: Vec<(String, Duration)>,
    failed: Vec<String>,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self { total, running: Vec::new(), ended: Vec::new(), failed: Vec::new() }
    }

    fn started(&mut self, name: String) {
        self.running.push((name, Instant::now()));
    }

    /// Prints the result and the whole output of a job.
    fn ended(&mut self, job: String, result: anyhow::Result<ExitStatus>) {
        let index = self.running.iter().position(|(name, _)| *name == job);
        let duration = index.map_or(Duration::ZERO, |index| self.running.swap_remove(index).1.elapsed());
        let outcome = match &result {
            Ok(status) if status.success() => "passed".to_owned(),
            Ok(status) => format!("FAILED ({status})"),
            Err(error) => format!("FAILED ({error:#})"),
        };
        if outcome != "passed" {
            self.failed.push(job.clone());
        }
        let output = fs::read(output_path(&job)).unwrap_or_default();
        self.ended.push((job.clone(), duration));
        if outcome == "passed" && ran_no_test(&output) {
            return;
        }
        println!("\n-- {job}: {outcome} after {:.1} s", duration.as_secs_f64());
        // The output can always be read in its file.
        let _ = io::stdout().write_all(&output);
    }

    fn print(&self) {
        let running: Vec<String> = self
            .running
            .iter()
            .map(|(name, started)| format!("{name} ({:.0} s)", started.elapsed().as_secs_f64()))
            .collect();
        println!("-- {} of {} done; running: {}", self.ended.len(), self.total, running.join(", "));
    }

    fn print_durations(&self) {
        let mut listed: Vec<_> = self.ended.iter().filter(|(_, duration)| *duration >= LISTED_DURATION).collect();
        listed.sort_by_key(|(_, duration)| std::cmp::Reverse(*duration));
        println!("\nseconds  job");
        for (name, duration) in listed {
            println!("{:>7.0}  {name}", duration.as_secs_f64());
        }
    }
}

/// Returns whether this is the output of a test program without a test of the wanted name.
fn ran_no_test(output: &[u8]) -> bool {
    let output = String::from_utf8_lossy(output);
    let mut counts = output.lines().filter_map(|line| line.strip_prefix("running ")?.split_once(" test"));
    counts.next().is_some_and(|(count, _)| count == "0") && counts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, lane: Lane, script: &str) -> Job {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env("GREETING", "hello");
        Job::new(format!("xtask test {name}"), lane, command)
    }

    #[test]
    fn programs_without_a_test_are_recognised() {
        assert!(ran_no_test(b"\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed\n"));
        for output in ["\nrunning 1 test\ntest a ... ok\n", "running 12 tests\n", "    Checking edge\n", ""] {
            assert!(!ran_no_test(output.as_bytes()), "{output}");
        }
    }

    #[test]
    fn every_job_runs_and_each_failure_is_named() {
        let jobs = vec![
            shell("one", Lane::Servers, "echo $GREETING"),
            shell("two", Lane::Waiting, "exit 3"),
            shell("three", Lane::Background, "echo $GREETING $(nice) >&2"),
            shell("four", Lane::Background, "exit 1"),
            shell("five", Lane::Servers, "true"),
        ];
        let paths: Vec<PathBuf> = jobs.iter().map(|job| output_path(&job.name)).collect();
        let error = run_all(jobs).map_or_else(|error| error.to_string(), |()| String::new());
        let failed = error.split(';').next().and_then(|names| names.strip_prefix("failed: ")).unwrap_or_default();
        let mut failed: Vec<&str> = failed.split(", ").collect();
        failed.sort_unstable();
        assert_eq!(failed, ["xtask test four", "xtask test two"], "{error}");
        let outputs: Vec<String> = paths.iter().map(|path| fs::read_to_string(path).unwrap_or_default()).collect();
        assert_eq!(outputs[0], "hello\n");
        let niceness = outputs[2].trim().strip_prefix("hello ").and_then(|text| text.parse::<i32>().ok());
        assert!(niceness.is_some_and(|niceness| niceness >= 15), "{outputs:?}");
    }
}
