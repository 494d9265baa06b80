//! The directory in which the local run keeps its files, and the lock that keeps a second process out.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The data directory cannot be used, or is in use.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    #[error("{} is in use by another sundial-local", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// A data directory that only this process may use until the value is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    /// The lock goes with the open file, so that the system gives it back however the process ends.
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if it does not exist, and locks it.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or another process holds it.
    pub fn lock(path: &Path) -> Result<Self, DataDirectoryError> {
        let failed = |path: &Path, source| DataDirectoryError::File { path: path.into(), source };
        // One that was there and is not ours may be for others too: then its files alone are closed.
        let is_ours = !path.exists() || path.join(LOCK).exists();
        std::fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        keep_to_its_owner(path, is_ours).map_err(|source| failed(path, source))?;
        let lock_path = path.join(LOCK);
        let lock = open(&lock_path).map_err(|source| failed(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirectoryError::InUse(path.into())),
            Err(TryLockError::Error(source)) => Err(failed(&lock_path, source)),
        }
    }

    /// The path of the database's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The path of the queue's file.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.path.join(QUEUE)
    }
}

// The files of the directory. What SQLite puts beside a database gets the mode of that.
const LOCK: &str = "lock";
const DATABASE: &str = "database.db";
const QUEUE: &str = "queue.db";

/// Opens a file, or makes an empty one, which nobody but its owner may read.
fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Lets nobody but the owner read the files, and if `whole`, into the directory: they hold records, hashes of passwords and the
/// secret of cursors.
#[cfg(unix)]
fn keep_to_its_owner(path: &Path, whole: bool) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let close = |path: &Path| -> std::io::Result<()> {
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode & 0o7700))?;
            tracing::info!(path = %path.display(), "closed to other users");
        }
        Ok(())
    };
    if whole {
        close(path)?;
    }
    for name in [LOCK, DATABASE, QUEUE] {
        // An empty file is an empty database.
        drop(open(&path.join(name))?);
        for name in [name.to_owned(), format!("{name}-wal"), format!("{name}-shm"), format!("{name}-journal")] {
            match close(&path.join(name)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_to_its_owner(_: &Path, _: bool) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn nobody_but_its_owner_reads_it_be_it_new_or_of_an_earlier_release() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (new, earlier, shared) =
            (parent.path().join("new"), parent.path().join("earlier"), parent.path().join("shared"));
        for there in [&earlier, &shared] {
            std::fs::create_dir(there).unwrap();
            std::fs::write(there.join("database.db-wal"), "").unwrap();
            for path in [there.clone(), there.join("database.db-wal")] {
                std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
            }
        }
        std::fs::write(earlier.join("lock"), "").unwrap();
        for (path, expected) in [(&new, 0o700), (&earlier, 0o700), (&shared, 0o755)] {
            drop(DataDirectory::lock(path).unwrap());
            assert_eq!(mode(path), expected, "{}", path.display());
            for file in std::fs::read_dir(path).unwrap() {
                let file = file.unwrap().path();
                assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
            }
        }
    }

    #[test]
    fn one_process_at_a_time_has_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/when/missing");
        let held = DataDirectory::lock(&path).unwrap();
        let refused = DataDirectory::lock(&path).unwrap_err().to_string();
        assert_eq!(refused, format!("{} is in use by another sundial-local", path.display()));
        drop(held);
        DataDirectory::lock(&path).unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataDirectory::lock(file.path()).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("{}: ", file.path().display())), "{refused}");
    }
}
