//! Platforms: what `linux/arm64/v8` means, and which image runs on which machine.
//!
//! The rules are containerd's (`github.com/containerd/platforms`), since docker and BuildKit use
//! those: normalisation of names, the form `os[/arch[/variant]]`, and the order in which a machine
//! prefers images (arm64, then arm v8, v7, v6, v5; amd64 vN down to v1, then 386).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system on an architecture; field order as OCI's descriptors write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// `GOARCH`: `amd64`, `arm64`, `arm`, …
    #[serde(default)]
    pub architecture: String,
    /// `GOOS`: `linux`, …
    #[serde(default)]
    pub os: String,
    /// Windows' build number; kept, and ignored in matching elsewhere.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// `win32k`; kept.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v7`, `v3`, …; `None` is the architecture's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Text that names no platform; containerd's wording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParsePlatformError {
    /// A single word that is neither an operating system nor an architecture.
    #[error("\"{0}\": unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// A part with other characters than letters, digits, `_`, `-` and `.`, or an empty one.
    #[error(
        "\"{part}\" is an invalid component of \"{text}\": platform specifier component must match \"^[A-Za-z0-9_.-]+$\": invalid argument"
    )]
    Component {
        /// The part.
        part: String,
        /// All of it.
        text: String,
    },
    /// More than three parts.
    #[error("\"{0}\": cannot parse platform specifier: invalid argument")]
    TooManyParts(String),
}

impl Platform {
    /// Makes a normalised platform.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: os.to_owned(),
            variant: variant.map(str::to_owned),
            ..Self::default()
        }
        .normalized()
    }

    /// Returns this machine's platform.
    ///
    /// The variant of an amd64 or arm machine is the architecture's default; pulls don't need more.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self::new("linux", architecture, None)
    }

    /// Returns the same platform in the one way of writing it: lower case, Go's names, the default
    /// variant left out (but `v7` for arm, as containerd does).
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = match self.os.to_lowercase().as_str() {
            "" => "linux".to_owned(),
            "macos" => "darwin".to_owned(),
            os => os.to_owned(),
        };
        let given = self.variant.as_deref().unwrap_or_default().to_lowercase();
        let (architecture, variant) = normalize_arch(&self.architecture.to_lowercase(), &given);
        Self {
            architecture,
            os,
            os_version: self.os_version.clone().filter(|version| !version.is_empty()),
            os_features: self.os_features.clone(),
            variant: Some(variant).filter(|variant| !variant.is_empty()),
        }
    }

    /// Lists the platforms whose images this one runs, the best first.
    #[must_use]
    pub fn preferences(&self) -> Vec<Self> {
        let wanted = self.normalized();
        let make = |arch: &str, variant: &str| Self {
            os_version: wanted.os_version.clone(),
            ..Self::new(&wanted.os, arch, Some(variant).filter(|v| !v.is_empty()))
        };
        let level = wanted.variant.as_deref().and_then(|v| v.strip_prefix('v')?.parse::<u8>().ok());
        let mut list = vec![wanted.clone()];
        match (wanted.architecture.as_str(), level) {
            ("amd64", level) => {
                list.extend((1..level.unwrap_or(1)).rev().map(|n| make("amd64", &format!("v{n}"))));
                list.push(make("386", ""));
            }
            ("arm", Some(level)) => {
                list.extend((5..level).rev().map(|n| make("arm", &format!("v{n}"))));
            }
            ("arm64", level) => {
                list.extend((8..level.unwrap_or(8)).rev().map(|n| make("arm64", &format!("v{n}"))));
                list.extend((5..=8).rev().map(|n| make("arm", &format!("v{n}"))));
            }
            _ => {}
        }
        list
    }

    /// Returns how well an image for `offered` suits this platform: 0 is best, `None` not at all.
    #[must_use]
    pub fn rank(&self, offered: &Self) -> Option<usize> {
        let offered = offered.normalized();
        self.preferences().iter().position(|wanted| {
            wanted.os == offered.os
                && wanted.architecture == offered.architecture
                && wanted.variant == offered.variant
                && (wanted.os != "windows"
                    || wanted.os_version.is_none()
                    || wanted.os_version == offered.os_version)
        })
    }

    /// Can an image for `offered` run on this platform?
    #[must_use]
    pub fn matches(&self, offered: &Self) -> bool {
        self.rank(offered).is_some()
    }

    /// Is it `unknown/unknown`, as attestation manifests are marked (E-10)?
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

