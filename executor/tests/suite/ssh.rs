//! SSH agents in steps: real agents, asked by a real `ssh-add` in the image.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry_executor::SshAgent;

use crate::common::{Sandbox, explain};

/// A sandbox whose context holds `ssh-add` with all that it loads, and a key beside it.
fn sandbox() -> Option<(Sandbox, PathBuf)> {
    let sandbox = Sandbox::new();
    let key = sandbox.dir.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no OpenSSH");
        return None;
    }
    let listed = Command::new("ldd").arg("/usr/bin/ssh-add").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    for path in libraries.chain(["/usr/bin/ssh-add"]) {
        let to = sandbox.context().join(path.trim_start_matches('/'));
        fs_err::create_dir_all(to.parent().unwrap()).unwrap();
        fs_err::copy(path, to).unwrap();
    }
    Some((sandbox, key))
}

fn try_build(sandbox: &Sandbox, agents: &[(&str, SshAgent)], run: &str) -> Result<String, String> {
    let text = format!("FROM busybox\nCOPY . /\nRUN {run}\n");
    let mut request = sandbox.request(&text);
    request.ssh = agents.iter().map(|(id, agent)| ((*id).to_owned(), agent.clone())).collect();
    match sandbox.try_request(request).0 {
        Ok(built) => {
            assert!(!built.files().contains_key("run/buildkit"), "nothing of it stays");
            Ok(built.log())
        }
        Err(error) => Err(explain(&error)),
    }
}

/// B5-14, C1-16.
#[test]
fn keys_are_asked_for_but_not_changed() {
    needs_root!();
    let Some((sandbox, key)) = sandbox() else { return };
    let keys = [("default", SshAgent::Keys(vec![key.clone()]))];
    let run = "--mount=type=ssh echo $SSH_AUTH_SOCK; stat -c %a:%u $SSH_AUTH_SOCK; ssh-add -l; \
               ssh-add -D; ssh-add -l";
    let log = try_build(&sandbox, &keys, run).unwrap();
    assert!(log.starts_with("/run/buildkit/ssh_agent.0\n600:0\n"), "{log}");
    assert_eq!(log.matches("the-key (ED25519)").count(), 2, "{log}");
    let run = "--mount=type=ssh,id=default,target=/s,mode=0660,uid=1000,gid=50 \
               stat -c %a:%u:%g /s; test $SSH_AUTH_SOCK = /s; echo there";
    assert_eq!(try_build(&sandbox, &keys, run).unwrap(), "660:1000:50\nthere\n");

    let missing = "--mount=type=ssh,id=other,required=true true";
    let text = try_build(&sandbox, &keys, missing).unwrap_err();
    assert!(text.contains("unset ssh forward key other"), "{text}");
    let absent = "--mount=type=ssh,id=other test -z \"$SSH_AUTH_SOCK\"";
    try_build(&sandbox, &keys, absent).unwrap();
    sandbox.assert_clean();
}

#[test]
fn a_key_with_a_passphrase_is_refused() {
    needs_root!();
    let Some((sandbox, key)) = sandbox() else { return };
    let locked = Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "sesame", "-f"])
        .arg(&key)
        .stdout(Stdio::null())
        .status();
    assert!(locked.unwrap().success());
    let keys = [("default", SshAgent::Keys(vec![key]))];
    let text = try_build(&sandbox, &keys, "--mount=type=ssh ssh-add -l").unwrap_err();
    assert!(text.contains("Failed to give the key") && text.contains("--ssh default"), "{text}");
    let keys = [("default", SshAgent::Keys(vec!["/nonexistent".into()]))];
    let text = try_build(&sandbox, &keys, "--mount=type=ssh true").unwrap_err();
    assert!(text.contains("/nonexistent"), "{text}");
    sandbox.assert_clean();
}

/// An agent of the host, ended when the test is over.
struct Agent(std::process::Child);

impl Agent {
    fn start(socket: &Path) -> Self {
        let agent = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while !socket.exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_agent_that_runs_is_forwarded_to_whoever_may_ask() {
    needs_root!();
    let Some((sandbox, key)) = sandbox() else { return };
    let socket = sandbox.dir.path().join("agent");
    let agent = Agent::start(&socket);
    let added = Command::new("ssh-add")
        .args(["-q".as_ref(), key.as_os_str()])
        .env("SSH_AUTH_SOCK", &socket)
        .status();
    assert!(added.unwrap().success());
    let agents = [("mine", SshAgent::Socket(socket))];
    let run = "--mount=type=ssh,id=mine,required ssh-add -l";
    assert!(try_build(&sandbox, &agents, run).unwrap().contains("the-key (ED25519)"));
    drop(agent);
    // Not part of the key: that the agent is gone does not matter.
    try_build(&sandbox, &agents, run).unwrap();
    let gone = try_build(&sandbox, &agents, "--mount=type=ssh,id=mine ssh-add -l || echo none");
    assert!(gone.unwrap().contains("none"));
    sandbox.assert_clean();
}
