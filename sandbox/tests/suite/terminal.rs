//! A terminal of its own (`run -it`).

use std::io::{Read, Write};
use std::time::Duration;

use gantry_sandbox::{Child, Stdio, UserSpec, WindowSize, spawn};

use crate::support::World;

const SIZE: WindowSize = WindowSize { rows: 33, columns: 77 };

fn until(terminal: &mut std::fs::File, text: &str, seen: &mut String) {
    let mut buffer = [0; 1024];
    while !seen.contains(text) {
        let length = terminal.read(&mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

fn start(world: &World, script: &str) -> (Child, std::fs::File) {
    let mut spec = world.spec(["sh", "-c", script]);
    spec.stdio = Stdio::Terminal(SIZE);
    let mut child = spawn(spec).unwrap();
    let terminal = child.take_terminal().unwrap();
    (child, terminal)
}

#[test]
fn it_is_the_controlling_terminal_with_a_name_and_a_size() {
    let Some(world) = World::new() else { return };
    let script = "tty; stty size; test -c /dev/console && echo console > /dev/console; \
                  echo own > /dev/tty; test -t 0 -a -t 1 -a -t 2 && echo all; read x; stty size; read y";
    let (child, mut terminal) = start(&world, script);
    let mut seen = String::new();
    until(&mut terminal, "all", &mut seen);
    assert_eq!(seen.replace("\r\n", "\n").trim(), "/dev/pts/0\n33 77\nconsole\nown\nall");
    child.resize(WindowSize { rows: 10, columns: 20 }).unwrap();
    terminal.write_all(b"\n").unwrap();
    until(&mut terminal, "10 20", &mut seen);
    // The end of input ends the last `read`.
    terminal.write_all(&[4]).unwrap();
    child.wait();
}

#[test]
fn control_c_reaches_what_runs_in_it_and_nothing_else() {
    let Some(world) = World::new() else { return };
    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done";
    let (child, mut terminal) = start(&world, script);
    let mut seen = String::new();
    until(&mut terminal, "ready", &mut seen);
    std::thread::sleep(Duration::from_millis(20));
    terminal.write_all(&[3]).unwrap();
    until(&mut terminal, "caught", &mut seen);
    assert_eq!(child.wait().shell_code(), 5);
    // Nobody has the other end any more.
    let mut rest = Vec::new();
    while let Ok(1..) = terminal.read(&mut [0; 64]) {
        rest.push(());
    }
}

#[test]
fn an_ordinary_user_owns_it() {
    let Some(world) = World::new() else { return };
    if gantry_sandbox::probe().id_map() == gantry_sandbox::IdMap::Single {
        return;
    }
    let mut spec = world.spec(["sh", "-c", "stat -c '%u %a' $(tty); echo x > $(tty)"]);
    spec.stdio = Stdio::Terminal(SIZE);
    spec.user = UserSpec::Text("app".to_owned());
    let mut child = spawn(spec).unwrap();
    let mut seen = String::new();
    until(&mut child.take_terminal().unwrap(), "x", &mut seen);
    assert!(seen.starts_with("1000 620"), "{seen}");
    assert!(child.wait().success());
}
