//! Followers beside an owner that commits, writes checkpoints and uses pages again.

use shuttle::thread;
use sopasync_core::disk::SimDisk;
use sopasync_core::{Database, Error, Options};

use super::{begin, get, open, options, with_store};

const PAIRS: u8 = 6;

fn put_pair(db: &Database, store: u64, pair: u8, number: u8) {
    let mut tx = begin(db);
    for side in 0..2 {
        tx.put(store, &[side, pair], b"", &[number; 100], true)
            .expect("a put");
    }
    // Named by the log where it lies in the file.
    tx.put(store, b"large", b"", &vec![number; 66_000], true)
        .expect("a put");
    tx.commit().expect("the only writer");
}

/// Both sides of every pair; nothing when the owner was quicker.
fn look(follower: &Database, store: u64) -> Result<(), Error> {
    let mut tx = begin(follower);
    for pair in 0..PAIRS {
        let (left, right) = (
            get(&mut tx, store, &[0, pair])?,
            get(&mut tx, store, &[1, pair])?,
        );
        assert_eq!(left, right, "half a commit");
    }
    if let Some(large) = get(&mut tx, store, b"large")? {
        assert!(large.iter().all(|byte| *byte == large[0]), "a mixture");
    }
    Ok(())
}

/// A follower opens, reads and refreshes meanwhile: it sees commits whole or is told that it was overtaken.
pub fn followers_see_whole_commits() {
    let disk = SimDisk::new(6);
    let (db, store) = with_store(&disk);
    for pair in 0..PAIRS {
        put_pair(&db, store, pair, 1);
    }
    let owner = {
        let db = db.clone();
        thread::spawn(move || {
            for number in 2..5 {
                put_pair(&db, store, number, number);
                if number != 3 {
                    db.checkpoint().expect("a checkpoint");
                }
            }
        })
    };
    let following = {
        let disk = disk.clone();
        thread::spawn(move || {
            let read_only = Options {
                read_only: true,
                background: false,
                ..options()
            };
            let follower = match open(&disk, read_only) {
                Err(Error::SnapshotExpired) => return,
                result => result.expect("it opens"),
            };
            for _ in 0..2 {
                match look(&follower, store) {
                    Ok(()) | Err(Error::SnapshotExpired) => {}
                    Err(error) => panic!("{error}"),
                }
                match follower.refresh() {
                    Ok(_) | Err(Error::SnapshotExpired) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        })
    };
    owner.join().expect("no panic");
    following.join().expect("no panic");
    db.close().expect("it closes");
}
