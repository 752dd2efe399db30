//! What the command line, the environment and the user say together: where the store lies, and
//! what time it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::ui::Failure;

/// Finds the store's root.
///
/// `--root` and `GANTRY_ROOT` come as `given`. Else it is `/var/lib/gantry` for the real root, and
/// `$XDG_DATA_HOME/gantry` or `~/.local/share/gantry` for everybody else, which includes the root
/// of a user namespace: gantry itself re-executes into one, and must find the same store there.
///
/// # Errors
/// Neither `XDG_DATA_HOME` nor `HOME` says where the user's data are.
pub(crate) fn store_root(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(root) = given {
        return Ok(root.to_owned());
    }
    if rustix::process::geteuid().is_root() && is_initial_user_namespace() {
        return Ok(PathBuf::from("/var/lib/gantry"));
    }
    user_data(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")).ok_or_else(|| {
        Failure::text("Neither `XDG_DATA_HOME` nor `HOME` is set, so there is no place for a store")
            .with_hint("Name one with `--root` or `GANTRY_ROOT`")
    })
}

/// Reads `SOURCE_DATE_EPOCH`: the time that stands for now, in seconds since 1970.
///
/// # Errors
/// It is set and is no number.
pub(crate) fn source_date_epoch() -> Result<Option<i64>, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or_else(|| {
        Failure::text(format_args!(
            "`SOURCE_DATE_EPOCH` is `{}`, which is no number of seconds",
            text.display()
        ))
    })
}

fn user_data(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // A relative XDG directory is to be ignored, says the XDG base directory specification.
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || home.map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.or_else(|| Some(home()?.join(".local/share"))).map(|data| data.join("gantry"))
}

/// Whether user ids mean here what they mean to the kernel: one line that maps all of them.
fn is_initial_user_namespace() -> bool {
    fs_err::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_data_follow_xdg_and_fall_back_to_home() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            user_data(xdg.map(Into::into), home.map(Into::into))
        };
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/gantry".into()));
        assert_eq!(at(Some("relative"), Some("/h")), Some("/h/.local/share/gantry".into()));
        assert_eq!(at(None, Some("/h")), Some("/h/.local/share/gantry".into()));
        assert_eq!(at(None, None), None);
    }
}
