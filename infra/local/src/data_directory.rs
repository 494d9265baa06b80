//! What the local run keeps on disk, and the lock that keeps a second process away from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    #[error("{} is in use by another sundial-local", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
}

/// A data directory that is this process's own until the value is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    /// The lock goes with the open file, so that the system gives it back however the process ends.
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory when it is not there, and locks it.
    ///
    /// # Errors
    /// When the directory cannot be made or written, or another process holds it.
    pub fn lock(path: &Path) -> Result<Self, DataDirectoryError> {
        let failed = |path: &Path, source| DataDirectoryError::File { path: path.into(), source };
        std::fs::create_dir_all(path).map_err(|source| failed(path, source))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| failed(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirectoryError::InUse(path.into())),
            Err(TryLockError::Error(source)) => Err(failed(&lock_path, source)),
        }
    }

    /// The file of the database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("database.db")
    }

    /// The file of the queue.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.path.join("queue.db")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
