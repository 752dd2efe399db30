//! Limits of steps (C1-24, C1-25), as the steps themselves see them.

use super::{build, printed, project};
use crate::sandbox::{Run, Sandbox, required};

/// Prints what a program reads that sizes itself by its group, of either version of cgroups.
const LOOK: &str = "\
cd /sys/fs/cgroup; if [ -e cgroup.controllers ]; \
then cat memory.max cpu.max cpu.weight cpuset.cpus; else cat memory/memory.limit_in_bytes \
cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares cpuset/cpuset.cpus; fi";

/// Eats memory until there is none.
const EAT: &str = "RUN [\"awk\", \"BEGIN { s = 1; while (1) s = s s }\"]\n";

fn is_unified() -> bool {
    fs_err::exists("/sys/fs/cgroup/cgroup.controllers").unwrap()
}

/// Whether a build failed because nothing can be limited here; then the test is skipped.
fn cannot_limit(run: &Run) -> bool {
    let shown = run.to_string();
    let cannot = !run.succeeded() && shown.contains("cgroup");
    if cannot {
        assert!(!required("cgroup"), "steps can't be limited: {shown}");
        crate::eprintln_skip("steps can't be limited here");
    }
    cannot
}

/// The directories of a group of this machine, one a hierarchy.
fn groups(parent: &str) -> Vec<std::path::PathBuf> {
    let name = parent.trim_start_matches('/');
    let all = fs_err::read_dir("/sys/fs/cgroup").unwrap();
    let mut found = vec![std::path::Path::new("/sys/fs/cgroup").join(name)];
    found.extend(all.map(|entry| entry.unwrap().path().join(name)));
    found.retain(|path| path.is_dir());
    found
}

/// Whoever names a group has it to keep.
pub(super) fn remove_groups(parent: &str) {
    for group in groups(parent) {
        fs_err::remove_dir(group).unwrap();
    }
}

fn run(sandbox: &Sandbox, flags: &[&str]) -> Run {
    let build = ["build", "--progress", "plain", "--no-cache"];
    sandbox.gantry_words(&[&build[..], flags, &["."]].concat())
}

#[test]
fn c1_25_a_step_reads_its_limits_from_its_group() {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let mine = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let cpu = mine.trim().split([',', '-']).next().unwrap().to_owned();
    // Of itself alone, and not to be changed.
    let rest = "echo; grep -v -e ':/$' /proc/self/cgroup | grep gantry; \
        find . -name cgroup.procs -exec sh -c 'echo 0 > {}' ';' 2>&1 | sed 's/.*: //' | sort -u; \
        find . -mindepth 2 -type d";
    let sandbox = project(&format!("FROM busybox\nRUN {LOOK}; {rest}\n"));
    let flags = ["--memory", "64m", "--cpu-quota", "50000", "--cpu-period", "200000"];
    let more = ["--cpu-shares", "512", "--cpuset-cpus", &cpu];
    let run = run(&sandbox, &[&flags[..], &more].concat());
    if cannot_limit(&run) {
        return;
    }
    let told = printed(&run.success().stderr);
    let limits = match is_unified() {
        true => format!("67108864\n50000 200000\n59\n{cpu}\n"),
        false => format!("67108864\n50000\n200000\n512\n{cpu}\n"),
    };
    assert_eq!(told, format!("{limits}\nRead-only file system\n"));
}

/// The JVM takes itself for unlimited where one of these is missing.
#[test]
fn c1_25_one_limit_is_enough_for_all_that_programs_look_at() {
    let looks = "cd /sys/fs/cgroup; [ -e cgroup.controllers ] || \
        ls -d memory/memory.usage_in_bytes cpu/cpu.shares cpuacct/cpuacct.usage cpuset/cpuset.cpus";
    let sandbox = project(&format!("FROM busybox\nRUN {looks}\n"));
    let run = run(&sandbox, &["--cpu-quota", "50000"]);
    if cannot_limit(&run) {
        return;
    }
    let all = "cpu/cpu.shares\ncpuacct/cpuacct.usage\ncpuset/cpuset.cpus\n\
        memory/memory.usage_in_bytes\n";
    assert_eq!(printed(&run.success().stderr), if is_unified() { "" } else { all });
}

/// Joining a group takes as long as half of a step.
#[test]
fn c1_25_a_step_without_limits_has_no_group_of_its_own() {
    let script = "cat /proc/self/cgroup | grep gantry; ls /sys/fs/cgroup | wc -l";
    let sandbox = project(&format!("FROM busybox\nRUN {script}\n"));
    // With a network of its own, so that `/sys` is not the host's either.
    let told = build(&sandbox, ["--network", "none"]);
    if !is_unified() {
        assert_eq!(told, "0\n");
    }
    assert!(!told.contains("gantry"), "{told}");
}

#[test]
fn c1_25_a_group_that_was_named_limits_steps_also_alone() {
    let parent = format!("/gantry-test-limits-{}", std::process::id());
    // Busybox's own, so that nothing of it is on the disk.
    let sandbox = project(&format!("FROM busybox\nRUN true\n{EAT}"));
    let made = run(&project("FROM busybox\nRUN true\n"), &["--cgroup-parent", &parent]);
    if cannot_limit(&made) {
        return;
    }
    drop(made.success());
    let below = groups(&parent);
    let file = if is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
    let limited = below.iter().map(|group| group.join(file)).find(|path| path.exists());
    let limited = limited.expect("there is a group that limits memory");
    fs_err::write(&limited, "20971520").unwrap();
    let shown = run(&sandbox, &["--cgroup-parent", &parent]).code(102).stderr;
    let inner = |group: &std::path::PathBuf| {
        fs_err::read_dir(group).unwrap().any(|entry| entry.unwrap().path().is_dir())
    };
    assert!(!groups(&parent).iter().any(inner), "the step's own groups go");
    remove_groups(&parent);
    assert!(shown.contains("exit code: 137: cannot allocate memory"), "{shown}");
    assert!(shown.contains("--memory"), "{shown}");
}

#[test]
fn c1_25_too_much_memory_is_said_to_be_that() {
    let sandbox = project(&format!("FROM busybox\n{EAT}"));
    let run = run(&sandbox, &["--memory", "20m"]);
    if cannot_limit(&run) {
        return;
    }
    let shown = run.code(102).stderr;
    assert!(shown.contains("exit code: 137: cannot allocate memory"), "{shown}");
    assert!(shown.contains("Give the step more memory with `--memory`"), "{shown}");
}

/// One has to be over before the other begins, or it is in the other's way.
#[test]
fn c1_25_one_job_is_one_step_at_a_time() {
    let step = "RUN --mount=type=cache,target=/c \
        mkdir /c/busy && sleep 0.2 && rmdir /c/busy && echo alone > /alone\n";
    let text = format!(
        "FROM busybox AS one\nENV A=1\n{step}FROM busybox AS two\nENV A=2\n{step}\
         FROM busybox AS three\nENV A=3\n{step}FROM busybox\nCOPY --from=one /alone /1\n\
         COPY --from=two /alone /2\nCOPY --from=three /alone /3\nRUN cat /1 /2 /3\n"
    );
    assert_eq!(build(&project(&text), ["--jobs", "1"]), "alone\nalone\nalone\n");
}
