//! A full disk: the step fails and says why, and with more space the build goes on.
//!
//! The store lies on a small `tmpfs` in a mount namespace of its own, which goes with its script.

use std::process::Command;

use super::project;
use crate::base::busybox_tar;
use crate::sandbox::Sandbox;

/// Runs a script that may mount; `$GANTRY` is the program, its store lies on a disk of 12 MB, or
/// of 48 MB once `$DISK/filler` is gone.
fn on_a_small_disk(sandbox: &Sandbox, script: &str) -> Option<String> {
    let disk = sandbox.store().with_file_name("disk");
    fs_err::create_dir_all(&disk).unwrap();
    let gantry = sandbox.command([]);
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        // Root of a user namespace may mount a tmpfs as well.
        match is_root() {
            true => command.arg("--mount"),
            false => command.args(["--user", "--map-root-user", "--mount"]),
        };
        command
            .args(["sh", "-euc", script])
            .current_dir(sandbox.project())
            .env_clear()
            .envs(gantry.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("GANTRY", gantry.get_program())
            .env("DISK", &disk)
            .env("GANTRY_ROOT", disk.join("store"))
            .output()
            .unwrap()
    };
    let mount = "mount -t tmpfs -o size=48m none \"$DISK\"\nfallocate -l 36m \"$DISK/filler\"\n";
    if !unshare(mount).status.success() {
        assert!(!crate::sandbox::required("userns"), "a tmpfs can't be mounted");
        crate::eprintln_skip("a tmpfs can't be mounted");
        return None;
    }
    sandbox.write("busybox.tar", busybox_tar());
    let import = "\"$GANTRY\" import busybox.tar busybox > /dev/null\n";
    let output = unshare(&format!("{mount}{import}{script}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    Some(text(&output.stdout) + &text(&output.stderr))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout == b"0\n"
}

/// Fails to build, has a clean store with the old image alone; with more space it builds.
const FAILS_THEN_BUILDS: &str = r#"
if "$GANTRY" build --network none -t app . ; then echo 'it was built'; exit 1; else code=$?; fi
test "$code" = 102
"$GANTRY" fsck --deep
test "$("$GANTRY" images -q | wc -l)" = 1
ls "$GANTRY_ROOT/work" | { ! grep . ; }
rm "$DISK/filler"
"$GANTRY" build -q --network none -t app .
"$GANTRY" fsck --deep
"$GANTRY" run --rm --network none app ls -l /big
"#;

/// Builds it on a small disk first.
fn check(dockerfile: &str) {
    let sandbox = project("");
    sandbox.write("big", noise(10_000_000));
    sandbox.write("Dockerfile", dockerfile);
    sandbox.write(".dockerignore", "busybox.tar\n");
    let Some(printed) = on_a_small_disk(&sandbox, FAILS_THEN_BUILDS) else { return };
    assert!(printed.contains("No space left on device"), "{printed}");
    assert!(printed.contains("ERROR: failed to solve: "), "{printed}");
    assert!(printed.contains("hint: Run `gantry prune` to free space\n"), "{printed}");
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

#[test]
fn a_copy_that_does_not_fit() {
    check("FROM busybox\nRUN echo first > /first\nCOPY big /big\n");
}

#[test]
fn a_step_that_fills_the_disk() {
    check("FROM busybox\nRUN dd if=/dev/zero of=/big bs=64k count=150\n");
}

#[test]
fn a_step_that_does_not_care_that_the_disk_is_full() {
    // The disk is full to the last byte when the step ends well, so its result can't be kept.
    // Later there is room for it all.
    check(
        "FROM busybox\nRUN cat /dev/zero | head -c 12000000 > /big; for i in 1 2 3 4 5; do echo \"line $i\"; done\nRUN test $(stat -c %s /big) = 12000000\nCOPY big /copy\n",
    );
}

#[test]
fn an_archive_that_does_not_fit() {
    let sandbox = project("");
    let mut tar = tar::Builder::new(Vec::new());
    let data = noise(10_000_000);
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    tar.append_data(&mut header, "big", data.as_slice()).unwrap();
    sandbox.write("big.tar", tar.into_inner().unwrap());
    let script = r#"
        for try in 'import big.tar big' 'load -i big.tar'; do
            if "$GANTRY" $try; then echo "$try went well"; exit 1; else test $? = 1; fi
            "$GANTRY" fsck --deep
            test "$("$GANTRY" images -q | wc -l)" = 1
        done
        rm "$DISK/filler"
        "$GANTRY" import big.tar big
        "$GANTRY" fsck --deep
    "#;
    let Some(printed) = on_a_small_disk(&sandbox, script) else { return };
    assert!(printed.contains("No space left on device"), "{printed}");
}

#[test]
fn an_image_that_does_not_fit_where_it_is_saved() {
    let sandbox = project("");
    sandbox.write("big", noise(10_000_000));
    sandbox.write("Dockerfile", "FROM busybox\nCOPY big /big\n");
    sandbox.write(".dockerignore", "busybox.tar\n");
    let script = r#"
        rm "$DISK/filler"
        "$GANTRY" build -q -t app .
        fallocate -l 26m "$DISK/filler"
        for try in 'save -o' 'build -t app -o type=docker,dest='; do
            case "$try" in
            save*) set -- save -o "$DISK/saved.tar" app ;;
            *) set -- build -o "type=docker,dest=$DISK/saved.tar" . ;;
            esac
            if "$GANTRY" "$@"; then echo "$try went well"; exit 1; fi
            ls -a "$DISK" | { ! grep saved ; }
            "$GANTRY" fsck --deep
        done
        rm "$DISK/filler"
        "$GANTRY" save -o "$DISK/saved.tar" app
        tar -tf "$DISK/saved.tar" > /dev/null
    "#;
    let Some(printed) = on_a_small_disk(&sandbox, script) else { return };
    assert!(printed.contains("No space left on device"), "{printed}");
}
