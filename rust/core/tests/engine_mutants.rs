//! Every deliberate bug of the engine is noticed by a battery of checks that passes without it: the checks can fail.
//!
//! Each bug gets a process of its own, because it may end in an abort or a hang.
#![cfg(feature = "mutants")]

mod support;

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sopasync_core::Isolation;
use sopasync_core::disk::{Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::mutants::MUTANTS;
use support::clients::{Load, run};
use support::crashes::{crash, extents_on_pages_of_a_removed_store};
use support::damage::{damage, good, look};
use support::derived::files_survive_crashes;
use support::elle::check;
use support::faults::life;
use support::groups::groups_are_whole;
#[cfg(target_os = "linux")]
use support::mapping::mapped_values_stay_as_they_are;
use support::skew::every_skew_is_refused;
use support::stamped::entries_carry_their_commit;

const PATIENCE: Duration = Duration::from_secs(120);

/// A short form of every suite, quick ones first.
const BATTERY: &[(&str, fn())] = &[
    ("stamped entries", entries_carry_their_commit),
    ("derived files", files_survive_crashes),
    #[cfg(target_os = "linux")]
    ("mapped values", mapped_values_stay_as_they_are),
    ("validation", every_skew_is_refused),
    ("histories", histories),
    ("damage", damaged),
    ("removed stores", || {
        extents_on_pages_of_a_removed_store(&SimDisk::new(1))
    }),
    ("groups", || {
        groups_are_whole();
    }),
    ("faults", faults),
    ("crashes", crashes),
];

fn crashes() {
    for seed in 0..12 {
        crash(seed);
    }
}

fn histories() {
    for seed in 0..10 {
        let (history, outcome) = run(Load {
            seed,
            isolation: Isolation::Serializable,
            clients: 4,
            each: 100,
            keys: 8,
            submit: seed % 2 == 1,
        });
        check(&history, &outcome).unwrap_or_else(|anomaly| panic!("{anomaly}"));
    }
}

fn damaged() {
    for seed in 0..10 {
        let sample = good(seed);
        let mut random = SplitMix64::new(seed);
        for _ in 0..40 {
            let mut files = sample.files.clone();
            let place = damage(&mut files, &sample.stale_pages, &mut random);
            look(&files, &sample.versions, seed, &place);
        }
    }
}

fn faults() {
    for kind in [FaultKind::SyncDrops, FaultKind::NoSpace] {
        for seed in 0..2 {
            let calls = life(seed, None);
            for call in 1..=calls {
                life(
                    seed,
                    Some(Fault {
                        call,
                        kind,
                        forever: false,
                    }),
                );
            }
        }
    }
}

/// Run in a process of its own, with SOPASYNC_MUTANT set; the name of each check is printed before it begins.
#[test]
#[ignore = "run by the other test, once for each deliberate bug"]
fn battery() {
    for (name, check) in BATTERY {
        eprintln!("battery: {name}");
        check();
    }
}

/// What noticed the bug; nothing when all checks passed.
fn noticed(mutant: Option<&str>) -> Option<String> {
    let output = tempfile::NamedTempFile::new().expect("a file for the output");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "battery", "--ignored", "--nocapture"])
        .env("SOPASYNC_MUTANT", mutant.unwrap_or(""))
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(output.reopen().expect("the file"))
        .spawn()
        .expect("this program runs");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child") {
            break Some(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill().expect("the child ends");
            child.wait().expect("the child");
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.is_some_and(|status| status.success()) {
        return None;
    }
    let output = std::fs::read_to_string(output.path()).unwrap_or_default();
    let check = output.lines().rfind(|line| line.starts_with("battery: "));
    let reason = output
        .lines()
        .skip_while(|line| !line.contains("panicked at"))
        .nth(1);
    let reason: String = reason.unwrap_or("no message").chars().take(160).collect();
    let hangs = if status.is_none() { "hangs; " } else { "" };
    Some(format!("{} ({hangs}{reason})", check.unwrap_or("nothing")))
}

#[test]
fn each_deliberate_bug_of_the_engine_is_noticed() {
    if let Some(reason) = noticed(None) {
        panic!("without a mutant: {reason}");
    }
    let elsewhere = [
        "log-",
        "bulk-",
        "text-",
        "vector-",
        "index-",
        "relation-",
        "feed-",
        "follow-",
        "threads-",
    ];
    let own = |name: &str| !elsewhere.iter().any(|prefix| name.starts_with(prefix));
    let queue = Mutex::new(
        MUTANTS
            .iter()
            .filter(|(name, _)| own(name))
            .collect::<Vec<_>>(),
    );
    let survivors = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, promise)) = { queue.lock().unwrap().pop() } {
                    match noticed(Some(name)) {
                        Some(reason) => eprintln!("{name}: noticed by {reason}"),
                        None => survivors
                            .lock()
                            .unwrap()
                            .push(format!("{name} ({promise})")),
                    }
                }
            });
        }
    });
    let survivors = survivors.into_inner().unwrap();
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
