//! What the local run keeps on disk, and the lock that keeps a second process away from it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use domain::ambient::Ambient;

/// The length of the key that cursors are signed with.
const CURSOR_KEY_BYTES: usize = 32;

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    #[error("{} is in use by another sundial-local", .0.display())]
    InUse(PathBuf),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{} does not hold {CURSOR_KEY_BYTES} bytes; remove it to have a new one made", .0.display())]
    CursorKey(PathBuf),
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

    /// The key that cursors are signed with, made at the first call, so that a cursor outlives a restart.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn cursor_key(&self, ambient: &Ambient) -> Result<[u8; CURSOR_KEY_BYTES], DataDirectoryError> {
        let path = self.path.join("cursor.key");
        let failed = |source| DataDirectoryError::File { path: path.clone(), source };
        match File::open(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                bytes.try_into().map_err(|_| DataDirectoryError::CursorKey(path.clone()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = ambient.random();
                // Under another name first: a process that dies here must not leave half a key.
                let unfinished = self.path.join("cursor.key.new");
                private_file(&unfinished)
                    .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
                    .and_then(|()| std::fs::rename(&unfinished, &path))
                    .map_err(failed)?;
                Ok(key)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A new file that only its owner may read.
fn private_file(path: &Path) -> std::io::Result<File> {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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

    #[test]
    fn the_cursor_key_is_made_once_and_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::lock(directory.path()).unwrap();
        std::fs::write(directory.path().join("cursor.key.new"), "half a k").unwrap();
        let key = data.cursor_key(&Ambient::system()).unwrap();
        assert_ne!(key, [0; CURSOR_KEY_BYTES]);
        assert_eq!(data.cursor_key(&Ambient::system()).unwrap(), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let metadata = std::fs::metadata(directory.path().join("cursor.key")).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_cursor_key_is_not_replaced_behind_the_users_back() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDirectory::lock(directory.path()).unwrap();
        std::fs::write(directory.path().join("cursor.key"), "short").unwrap();
        let refused = data.cursor_key(&Ambient::system()).unwrap_err().to_string();
        assert!(refused.contains("does not hold 32 bytes"), "{refused}");
    }
}
