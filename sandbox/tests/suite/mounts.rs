//! Mounts that are asked for, mount points, and what is left of them: nothing.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;

use gantry_sandbox::{
    Bind, BindSource, ExtraHost, FileMount, Mount, RootfsSpec, SpawnError, Spec, Tmpfs, UserSpec,
};

use crate::support::{Ran, World, run};

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount::Bind(Bind {
        source: BindSource::Path(source.to_owned()),
        target: target.into(),
        read_only,
        recursive: true,
    })
}

fn secret(target: &str, uid: u32) -> Mount {
    Mount::File(FileMount {
        target: target.into(),
        content: b"hush".to_vec(),
        mode: 0o400,
        uid,
        gid: uid,
        read_only: true,
    })
}

fn with(world: &World, mounts: Vec<Mount>, script: &str) -> Result<Ran, SpawnError> {
    let mut spec = world.spec(["sh", "-c", script]);
    spec.mounts = mounts;
    run(spec)
}

#[test]
fn a_step_that_changes_nothing_leaves_an_empty_layer() {
    let Some(world) = World::new() else { return };
    let before = fs_err::metadata(world.upper()).unwrap();
    let mounts = vec![secret("/run/secrets/a", 0), bind(&world.base(), "/root/.cache/x", false)];
    with(&world, mounts, "true").unwrap().ok();
    assert_eq!(world.layer(), [""; 0]);
    let after = fs_err::metadata(world.upper()).unwrap();
    assert_eq!(before.mtime(), after.mtime());
}

#[test]
fn what_a_step_writes_beside_a_mount_point_stays() {
    let Some(world) = World::new() else { return };
    let mounts = vec![secret("/run/secrets/a", 0)];
    with(&world, mounts, "echo x > /run/own; echo y > /etc/own").unwrap().ok();
    assert_eq!(world.layer(), ["etc", "etc/own", "run", "run/own"]);
}

