//! The base image of the tests: a root filesystem around the host's static busybox.

use std::process::Command;
use std::sync::OnceLock;

/// The tar of a small root filesystem around the host's static busybox; made once a process.
pub(crate) fn busybox_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let busybox = fs_err::read("/bin/busybox").expect("busybox-static is needed for tests");
        let applets = Command::new("/bin/busybox").arg("--list").output().unwrap();
        let applets = String::from_utf8(applets.stdout).unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8], link: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(data.len() as u64);
            header.set_mtime(0);
            match link {
                "" => tar.append_data(&mut header, path, data).unwrap(),
                link => tar.append_link(&mut header, path, link).unwrap(),
            }
        };
        for (path, mode) in
            [("bin/", 0o755), ("etc/", 0o755), ("home/", 0o755), ("root/", 0o700), ("tmp/", 0o1777)]
        {
            add(path, tar::EntryType::Directory, mode, b"", "");
        }
        add("bin/busybox", tar::EntryType::Regular, 0o755, &busybox, "");
        for applet in applets.lines().filter(|applet| *applet != "busybox") {
            add(&format!("bin/{applet}"), tar::EntryType::Symlink, 0o777, b"", "busybox");
        }
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n";
        add("etc/passwd", tar::EntryType::Regular, 0o644, passwd.as_bytes(), "");
        let group = "root:x:0:\nstaff:x:50:nobody\nnogroup:x:65534:\n";
        add("etc/group", tar::EntryType::Regular, 0o644, group.as_bytes(), "");
        tar.into_inner().unwrap()
    })
}
