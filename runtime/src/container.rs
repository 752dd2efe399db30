//! Containers on disk: made, found, listed, removed.

use std::path::{Path, PathBuf};

use fs_err as fs;
use gantry_cache::{Image, Pin, Store};
use gantry_image::Config;
use gantry_tree::remove_tree;
use rustix::fs::{FlockOperation, flock};

use crate::record::now;
use crate::{Record, RunError, check_name, random_name};

/// The containers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Containers<'s> {
    pub(crate) store: &'s Store,
}

/// How a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its process runs.
    Running,
    /// Its process was never started.
    Created,
    /// Its process ended, with this code.
    Exited(i32),
}

/// A container that this process has made and holds the lock of.
#[derive(Debug)]
pub struct Container {
    pub(crate) dir: PathBuf,
    pub(crate) record: Record,
    pub(crate) lock: fs::File,
}

impl<'s> Containers<'s> {
    /// Looks at nothing yet.
    pub fn new(store: &'s Store) -> Self {
        Self { store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.store.root().join("containers")
    }

    /// Makes a container of `image`, which stays in the store as long as the container does.
    ///
    /// # Errors
    /// [`RunError::BadName`], [`RunError::NameTaken`], or what the store and the disk say.
    pub fn create(
        &self,
        image: &Image,
        called: &str,
        name: Option<&str>,
        command: Vec<String>,
        config: Config,
    ) -> Result<Container, RunError> {
        if let Some(name) = name {
            check_name(name)?;
        }
        // Names are given one at a time.
        let _naming = self.store.lock("containers", b"names")?;
        let taken = self.list()?;
        let name = match name {
            Some(name) => {
                if let Some((other, _)) = taken.iter().find(|(other, _)| other.name == name) {
                    let id = other.id.clone();
                    return Err(RunError::NameTaken { name: name.to_owned(), id });
                }
                name.to_owned()
            }
            None => free_name(&taken)?,
        };
        let id: String = random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let dir = self.root().join(&id);
        let container = || -> std::io::Result<fs::File> {
            for made in ["upper", "work"] {
                fs::create_dir_all(dir.join(made))?;
            }
            let lock = fs::File::create(dir.join("lock"))?;
            flock(&lock, FlockOperation::LockExclusive)?;
            Ok(lock)
        };
        let lock = container()
            .map_err(|error| RunError::io(format!("make `{}`", dir.display()), error))?;
        let record = Record {
            image_id: image.id.to_string(),
            image: called.to_owned(),
            command,
            created: now(),
            started: None,
            finished: None,
            exit_code: None,
            oom_killed: false,
            pid: None,
            mounts: Vec::new(),
            config: Some(config),
            id,
            name,
        };
        let container = Container { dir, record, lock };
        self.store.pins().set(&container.owner(), &[Pin::Image(image.id)])?;
        container.record.write(&container.dir)?;
        Ok(container)
    }

    /// Lists all containers, the newest first.
    ///
    /// # Errors
    /// When `containers/` can't be read.
    pub fn list(&self) -> Result<Vec<(Record, Status)>, RunError> {
        let root = self.root();
        let entries = match fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(RunError::io(format!("list `{}`", root.display()), error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let dir = entry.map_err(|error| RunError::io("list the containers", error))?.path();
            if let Some(record) = Record::read(&dir)? {
                let status = status(&dir, &record)?;
                found.push((record, status));
            }
        }
        found.sort_by(|(a, _), (b, _)| b.created.cmp(&a.created).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    /// Finds a container by its name, its ID, or enough of the ID's beginning.
    ///
    /// # Errors
    /// [`RunError::NoSuchContainer`], [`RunError::Ambiguous`].
    pub fn find(&self, text: &str) -> Result<(Record, Status), RunError> {
        let all = self.list()?;
        let wanted = text.strip_prefix('/').unwrap_or(text);
        if let Some(found) =
            all.iter().find(|(record, _)| record.name == wanted || record.id == wanted)
        {
            return Ok(found.clone());
        }
        let mut matching = all.into_iter().filter(|(record, _)| record.id.starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some(found), None) if !wanted.is_empty() => Ok(found),
            (Some(_), Some(_)) => Err(RunError::Ambiguous { prefix: text.to_owned() }),
            _ => Err(RunError::NoSuchContainer { name: text.to_owned() }),
        }
    }

    /// Removes a container that doesn't run, with its writable layer.
    ///
    /// # Errors
    /// [`RunError::StillRunning`], or why it can't be found or removed.
    pub fn remove(&self, text: &str) -> Result<(), RunError> {
        let (record, status) = self.find(text)?;
        if status == Status::Running {
            return Err(RunError::StillRunning { name: text.to_owned() });
        }
        self.discard(&self.root().join(&record.id), &record.id)
    }

    /// Removes what is left of a container.
    pub(crate) fn discard(&self, dir: &Path, id: &str) -> Result<(), RunError> {
        // Without its record it is no container any more, whatever happens to the rest.
        let _ = fs::remove_file(dir.join("container.json"));
        remove_tree(dir)?;
        self.store.pins().clear(&owner(id))?;
        Ok(())
    }
}

impl Container {
    /// Its record, as it was last written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The first 12 digits of its ID, as lists show it.
    pub fn short_id(&self) -> &str {
        &self.record.id[..12]
    }

    pub(crate) fn owner(&self) -> String {
        owner(&self.record.id)
    }
}

fn owner(id: &str) -> String {
    format!("container:{id}")
}

/// The lock tells whether it runs; whoever dies lets go of it.
fn status(dir: &Path, record: &Record) -> Result<Status, RunError> {
    let lock = match fs::File::open(dir.join("lock")) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Status::Created),
        Err(error) => return Err(RunError::io("open a container's lock", error)),
    };
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Status::Running),
        Err(error) => Err(RunError::io("try a container's lock", error.into())),
        Ok(()) => Ok(match (record.started, record.exit_code) {
            (None, _) => Status::Created,
            (Some(_), Some(code)) => Status::Exited(code),
            // Its gantry was killed, and it with it.
            (Some(_), None) => Status::Exited(137),
        }),
    }
}

fn free_name(taken: &[(Record, Status)]) -> Result<String, RunError> {
    let mut seed = u64::from_le_bytes(random()?);
    let mut name = random_name(seed);
    while taken.iter().any(|(record, _)| record.name == name) {
        seed = seed.rotate_left(7).wrapping_add(0x9e37_79b9_7f4a_7c15);
        name = format!("{}{}", random_name(seed), seed % 10);
    }
    Ok(name)
}

fn random<const N: usize>() -> Result<[u8; N], RunError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| RunError::io("get random bytes", std::io::Error::other(error)))?;
    Ok(bytes)
}
