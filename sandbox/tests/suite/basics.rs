//! Running, failing, ending.

use crate::support::{World, run};

#[test]
fn a_command_is_pid_1_and_its_output_and_code_come_back() {
    let Some(world) = World::new() else { return };
    let ran = world.sh("echo $$; echo err >&2; exit 7");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("1\n", "err\n"));
    assert_eq!(ran.status.shell_code(), 7);
}