#[test]
fn binds_are_read_only_or_not() {
    let Some(world) = World::new() else { return };
    let source = world.path("source");
    fs_err::create_dir(&source).unwrap();
    fs_err::write(source.join("file"), "a").unwrap();
    let script = "cat /m/file; echo b > /m/file && echo written";
    let ran = with(&world, vec![bind(&source, "/m", true)], script).unwrap();
    assert_eq!(ran.stdout, "a");
    assert!(!ran.status.success());
    let ran = with(&world, vec![bind(&source, "/m", false)], script).unwrap();
    assert_eq!(ran.ok(), "awritten\n");
    assert_eq!(fs_err::read_to_string(source.join("file")).unwrap(), "b\n");
    // A single file, by descriptor.
    let fd = Arc::new(fs_err::File::open(source.join("file")).unwrap().into_parts().0.into());
    let mount = Mount::Bind(Bind {
        source: BindSource::Fd(fd),
        target: "/one".into(),
        read_only: true,
        recursive: false,
    });
    assert_eq!(with(&world, vec![mount], "cat /one").unwrap().ok(), "b\n");
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn a_read_only_bind_covers_the_mounts_below_it() {
    let Some(world) = World::new() else { return };
    // The host's /dev/shm is a mount below /dev, writable there.
    let script =
        "mount | grep -q ' /m/shm ' && echo 1; touch /m/shm/gantry-must-not && echo written; true";
    let ran = with(&world, vec![bind(Path::new("/dev"), "/m", true)], script).unwrap();
    assert_eq!(ran.ok(), "1\n");
}

#[test]
fn secrets_lie_in_memory_with_owner_and_mode() {
    let Some(world) = World::new() else { return };
    let single = gantry_sandbox::probe().id_map() == gantry_sandbox::IdMap::Single;
    let uid = if single { 0 } else { 1000 };
    let script = "cat /run/secrets/s; stat -c ' %a %u %g' /run/secrets/s; df /run/secrets/s | tail -n1 \
                  | awk '{print $1}'; echo x > /run/secrets/s && echo written; true";
    let ran = with(&world, vec![secret("/run/secrets/s", uid)], script).unwrap();
    assert_eq!(ran.ok(), format!("hush 400 {uid} {uid}\ntmpfs\n"));
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn a_tmpfs_has_its_size_and_mode() {
    let Some(world) = World::new() else { return };
    let mut tmpfs = Tmpfs::new("/t", Some(1 << 20));
    tmpfs.mode = 0o700;
    let script = "stat -c %a /t; df -k /t | tail -n1 | awk '{print $2}'
                  dd if=/dev/zero of=/t/x bs=1M count=2 2>/dev/null || echo full";
    let ran = with(&world, vec![Mount::Tmpfs(tmpfs)], script).unwrap();
    assert_eq!(ran.ok(), "700\n1024\nfull\n");
}

#[test]
fn mounts_nest_in_any_order_given() {
    let Some(world) = World::new() else { return };
    let source = world.path("source");
    fs_err::create_dir(&source).unwrap();
    let mounts = vec![
        secret("/a/b/c/secret", 0),
        bind(&source, "/a/b", false),
        Mount::Tmpfs(Tmpfs::new("/a", None)),
        secret("/dev/shm/s", 0),
    ];
    let ran = with(&world, mounts, "cat /a/b/c/secret /dev/shm/s; ls /a").unwrap();
    assert_eq!(ran.ok(), "hushhushb\n");
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn targets_never_lead_out_of_the_root() {
    let Some(world) = World::new() else { return };
    let (base, host) = (world.base(), world.path("host"));
    fs_err::create_dir(&host).unwrap();
    let up = format!("../../../../../../../..{}", host.display());
    symlink(&up, base.join("up")).unwrap();
    symlink(&host, base.join("absolute")).unwrap();
    symlink("/proc/self/root", base.join("magic")).unwrap();
    for target in ["/up/x", "/absolute/y", "/../../z"] {
        with(&world, vec![secret(target, 0)], "true").unwrap().ok();
    }
    assert_eq!(fs_err::read_dir(&host).unwrap().count(), 0);
    for target in ["/proc/x", "/proc/self/fd/3", "/sys/x", "/magic/x", "relative", "/", "/a/.."] {
        let error = with(&world, vec![secret(target, 0)], "true").unwrap_err();
        assert!(matches!(error, SpawnError::MountTarget { .. }), "{target}: {error:?}");
    }
    let error = with(&world, vec![bind(&host, "/etc/passwd", true)], "true").unwrap_err();
    assert!(matches!(error, SpawnError::MountTarget { .. }), "{error:?}");
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn links_to_mount_points_are_followed_inside_the_root() {
    let Some(world) = World::new() else { return };
    symlink("run", world.base().join("var-run")).unwrap();
    let ran = with(&world, vec![secret("/var-run/secrets/s", 0)], "cat /run/secrets/s").unwrap();
    assert_eq!(ran.ok(), "hush");
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn mount_points_swapped_for_links_during_the_step_are_left_alone() {
    let Some(world) = World::new() else { return };
    let host = world.path("host");
    fs_err::create_dir_all(host.join("secrets")).unwrap();
    // The mount point itself is busy, but its made parent's sibling can be replaced afterwards.
    let script = format!("rm -rf /tmp/x; ln -s {} /tmp/x; true", host.display());
    let mounts = vec![secret("/tmp/x/secrets/s", 0)];
    let _ = with(&world, mounts, &script).unwrap();
    assert!(host.join("secrets").exists());
}

#[test]
fn network_files_are_written_and_edits_are_not_kept() {
    let Some(world) = World::new() else { return };
    let script = "cat /etc/hosts /etc/resolv.conf; echo x >> /etc/hosts; echo y > /etc/resolv.conf \
                  && cat /etc/resolv.conf";
    let mut spec = world.spec(["sh", "-c", script]);
    spec.extra_hosts =
        vec![ExtraHost { name: "db".to_owned(), address: Some("10.1.2.3".parse().unwrap()) }];
    spec.dns = vec!["9.9.9.9".parse().unwrap()];
    let text = run(spec).unwrap().ok();
    assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
    assert!(text.contains("10.1.2.3\tdb\n") && text.ends_with("nameserver 9.9.9.9\ny\n"), "{text}");
    assert_eq!(world.layer(), [""; 0]);
}

#[test]
fn a_layer_holds_whiteouts_and_nothing_indirect() {
    let Some(world) = World::new() else { return };
    fs_err::create_dir_all(world.base().join("dir/sub")).unwrap();
    fs_err::write(world.base().join("dir/file"), "x").unwrap();
    let script = "rm /etc/group; mv /dir /moved; chmod 600 /etc/passwd";
    world.sh(script).ok();
    assert_eq!(
        world.layer(),
        ["dir", "etc", "etc/group", "etc/passwd", "moved", "moved/file", "moved/sub"]
    );
    assert_eq!(fs_err::metadata(world.upper().join("etc/group")).unwrap().rdev(), 0);
    assert!(fs_err::metadata(world.upper().join("etc/passwd")).unwrap().len() > 10);
}

#[test]
fn nothing_of_a_bind_propagates_to_the_host() {
    let Some(world) = World::new() else { return };
    let source = world.path("source");
    fs_err::create_dir_all(source.join("in")).unwrap();
    let mut spec =
        world.spec(["sh", "-c", "mount -t tmpfs x /m/in && touch /m/in/file && ls /m/in"]);
    spec.mounts = vec![bind(&source, "/m", false)];
    spec.security = gantry_sandbox::Security::Insecure;
    assert_eq!(run(spec).unwrap().ok(), "file\n");
    assert_eq!(fs_err::read_dir(source.join("in")).unwrap().count(), 0);
}

#[test]
fn a_volatile_overlay_and_a_single_read_only_layer_work() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec(["sh", "-c", "echo x > /x; sync"]);
    spec.rootfs.volatile = true;
    run(spec).unwrap().ok();
    assert_eq!(world.layer(), ["x"]);
    for name in ["proc", "sys", "dev"] {
        fs_err::create_dir(world.base().join(name)).unwrap();
    }
    let rootfs = RootfsSpec { lowers: vec![world.base().into()], ..RootfsSpec::default() };
    let mut spec = Spec::new(rootfs, ["/bin/sh", "-c", "touch /x || echo no"]);
    spec.network_files = false;
    spec.user = UserSpec::Root;
    assert_eq!(run(spec).unwrap().ok(), "no\n");
}
