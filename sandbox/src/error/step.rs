//! How far a child has come, for the one word that crosses from it.

/// The steps of a child between `clone` and `exec`.
///
/// Crosses from child to parent as its number; 0 is none, so that untouched memory says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the display texts say it")]
#[repr(u32)]
pub enum Step {
    DeathSignal = 1,
    JoinCgroup,
    CgroupNamespace,
    RaiseLoopback,
    PrivateMounts,
    AttachFiles,
    AttachRoot,
    Mount,
    PivotRoot,
    LeaveOldRoot,
    Hostname,
    Session,
    Stdio,
    Terminal,
    Cwd,
    FindProgram,
    CheckProgram,
    Capabilities,
    Seccomp,
    Groups,
    Gid,
    Uid,
    CloseFiles,
    Execute,
}

impl Step {
    const ALL: [Self; 24] = [
        Self::DeathSignal,
        Self::JoinCgroup,
        Self::CgroupNamespace,
        Self::RaiseLoopback,
        Self::PrivateMounts,
        Self::AttachFiles,
        Self::AttachRoot,
        Self::Mount,
        Self::PivotRoot,
        Self::LeaveOldRoot,
        Self::Hostname,
        Self::Session,
        Self::Stdio,
        Self::Terminal,
        Self::Cwd,
        Self::FindProgram,
        Self::CheckProgram,
        Self::Capabilities,
        Self::Seccomp,
        Self::Groups,
        Self::Gid,
        Self::Uid,
        Self::CloseFiles,
        Self::Execute,
    ];

    /// Finds a step by its number.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u32 == number)
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DeathSignal => "tie the process to gantry",
            Self::JoinCgroup => "join the control group",
            Self::CgroupNamespace => "make the cgroup namespace",
            Self::RaiseLoopback => "bring `lo` up",
            Self::PrivateMounts => "make mounts private",
            Self::AttachFiles => "attach generated files",
            Self::AttachRoot => "attach the root filesystem",
            Self::Mount => "mount",
            Self::PivotRoot => "change the root",
            Self::LeaveOldRoot => "leave the host's root",
            Self::Hostname => "set the host name",
            Self::Session => "start a session",
            Self::Stdio => "set up standard input and output",
            Self::Terminal => "set the controlling terminal",
            Self::Cwd => "enter the working directory",
            Self::FindProgram => "find the program",
            Self::CheckProgram => "check the program",
            Self::Capabilities => "drop capabilities",
            Self::Seccomp => "load the seccomp filter",
            Self::Groups => "set supplementary groups",
            Self::Gid => "change the group",
            Self::Uid => "change the user",
            Self::CloseFiles => "close files",
            Self::Execute => "execute the program",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_crosses_as_itself() {
        for step in Step::ALL {
            assert_eq!(Step::from_number(step as u32), Some(step));
        }
        assert_eq!(Step::from_number(0), None);
        assert_eq!(Step::from_number(Step::Execute as u32 + 1), None);
    }
}
