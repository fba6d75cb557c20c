//! Who makes the tokens of a data set: runs and trials share one, and one of them makes what all read.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::train::durable;

/// Time between two looks at whether somebody else is done.
const LOOK: Duration = Duration::from_millis(500);
/// Looks between two lines of the log.
const SAY: u32 = 120;

/// The right to make what has a name, until the value goes.
#[derive(Debug)]
pub struct Claim {
    /// Nothing where the volume has no locks: what two make at once is the same, and the first one's stays.
    _file: Option<File>,
}

/// What came of waiting.
#[derive(Debug)]
pub enum Claimed<T> {
    /// Nobody else makes it.
    Own(Claim),
    /// Somebody else has made it.
    Made(T),
    /// It was stopped.
    Stopped,
}

/// Waits for the right to make `place`, unless somebody else has made it: `find` looks.
///
/// # Errors
/// When nothing can be written there.
pub fn claim<T>(place: &Path, find: impl Fn(&Path) -> Option<T>, stopped: &dyn Fn() -> bool) -> io::Result<Claimed<T>> {
    let mut looks = 0;
    loop {
        if let Some(claim) = take(place)? {
            // It may have been made between the last look and now.
            return Ok(find(place).map_or(Claimed::Own(claim), Claimed::Made));
        }
        if stopped() {
            return Ok(Claimed::Stopped);
        }
        if looks % SAY == 0 {
            tracing::info!("another process makes {}: waiting", place.display());
        }
        looks += 1;
        std::thread::sleep(LOOK);
    }
}

/// Removes from a directory what processes that are gone did not complete, and nothing that somebody works on.
pub fn sweep(directory: &Path) {
    for name in durable::unfinished(directory) {
        let place = directory.join(&name);
        if let Ok(Some(Claim { _file: Some(_) })) = take(&place) {
            durable::sweep(directory, Some(&name));
        }
    }
}

/// Nothing if somebody else has it.
fn take(place: &Path) -> io::Result<Option<Claim>> {
    let path = lock_of(place);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // The file stays: one that is removed while another process waits for it would be two locks.
    let file = File::create(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Claim { _file: Some(file) })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Ok(Some(Claim { _file: None }))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock_of(place: &Path) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn own(place: &Path) -> Claim {
        match claim(place, |_| None::<()>, &|| false).unwrap() {
            Claimed::Own(claim) => claim,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_somebody_makes_is_left_alone_and_found() {
        let dir = tempfile::tempdir().unwrap();
        let (place, other) = (dir.path().join("a"), dir.path().join("b"));
        let held = own(&place);
        let made = durable::temporary(&place).unwrap();
        std::mem::forget(durable::temporary(&other).unwrap());
        sweep(dir.path());
        assert!(made.path().is_dir());
        assert_eq!(durable::unfinished(dir.path()), BTreeSet::from(["a".to_owned()]));
        // A second one waits until it is told to end, or until it is made.
        let stopped = claim(&place, |_| None::<()>, &|| true).unwrap();
        assert!(matches!(stopped, Claimed::Stopped), "{stopped:?}");
        made.publish(&place).unwrap();
        drop(held);
        let found = claim(&place, |place| place.is_dir().then_some(7), &|| false).unwrap();
        assert!(matches!(found, Claimed::Made(7)), "{found:?}");
    }
}
