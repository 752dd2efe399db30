//! `container.json`: what a container was made from, and how it ended.

use std::path::Path;

use fs_err as fs;
use gantry_image::Config;
use serde::{Deserialize, Serialize};

use crate::RunError;

/// What is on disk about a container. Fields are only ever added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image's ID.
    pub image_id: String,
    /// The image as the user called it.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When its process started.
    pub started: Option<u64>,
    /// When its process ended.
    pub finished: Option<u64>,
    /// What its process ended with, as a shell would give it.
    pub exit_code: Option<i32>,
    /// Whether the kernel killed something in it because its memory limit was reached.
    #[serde(default)]
    pub oom_killed: bool,
    /// The process's ID on the host, which counts only as long as it runs.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Where in it something else is mounted.
    #[serde(default)]
    pub mounts: Vec<String>,
    /// What it runs as: the image's config and what it was started with.
    #[serde(default)]
    pub config: Option<Config>,
}

impl Record {
    /// Reads the record of the container in `dir`; `None` if it is not whole yet, or gone.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>, RunError> {
        let path = dir.join("container.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::io(format!("read `{}`", path.display()), error)),
        };
        let id = || dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|cause| RunError::Record { id: id(), cause })
    }

    /// Writes it: whole, or not at all.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), RunError> {
        let (part, path) = (dir.join("container.json.part"), dir.join("container.json"));
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| RunError::Record { id: self.id.clone(), cause })?;
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|error| RunError::io(format!("write `{}`", path.display()), error))
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |duration| duration.as_secs())
}