fn normalize_arch(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64" | "arm64", v) => ("arm64", v),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        ("riscv64", "rva20u64") => ("riscv64", ""),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

const OSES: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];
const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "armbe",
    "arm64",
    "arm64be",
    "ppc64",
    "ppc64le",
    "loong64",
    "mips",
    "mipsle",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "ppc",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl FromStr for Platform {
    type Err = ParsePlatformError;

    /// Reads `os`, `arch`, `os/arch` or `os/arch/variant`; what is missing is this machine's.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (version, plain) = split_os_version(text);
        let parts: Vec<&str> = plain.split('/').collect();
        for part in &parts {
            let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if part.is_empty() || !part.bytes().all(valid) {
                return Err(ParsePlatformError::Component {
                    part: (*part).to_owned(),
                    text: text.to_owned(),
                });
            }
        }
        let mut platform = match parts[..] {
            [word] => {
                let (host, as_os, as_arch) =
                    (Self::host(), Self::new(word, "", None), Self::new("", word, None));
                if OSES.contains(&as_os.os.as_str()) {
                    Self { os: as_os.os, ..host }
                } else if ARCHITECTURES.contains(&as_arch.architecture.as_str()) {
                    as_arch
                } else {
                    return Err(ParsePlatformError::Unknown(text.to_owned()));
                }
            }
            [os, arch] => Self::new(os, arch, None),
            [os, arch, variant] => Self::new(os, arch, Some(variant)),
            _ => return Err(ParsePlatformError::TooManyParts(text.to_owned())),
        };
        platform.os_version = version;
        Ok(platform)
    }
}

/// Splits containerd's `windows(10.0.17763)/amd64`.
fn split_os_version(text: &str) -> (Option<String>, String) {
    let split = text.split_once('(').and_then(|(os, rest)| Some((os, rest.split_once(')')?)));
    match split {
        Some((os, (version, rest))) if !os.contains('/') && !version.is_empty() => {
            (Some(version.to_owned()), format!("{os}{rest}"))
        }
        _ => (None, text.to_owned()),
    }
}

impl fmt::Display for Platform {
    /// Writes `os/arch[/variant]`, as docker prints platforms.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .filter(|variant| !variant.is_empty())
            .try_for_each(|v| write!(f, "/{v}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_normalised() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("arm64", "linux/arm64"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(parse(text).to_string(), normal);
        }
        assert_eq!(parse("linux"), Platform::host());
        assert_eq!(parse("windows(10.0.1)/amd64").os_version.as_deref(), Some("10.0.1"));
    }

    #[test]
    fn what_is_no_platform_is_said_in_containerds_words() {
        let message = |text: &str| text.parse::<Platform>().unwrap_err().to_string();
        assert_eq!(
            message("notaplatform"),
            "\"notaplatform\": unknown operating system or architecture: invalid argument"
        );
        assert!(message("linux/").contains("invalid component"));
        assert!(message("linux/&&").contains("invalid component"));
        assert!(message("a/b/c/d").contains("cannot parse platform specifier"));
    }

    #[test]
    fn a_machine_prefers_its_own_and_takes_older_ones() {
        let ranks = |host: &str, offers: &[&str]| -> Vec<Option<usize>> {
            offers.iter().map(|offer| parse(host).rank(&parse(offer))).collect()
        };
        assert_eq!(
            ranks(
                "linux/arm64",
                &["linux/arm64/v8", "linux/arm/v8", "linux/arm/v7", "linux/arm/v5", "linux/amd64"]
            ),
            [Some(0), Some(1), Some(2), Some(4), None]
        );
        assert_eq!(
            ranks("linux/arm/v6", &["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"]),
            [None, Some(0), Some(1)]
        );
        assert_eq!(
            ranks(
                "linux/amd64/v3",
                &["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]
            ),
            [Some(0), Some(1), Some(2), Some(3)]
        );
        assert_eq!(ranks("linux/amd64", &["linux/amd64/v2", "darwin/amd64"]), [None, None]);
    }
}
