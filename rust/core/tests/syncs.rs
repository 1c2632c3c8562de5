//! Given the real disk, a commit costs exactly one `fdatasync` of the log, and so does a group of commits; nothing else is
//! synced meanwhile. Counted outside the engine, by a library that is loaded before the system's.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sopasync_core::disk::RealDisk;
use sopasync_core::{Database, Options, TransactionOptions};

/// Set for the process that commits: its database's folder.
const FOLDER: &str = "SOPASYNC_TEST_SYNCS";
const COMMITS: usize = 40;
const THREADS: usize = 8;

/// Writes down the name of every file that is synced, and syncs it.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void note(const char *call, int fd) {
    char link[64], line[4200];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int length = snprintf(line, sizeof line, "%s ", call);
    ssize_t count = readlink(link, line + length, 4096);
    if (count < 0) count = 0;
    line[length + count] = '\n';
    int log = open(getenv("SOPASYNC_TEST_SHIM"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (log < 0 || write(log, line, length + count + 1) < 0) abort();
    close(log);
}
int fdatasync(int fd) {
    note("fdatasync", fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
int fsync(int fd) {
    note("fsync", fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
"#;

fn commit(db: &Database, key: &[u8]) {
    let mut tx = db
        .begin(TransactionOptions::default())
        .expect("a transaction");
    let store = match tx.find_store("rows") {
        Some(store) => store.id,
        None => tx.create_store("rows", 1, b"").expect("a store").id,
    };
    tx.put(store, key, b"", b"value", true).expect("a put");
    tx.commit().expect("a commit");
}

/// What the other process does; `mark` goes between the parts.
fn work(folder: &Path) {
    let mark = |what: &str| {
        let path = std::env::var("SOPASYNC_TEST_SHIM").expect("it is set");
        let mut log = std::fs::OpenOptions::new()
            .append(true)
            .open(path)
            .expect("the shim's file");
        std::io::Write::write_all(&mut log, format!("{what}\n").as_bytes()).expect("a line");
    };
    let disk = RealDisk::open(folder, true).expect("the folder");
    let db = Database::open(Arc::new(disk), Options::default()).expect("it opens");
    commit(&db, b"first");
    // The next log segment is made ready in the background.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let groups = || db.statistics().groups;
    let before = groups();
    mark("one by one");
    for number in 0..COMMITS {
        commit(&db, &number.to_be_bytes());
    }
    mark(&format!("groups {}", groups() - before));
    let before = groups();
    mark("together");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let db = &db;
            scope.spawn(move || {
                for number in 0..COMMITS {
                    commit(db, &[thread as u8, number as u8]);
                }
            });
        }
    });
    mark(&format!("groups {}", groups() - before));
    mark("closing");
    db.close().expect("it closes");
}

#[test]
fn a_group_of_commits_costs_one_sync_of_the_log_and_no_other() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return work(Path::new(&folder));
    }
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (source, shim) = (place.path().join("shim.c"), place.path().join("shim.so"));
    let lines = place.path().join("lines");
    std::fs::write(&source, SHIM).expect("the source");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source])
        .arg("-ldl")
        .status()
        .expect("a C compiler");
    assert!(built.success(), "the shim does not compile");
    std::fs::write(&lines, "").expect("an empty file");
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "a_group_of_commits_costs_one_sync_of_the_log_and_no_other",
        ])
        .env(FOLDER, place.path().join("db"))
        .env("SOPASYNC_TEST_SHIM", &lines)
        .env("LD_PRELOAD", &shim)
        .output()
        .expect("the other process");
    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stdout)
    );
    let text = std::fs::read_to_string(&lines).expect("the lines");
    for (part, commits) in [("one by one", COMMITS), ("together", COMMITS * THREADS)] {
        let mut rest = text.lines().skip_while(|line| *line != part).skip(1);
        let syncs: Vec<&str> = rest
            .by_ref()
            .take_while(|line| !line.starts_with("groups"))
            .collect();
        let groups = text
            .lines()
            .skip_while(|line| *line != part)
            .find_map(|line| line.strip_prefix("groups "))
            .expect("a number of groups");
        assert_eq!(syncs.len().to_string(), groups, "{part}: {syncs:?}");
        let of_the_log = |line: &&str| line.starts_with("fdatasync ") && line.contains("/log-");
        assert!(syncs.iter().all(of_the_log), "{part}: {syncs:?}");
        assert!(syncs.len() <= commits, "{part}");
        if part == "one by one" {
            assert_eq!(syncs.len(), commits, "one commit is one group");
        }
    }
}
