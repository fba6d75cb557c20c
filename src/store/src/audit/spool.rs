//! Rows on the local disk, until the database has them.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::chain::Row;

/// A file that has grown to this is followed by another one.
const SEGMENT: u64 = 8 << 20;
const SUFFIX: &str = "rows";

/// The files of one process. A row is in the hands of the kernel when [`Self::append`] returns, so that it survives
/// the process; it survives the machine when it was synced.
pub struct Spool {
    dir: PathBuf,
    chain: String,
    segments: VecDeque<Segment>,
    count: u64,
    is_dirty: bool,
    /// Held as long as the process uses the directory.
    _lock: File,
}

struct Segment {
    path: PathBuf,
    file: File,
    size: u64,
    last: i64,
}

impl Spool {
    /// A spool for the rows of `chain`, and the files that earlier processes left behind.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open(dir: &Path, chain: &str) -> io::Result<(Self, Vec<PathBuf>)> {
        fs::create_dir_all(dir)?;
        let lock = OpenOptions::new().create(true).append(true).open(dir.join("lock"))?;
        lock.try_lock().map_err(|_| {
            let dir = dir.display();
            io::Error::other(format!(
                "{dir} is used by another process: give each one a directory of its own"
            ))
        })?;
        let mut left = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                left.push(path);
            }
        }
        left.sort();
        let mut spool = Self {
            dir: dir.into(),
            chain: chain.into(),
            segments: VecDeque::new(),
            count: 0,
            is_dirty: false,
            _lock: lock,
        };
        spool.begin_segment()?;
        Ok((spool, left))
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        self.count += 1;
        let path = self.dir.join(format!("{}-{:08}.{SUFFIX}", self.chain, self.count));
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)?;
        self.segments.push_back(Segment {
            path,
            file,
            size: 0,
            last: 0,
        });
        Ok(())
    }

    /// Keeps a row.
    ///
    /// # Errors
    /// When there is no room; then nothing of it is kept.
    pub fn append(&mut self, row: &Row) -> io::Result<()> {
        match self.segments.back() {
            Some(segment) if segment.size < SEGMENT => {}
            Some(full) => {
                full.file.sync_data()?;
                self.begin_segment()?;
            }
            None => self.begin_segment()?,
        }
        let segment = self.segments.back_mut().expect("there is one by now");
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        if let Err(error) = segment.file.write_all(&line) {
            // Half a row would spoil the next one.
            segment.file.set_len(segment.size)?;
            return Err(error);
        }
        segment.size += line.len() as u64;
        segment.last = row.seq;
        self.is_dirty = true;
        Ok(())
    }

    /// The database has all rows up to `seq`.
    ///
    /// # Errors
    /// When files cannot be removed; their rows are there twice then, which does no harm.
    pub fn release(&mut self, seq: i64) -> io::Result<()> {
        while self.segments.len() > 1 && self.segments[0].last <= seq {
            let Some(segment) = self.segments.pop_front() else {
                break;
            };
            fs::remove_file(segment.path)?;
        }
        if let [segment] = self.segments.make_contiguous()
            && segment.last <= seq
            && segment.size > 0
        {
            segment.file.set_len(0)?;
            segment.size = 0;
        }
        Ok(())
    }

    /// The file to sync, if there is anything new. Files that are full are synced.
    pub fn unsynced(&mut self) -> Option<File> {
        let is_dirty = std::mem::take(&mut self.is_dirty);
        let segment = self.segments.back().filter(|_| is_dirty)?;
        segment.file.try_clone().ok()
    }
}

impl Drop for Spool {
    /// Leaves no empty files behind.
    fn drop(&mut self) {
        for segment in &self.segments {
            if segment.size == 0 {
                let _ = fs::remove_file(&segment.path);
            }
        }
    }
}

/// The rows of a file that a process left behind, and whether it was whole: a machine that lost its power may
/// leave half a row at the end.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> io::Result<(Vec<Row>, bool)> {
    let mut rows = Vec::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(row) => rows.push(row),
            Err(_) => return Ok((rows, false)),
        }
    }
    Ok((rows, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::{Chain, Draft, Kind};

    fn rows(count: usize) -> Vec<Row> {
        let mut chain = Chain::new();
        let mut next = |_| {
            let row = chain.next(Draft::new(Kind::Opened, "r", "jane", &"e"));
            chain.advance(&row);
            row
        };
        (0..count).map(&mut next).collect()
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some()).collect()
    }

    #[test]
    fn what_the_database_lacks_is_left_to_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let all = rows(5);
        let (mut spool, left) = Spool::open(dir.path(), &all[0].chain).unwrap();
        assert!(left.is_empty());
        for row in &all[..2] {
            spool.append(row).unwrap();
        }
        spool.release(1).unwrap();
        for row in &all[2..] {
            spool.append(row).unwrap();
        }
        drop(spool);
        let (_spool, left) = Spool::open(dir.path(), "other").unwrap();
        // What was released lies in a file with others, and may come again.
        assert_eq!(read(&left[0]).unwrap(), (all, true));
    }

    #[test]
    fn nothing_is_left_when_the_database_has_it_all() {
        let dir = tempfile::tempdir().unwrap();
        let all = rows(3);
        let (mut spool, _) = Spool::open(dir.path(), &all[0].chain).unwrap();
        for row in &all {
            spool.append(row).unwrap();
        }
        spool.release(3).unwrap();
        assert_eq!(read(&files(dir.path())[0]).unwrap(), (Vec::new(), true));
        drop(spool);
        assert!(files(dir.path()).is_empty());
    }

    #[test]
    fn full_files_are_followed_by_others_and_go_when_they_are_done() {
        let dir = tempfile::tempdir().unwrap();
        let mut chain = Chain::new();
        let (mut spool, _) = Spool::open(dir.path(), chain.name()).unwrap();
        let long = "x".repeat(1 << 20);
        for _ in 0..20 {
            let row = chain.next(Draft::new(Kind::Opened, "r", "jane", &long));
            spool.append(&row).unwrap();
            chain.advance(&row);
        }
        assert_eq!(files(dir.path()).len(), 3);
        spool.release(19).unwrap();
        assert_eq!(files(dir.path()).len(), 1);
    }

    #[test]
    fn half_a_row_at_the_end_is_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.rows");
        let all = rows(2);
        let whole = serde_json::to_string(&all[0]).unwrap();
        fs::write(&path, format!("{whole}\n{}", &whole[..whole.len() / 2])).unwrap();
        assert_eq!(read(&path).unwrap(), (all[..1].to_vec(), false));
    }

    #[test]
    fn two_processes_do_not_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Spool::open(dir.path(), "a").unwrap();
        let error = Spool::open(dir.path(), "b").err().unwrap();
        assert!(error.to_string().contains("another process"), "{error}");
    }
}
