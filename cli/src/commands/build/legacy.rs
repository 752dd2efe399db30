//! Flags of docker's classic builder that mean nothing here, and are said to, once (C1-30).

/// See the module.
#[derive(Debug, clap::Args)]
pub(super) struct Legacy {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<bool>,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    disable_content_trust: Option<bool>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    stream: Option<bool>,
    /// How root filesystems are put together: `auto`, `attached` (as kernels before 6.15 need it),
    /// `trees` (layers are unpacked) or `copying`.
    #[arg(long, hide = true, env = "GANTRY_SNAPSHOTTER", default_value = "auto")]
    pub(super) snapshotter: String,
}

impl Legacy {
    /// The flags that were given in vain.
    pub(super) fn ignored(&self) -> Vec<&'static str> {
        let given = [
            (self.rm.is_some(), "--rm"),
            (self.force_rm.is_some(), "--force-rm"),
            (self.compress.is_some(), "--compress"),
            (self.isolation.is_some(), "--isolation"),
            (!self.security_opt.is_empty(), "--security-opt"),
            (self.disable_content_trust.is_some(), "--disable-content-trust"),
            (self.stream.is_some(), "--stream"),
        ];
        given.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }
}

/// One warning for all of them.
pub(super) fn warning(flags: &[&str]) -> Option<String> {
    match flags {
        [] => None,
        [flag] => Some(format!("WARNING: {flag} has no effect and is ignored")),
        [rest @ .., last] => {
            Some(format!("WARNING: {} and {last} have no effect and are ignored", rest.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_warning_names_all() {
        assert_eq!(warning(&[]), None);
        let check = |flags: &[&str], expect: &str| assert_eq!(warning(flags).unwrap(), expect);
        check(&["--rm"], "WARNING: --rm has no effect and is ignored");
        check(
            &["--rm", "--compress", "--isolation"],
            "WARNING: --rm, --compress and --isolation have no effect and are ignored",
        );
    }
}
