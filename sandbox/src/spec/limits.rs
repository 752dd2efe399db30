//! Limits that the kernel enforces: cgroups for a step as a whole, rlimits for each process.

/// What a step may use as a whole. All `None` means that no cgroup is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; `-1` is no limit. `None` with a `memory`: twice that.
    pub memory_swap: Option<i64>,
    /// Relative weight, 1024 being the norm.
    pub cpu_shares: Option<u64>,
    /// Length of a scheduling period in microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds of CPU a period.
    pub cpu_quota: Option<i64>,
    /// CPUs to run on, as `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use, as `0,1`.
    pub cpuset_mems: Option<String>,
    /// Number of processes and threads; 0 or less is no limit.
    pub pids: Option<i64>,
    /// The cgroup to make the step's own below, as `/build`; `None` is gantry's own cgroup.
    pub cgroup_parent: Option<String>,
}

impl Limits {
    /// Whether nothing is limited, not even by a parent, so that no cgroup is needed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A `setrlimit` (`--ulimit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// Of what.
    pub resource: Resource,
    /// The limit in force; `u64::MAX` is none.
    pub soft: u64,
    /// How far the process itself may raise it; `u64::MAX` is none.
    pub hard: u64,
}

/// What a [`Rlimit`] is about: the names that `docker run --ulimit` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the RLIMIT_ constant of setrlimit(2) of that name")]
pub enum Resource {
    Core,
    Cpu,
    Data,
    Fsize,
    Locks,
    Memlock,
    Msgqueue,
    Nice,
    Nofile,
    Nproc,
    Rss,
    Rtprio,
    Rttime,
    Sigpending,
    Stack,
}

impl Resource {
    /// All of them with their names, as in `--ulimit nofile=1024`.
    pub const ALL: [(&'static str, Self); 15] = [
        ("core", Self::Core),
        ("cpu", Self::Cpu),
        ("data", Self::Data),
        ("fsize", Self::Fsize),
        ("locks", Self::Locks),
        ("memlock", Self::Memlock),
        ("msgqueue", Self::Msgqueue),
        ("nice", Self::Nice),
        ("nofile", Self::Nofile),
        ("nproc", Self::Nproc),
        ("rss", Self::Rss),
        ("rtprio", Self::Rtprio),
        ("rttime", Self::Rttime),
        ("sigpending", Self::Sigpending),
        ("stack", Self::Stack),
    ];

    /// Finds one by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, resource)| *resource)
    }
}
