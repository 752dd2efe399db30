//! What is left when gantry is killed: nothing.
//!
//! The test binary runs one of these tests again as a victim, in a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gantry_sandbox::{Limits, Network, Networks, probe, spawn};

use crate::support::{World, interface};

/// Runs one test of this binary in a process of its own, with a word that makes it act.
fn victim(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("GANTRY_TEST_VICTIM", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn is_victim() -> bool {
    std::env::var_os("GANTRY_TEST_VICTIM").is_some()
}

fn gone(pid: u32) -> bool {
    // A zombie has ended; it is for its new parent to reap.
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

fn until_gone(pid: u32) {
    let begun = Instant::now();
    while !gone(pid) {
        assert!(begun.elapsed() < Duration::from_secs(5), "{pid} still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killing_gantry_kills_its_sandboxes() {
    if is_victim() {
        let world = World::new().unwrap();
        let mut children = Vec::new();
        for (number, script) in ["exec sleep 1000", "sleep 1000 & wait"].into_iter().enumerate() {
            let mut spec = world.spec(["sh", "-c", script]);
            if number == 1 && probe().id_map() != gantry_sandbox::IdMap::Single {
                // Changing the user clears what ties a process to its parent.
                spec.user = gantry_sandbox::UserSpec::Text("app".to_owned());
            }
            spec.rootfs = gantry_sandbox::RootfsSpec::plain(world.base());
            // Made by a thread that ends at once: the sandbox's own thread goes on.
            children.push(std::thread::spawn(move || spawn(spec).unwrap()).join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(200));
        let pids: Vec<_> = children.iter().map(|child| child.pid().to_string()).collect();
        assert!(children.iter().all(|child| child.try_wait().is_none()));
        tell(&format!("VICTIM {} {}", pids.join(" "), world.path("").display()));
        std::thread::sleep(Duration::from_secs(60));
    }
    if World::new().is_none() {
        return;
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let mut gantry = victim("lifetime::killing_gantry_kills_its_sandboxes").spawn().unwrap();
    let said = wait_for("VICTIM ", gantry.stdout.take().unwrap());
    let words: Vec<&str> = said.split(' ').collect();
    let pids: Vec<u32> = words[1..3].iter().map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| !gone(*pid)));
    gantry.kill().unwrap();
    assert_eq!(gantry.wait().unwrap().signal(), Some(9));
    pids.into_iter().for_each(until_gone);
    let after = fs_err::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    assert_eq!(mounts, after);
    gantry_tree::remove_tree(words[3]).unwrap();
}

#[test]
fn killing_gantry_leaves_no_interface() {
    let host = probe();
    if host.in_user_namespace() || host.bridge().is_err() {
        return; // `network` says so.
    }
    if is_victim() {
        let world = World::new().unwrap();
        let networks = Networks::new(&host, world.path("net"));
        let private = networks.private().unwrap();
        let address = private.address().octets();
        let mut spec = world.spec(["sleep", "1000"]);
        spec.network = Network::Private(private);
        let _child = spawn(spec).unwrap();
        let pair = format!("x{:02x}{:02x}{:02x}", address[1], address[2], address[3]);
        tell(&format!("VICTIM {pair} {}", world.path("").display()));
        std::thread::sleep(Duration::from_secs(60));
    }
    if World::new().is_none() {
        return;
    }
    let mut gantry = victim("lifetime::killing_gantry_leaves_no_interface").spawn().unwrap();
    let said = wait_for("VICTIM ", gantry.stdout.take().unwrap());
    let words: Vec<&str> = said.split(' ').collect();
    let state = std::path::Path::new(words[2]).join("net");
    let bridge = fs_err::read_to_string(state.join("bridge")).unwrap();
    let bridge = bridge.split(' ').next().unwrap();
    let pair = format!("gve{}{}", &bridge["gantry".len()..], words[1]);
    let there = |name: &str| std::path::Path::new("/sys/class/net").join(name).exists();
    let index = interface(bridge);
    assert!(there(&pair) && index.is_some());
    gantry.kill().unwrap();
    gantry.wait().unwrap();
    let begun = Instant::now();
    while there(&pair) {
        assert!(begun.elapsed() < Duration::from_secs(5), "{pair} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The bridge waits for the next one, who takes it away.
    let networks = Networks::new(&host, &state);
    drop(networks.private().unwrap());
    drop(networks);
    assert_ne!(interface(bridge), index);
    gantry_tree::remove_tree(words[2]).unwrap();
}

#[test]
fn killing_gantry_ends_pasta() {
    let host = probe();
    if !host.in_user_namespace() || host.pasta().is_err() {
        return; // Run again in a user namespace by `userns`; `network` says what is missing.
    }
    if is_victim() {
        let world = World::new().unwrap();
        let networks = Networks::new(&host, world.path("net"));
        // By a thread that ends at once, as those of a pool do some time.
        let _private = std::thread::spawn(move || networks.private().unwrap()).join().unwrap();
        tell(&format!("VICTIM {}", world.path("").display()));
        std::thread::sleep(Duration::from_secs(60));
    }
    if World::new().is_none() {
        return;
    }
    let mut gantry = victim("lifetime::killing_gantry_ends_pasta").spawn().unwrap();
    let said = wait_for("VICTIM ", gantry.stdout.take().unwrap());
    let directory = said.trim_start_matches("VICTIM ");
    let pasta = || {
        let processes = fs_err::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| fs_err::read(entry.path().join("cmdline")).ok());
        let text = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        text.filter(|line| line.contains("pasta") && line.contains(directory)).count()
    };
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(pasta(), 1, "it outlives the thread that asked for it");
    gantry.kill().unwrap();
    gantry.wait().unwrap();
    let begun = Instant::now();
    while pasta() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "pasta still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
    gantry_tree::remove_tree(directory).unwrap();
}

#[test]
fn limits_are_enforced_and_their_groups_go() {
    let Some(world) = World::new() else { return };
    if let gantry_sandbox::CgroupVersion::None { reason } = probe().cgroups() {
        crate::support::skip("cgroup", &reason);
        return;
    }
    let groups = || {
        let own = format!("gantry-{}-", std::process::id());
        let find =
            Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("{own}*")]).output();
        String::from_utf8(find.unwrap().stdout).unwrap()
    };
    // Memory files count, also those that are swapped out: 60 MiB are more than twice the limit.
    let hungry = "dd if=/dev/zero of=/dev/shm/x bs=1M count=60 2>/dev/null; echo $?";
    let mut spec = world.spec(["sh", "-c", hungry]);
    spec.limits = Limits { memory: Some(20 << 20), pids: Some(20), ..Limits::default() };
    let child = spawn(spec).unwrap();
    assert!(!groups().is_empty());
    let ran = crate::support::finish(child);
    assert!(ran.status.oom_killed, "{ran:?}");
    assert_ne!(ran.stdout, "0\n");
    assert_eq!(groups(), "");

    let script = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; true";
    let mut spec = world.spec(["sh", "-c", script]);
    spec.limits = Limits { pids: Some(10), ..Limits::default() };
    let ran = crate::support::run(spec).unwrap();
    assert!(ran.stderr.contains("fork"), "{ran:?}");
    assert!(!ran.status.oom_killed);

    let mut spec = world.spec(["sh", "-c", "grep Cpus_allowed_list /proc/self/status"]);
    spec.limits = Limits {
        cpu_shares: Some(512),
        cpu_quota: Some(50_000),
        cpu_period: Some(100_000),
        cpuset_cpus: Some("0".to_owned()),
        ..Limits::default()
    };
    assert_eq!(crate::support::run(spec).unwrap().ok(), "Cpus_allowed_list:\t0\n");
    let mut spec = world.spec(["true"]);
    spec.limits = Limits { cpuset_cpus: Some("9999".to_owned()), ..Limits::default() };
    let error = crate::support::run(spec).unwrap_err();
    assert!(matches!(error, gantry_sandbox::SpawnError::Limit { .. }), "{error:?}");
    assert_eq!(groups(), "");
}

/// Says something on the real standard output, past the test harness.
fn tell(line: &str) {
    use std::io::Write;
    let mut out = std::fs::File::from(rustix::io::dup(std::io::stdout()).unwrap());
    writeln!(out, "\n{line}").unwrap();
}

fn wait_for(prefix: &str, out: impl Read) -> String {
    let lines = BufReader::new(out).lines().map(Result::unwrap);
    lines.into_iter().find(|line| line.starts_with(prefix)).expect("the victim speaks")
}
