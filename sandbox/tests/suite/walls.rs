//! What a sandbox sees of the host: as little as may be.

use std::os::unix::fs::symlink;

use gantry_sandbox::{Capabilities, Resource, Rlimit, Security, SpawnError, UserSpec};

use crate::support::{World, run};

#[test]
fn no_descriptor_of_the_host_is_open() {
    let Some(world) = World::new() else { return };
    // One without close-on-exec, as a careless library would leave it.
    let leak = fs_err::File::open("/etc").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let open = world.sh("ls -l /proc/self/fd").ok();
    drop(leak);
    let outside = open.lines().filter(|line| {
        line.contains(" -> ")
            && !["pipe:", "/dev/null", "/proc/"].iter().any(|ok| line.contains(ok))
    });
    assert_eq!(outside.count(), 0, "{open}");
}

#[test]
fn processes_and_mounts_of_the_host_are_not_there() {
    let Some(world) = World::new() else { return };
    let numbers = world.sh("cd /proc && ls -d [0-9]*").ok();
    assert!(numbers.lines().all(|pid| pid.parse::<u32>().unwrap() < 10), "{numbers}");
    let mounts = world.sh("cat /proc/self/mounts").ok();
    let first = mounts.lines().next().unwrap();
    assert!(first.starts_with("overlay / overlay "), "{mounts}");
    assert!(first.contains("nodev"), "{first}");
    let own = ["/", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
    for line in mounts.lines() {
        let at = line.split(' ').nth(1).unwrap();
        let below = ["/dev/", "/proc/", "/sys/"].iter().any(|base| at.starts_with(base));
        assert!(below || own.contains(&at), "{line}");
    }
    assert_eq!(mounts.lines().filter(|line| line.split(' ').nth(1) == Some("/")).count(), 1);
    assert_eq!(world.sh("ls /").ok(), "bin\ndev\netc\nproc\nsys\ntmp\n");
}

#[test]
fn dev_holds_what_programs_need() {
    let Some(world) = World::new() else { return };
    let dev = "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\n\
               urandom\nzero\n";
    assert_eq!(world.sh("ls /dev").ok(), dev);
    let script = "echo x > /dev/null && head -c 2 /dev/zero | wc -c && head -c 2 /dev/urandom | wc -c
                  echo y > /dev/stdout; touch /dev/shm/x; df -k /dev/shm | tail -n1 | awk '{print $2}'
                  echo no > /dev/full || echo full";
    let ran = world.sh(script);
    assert_eq!(ran.ok(), "2\n2\ny\n65536\nfull\n");
}

#[test]
fn device_nodes_that_are_made_cannot_be_opened() {
    let Some(world) = World::new() else { return };
    let script = "for d in / /dev /dev/shm; do
                    mknod $d/disk b 254 0 && head -c1 $d/disk && echo read
                    mknod $d/mem c 1 1 && head -c1 $d/mem && echo read
                  done; true";
    assert_eq!(world.sh(script).ok(), "");
}

#[test]
fn kernel_settings_are_masked_or_read_only() {
    let Some(world) = World::new() else { return };
    let script = "cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c
                  ls /proc/scsi /proc/acpi /sys/firmware 2>/dev/null | grep -v : | grep -c .
                  echo x > /proc/sys/kernel/hostname || echo ro
                  echo h > /proc/sysrq-trigger || echo ro
                  mkdir /sys/x || echo ro
                  mount -o remount,rw /proc/sys || echo denied
                  umount /proc/kcore || echo denied";
    assert_eq!(world.sh(script).ok(), "0\n0\nro\nro\nro\ndenied\ndenied\n");
}

#[test]
fn capabilities_and_seccomp_are_dockers() {
    let Some(world) = World::new() else { return };
    let status = "grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status | sed 's/\\t/ /'";
    assert_eq!(
        world.sh(status).ok(),
        "CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\nCapEff: 00000000a80425fb\n\
         CapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n"
    );
    let mut spec = world.spec(["sh", "-c", status]);
    spec.user = UserSpec::Ids { uid: 0, gid: 0, groups: vec![] };
    spec.capabilities = Capabilities::NONE;
    spec.no_new_privs = true;
    let text = run(spec).unwrap().ok();
    assert!(text.contains("CapBnd: 0000000000000000") && text.contains("NoNewPrivs: 1"), "{text}");
    let ran = world.sh("unshare -U true || echo denied; chroot / echo chroot");
    assert_eq!(ran.ok(), "denied\nchroot\n");
}

#[test]
fn insecure_lifts_the_walls_but_not_the_namespaces() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec([
        "sh",
        "-c",
        "mkdir /m; mount -t tmpfs x /m && echo mounted; grep Seccomp: /proc/self/status; echo $$",
    ]);
    spec.security = Security::Insecure;
    assert_eq!(run(spec).unwrap().ok(), "mounted\nSeccomp:\t0\n1\n");
}

#[test]
fn system_mount_points_must_not_be_links() {
    let Some(world) = World::new() else { return };
    for name in ["proc", "sys", "dev"] {
        let link = world.base().join(name);
        symlink("/tmp", &link).unwrap();
        let error = run(world.spec(["true"])).unwrap_err();
        assert!(matches!(error, SpawnError::MountTarget { .. }), "{name}: {error:?}");
        fs_err::remove_file(link).unwrap();
    }
}

#[test]
fn names_and_limits_are_its_own() {
    let Some(world) = World::new() else { return };
    let mut spec =
        world.spec(["sh", "-c", "hostname; cat /etc/hostname; ulimit -n; ulimit -Hn; ulimit -c"]);
    spec.hostname = "buildkitsandbox".to_owned();
    spec.rlimits = vec![
        Rlimit { resource: Resource::Nofile, soft: 100, hard: 200 },
        Rlimit { resource: Resource::Core, soft: 0, hard: 0 },
        // Nobody may have this many; refused, and no reason to fail.
        Rlimit { resource: Resource::Nofile, soft: 1 << 40, hard: 1 << 40 },
    ];
    let out = run(spec).unwrap().ok();
    assert_eq!(out, "buildkitsandbox\nbuildkitsandbox\n100\n200\n0\n");
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert_ne!(host, "buildkitsandbox");
}

#[test]
fn only_lo_is_there_and_up() {
    let Some(world) = World::new() else { return };
    let script = "ip -o link | awk '{print $2}'; ping -c1 -W1 127.0.0.1 >/dev/null && echo pong";
    assert_eq!(world.sh(script).ok(), "lo:\npong\n");
}

#[test]
fn signals_are_as_a_fresh_process_has_them() {
    let Some(world) = World::new() else { return };
    // The Rust runtime ignores SIGPIPE; a shell pipeline must not inherit that.
    // (A shell in between would change them.)
    let status = run(world.spec(["grep", "-E", "^Sig(Blk|Ign)", "/proc/1/status"])).unwrap().ok();
    assert_eq!(status, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

/// The limit is the step's: gantry may have more files open than that when it starts one.
#[test]
fn a_limit_on_files_does_not_count_what_gantry_has_open() {
    let Some(world) = World::new() else { return };
    let open: Vec<_> = (0..64).map(|_| fs_err::File::open("/dev/null")).collect();
    assert!(open.iter().all(Result::is_ok));
    let mut spec = world.spec(["sh", "-c", "ulimit -n"]);
    spec.rlimits = vec![Rlimit { resource: Resource::Nofile, soft: 16, hard: 16 }];
    assert_eq!(run(spec).unwrap().ok(), "16\n");
}
