//! Docker's and podman's `certs.d`: a directory a host, `*.crt` for authorities, `x.cert` and `x.key`.

use std::io;
use std::path::{Path, PathBuf};

use super::{ClientCertificate, HostSettings, Secret, broken};
use crate::registry::error::RegistryError;

/// Reads what all of the directories say of a host under any of its names.
pub(super) fn read(directories: &[PathBuf], names: &[&str]) -> Result<HostSettings, RegistryError> {
    let mut settings = HostSettings::default();
    for (at, name) in names.iter().enumerate() {
        // A name is a directory's name only if it can't lead elsewhere.
        if names[..at].contains(name) || name.contains('/') || name.starts_with('.') {
            continue;
        }
        for directory in directories {
            let directory = directory.join(name);
            read_one(&directory, &mut settings).map_err(|error| broken(directory, error))?;
        }
    }
    Ok(settings)
}

pub(super) fn read_one(directory: &Path, settings: &mut HostSettings) -> io::Result<()> {
    let entries = match fs_err::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => settings.authorities.push(fs_err::read(&path)?),
            Some("cert") if settings.client.is_none() => {
                let key = fs_err::read_to_string(path.with_extension("key"))?;
                settings.client = Some(ClientCertificate {
                    certificate: fs_err::read(&path)?,
                    key: Secret::new(key),
                });
            }
            _ => {}
        }
    }
    Ok(())
}
