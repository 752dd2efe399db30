//! The plugin's place in docker's directories.
//!
//! ```text
//! ~/.docker/
//! ├── config.json                          aliases.builder = buildx
//! └── cli-plugins/
//!     ├── docker-buildx                    a link to gantry, or a copy
//!     ├── before-gantry.docker-buildx      what was there before
//!     └── before-gantry.no-alias           there was no alias
//! ```
//!
//! Names that don't begin with `docker-` are no plugins to the client.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::config;
use crate::ui::Failure;

/// How to install.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// A copy of the program instead of a link to it.
    pub(crate) copy: bool,
    /// Whether another plugin may be put aside.
    pub(crate) force: bool,
    /// Whether `docker build` of old clients is to find it, too.
    pub(crate) alias: bool,
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Where the plugin is.
    pub(crate) plugin: PathBuf,
    /// Where the one is that was there before.
    pub(crate) backup: Option<PathBuf>,
}

struct Place {
    config: PathBuf,
    plugins: PathBuf,
}

impl Place {
    fn find() -> Result<Self, Failure> {
        let config = config::directory(None)?;
        let plugins = config.join("cli-plugins");
        Ok(Self { config, plugins })
    }

    fn plugin(&self) -> PathBuf {
        self.plugins.join("docker-buildx")
    }

    fn backup(&self) -> PathBuf {
        self.plugins.join("before-gantry.docker-buildx")
    }

    fn no_alias(&self) -> PathBuf {
        self.plugins.join("before-gantry.no-alias")
    }
}

/// Makes this program the client's build plugin. Installing it again changes nothing but the form.
///
/// # Errors
/// Another plugin is there and `force` is not set; files that can't be written.
pub(crate) fn install(options: Options) -> Result<Installed, Failure> {
    let place = Place::find()?;
    let plugin = place.plugin();
    let program = fs_err::canonicalize(std::env::current_exe()?)?;
    let foreign = is_there(&plugin) && !is_gantry(&plugin);
    if foreign && !options.force {
        return Err(Failure::text(format_args!("`{}` is another plugin", plugin.display()))
            .with_hint("Give `--force` to put it aside; `gantry plugin uninstall` puts it back"));
    }
    fs_err::create_dir_all(&place.plugins)?;
    if options.alias && config::set_alias(&place.config)? {
        fs_err::write(place.no_alias(), "")?;
    }
    let unfinished = place.plugins.join(format!("gantry.{}.unfinished", std::process::id()));
    let made = || -> io::Result<()> {
        match options.copy {
            true => fs_err::copy(&program, &unfinished).map(drop)?,
            false => fs_err::os::unix::fs::symlink(&program, &unfinished)?,
        }
        if foreign {
            fs_err::rename(&plugin, place.backup())?;
        }
        fs_err::rename(&unfinished, &plugin)
    };
    made().inspect_err(|_| {
        // It may never have come to be.
        let _ = fs_err::remove_file(&unfinished);
    })?;
    Ok(Installed { plugin, backup: foreign.then(|| place.backup()) })
}

/// Takes the plugin away, and puts back what was there before. Returns `None` if it isn't there.
///
/// # Errors
/// What is there is another plugin; files that can't be written.
pub(crate) fn uninstall() -> Result<Option<Installed>, Failure> {
    let place = Place::find()?;
    let plugin = place.plugin();
    if !is_there(&plugin) {
        return Ok(None);
    }
    if !is_gantry(&plugin) {
        let what = format_args!("`{}` is another plugin, and stays", plugin.display()).to_string();
        return Err(Failure::text(what));
    }
    let backup = Some(place.backup()).filter(|backup| is_there(backup));
    match &backup {
        Some(backup) => fs_err::rename(backup, &plugin)?,
        None => fs_err::remove_file(&plugin)?,
    }
    if is_there(&place.no_alias()) {
        config::unset_alias(&place.config)?;
        fs_err::remove_file(place.no_alias())?;
    }
    Ok(Some(Installed { plugin, backup }))
}

/// `docker buildx install` and `uninstall`: the alias alone.
///
/// # Errors
/// `config.json` can't be read or written.
pub(crate) fn alias(set: bool) -> Result<(), Failure> {
    let directory = config::directory(None)?;
    match set {
        true => {
            fs_err::create_dir_all(&directory)?;
            config::set_alias(&directory).map(drop)
        }
        false => config::unset_alias(&directory),
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether a plugin is gantry: a link to something of that name, or what says so of itself, as the
/// client would ask it.
fn is_gantry(plugin: &Path) -> bool {
    if let Ok(target) = plugin.read_link() {
        return target.file_name().is_some_and(|name| name == "gantry");
    }
    let asked = Command::new(plugin)
        .arg("docker-cli-plugin-metadata")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let answer = asked.ok().and_then(|output| serde_json::from_slice::<Value>(&output.stdout).ok());
    answer.is_some_and(|answer| answer["Vendor"] == "gantry")
}
