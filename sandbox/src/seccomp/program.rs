//! From "this number, this action" to BPF.
//!
//! ```text
//! load arch ── native? ──► load number ──► search by halving ──► leaf: return, or look at args
//!           └─ compat? ──► …
//! ```

use std::collections::BTreeMap;

use super::Instruction;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is carried out.
    Allow,
    /// `EPERM`.
    Deny,
    /// `ENOSYS`.
    NoSuchCall,
    /// Allowed without namespace flags.
    Clone,
    /// Allowed with the values that `setarch` and friends use.
    Personality,
    /// Allowed but for `AF_VSOCK`.
    Socket,
}

/// The calls of one architecture.
pub(super) struct Section {
    /// Its `AUDIT_ARCH_*`.
    pub(super) arch: u32,
    /// What is not [`Action::Deny`].
    pub(super) calls: BTreeMap<u32, Action>,
    /// Numbers above it (that are not in `calls`) are unknown to this profile.
    pub(super) newest: u32,
}

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_AT_LEAST: u16 = 0x35;
const IF_BITS: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const EPERM: u32 = ERRNO | 1;
const ENOSYS: u32 = ERRNO | 38;

/// Offsets in `struct seccomp_data`; both architectures are little-endian.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

/// All `CLONE_NEW*` flags that `clone` takes.
const NAMESPACE_FLAGS: u32 = 0x7e02_0000;
const AF_VSOCK: u32 = 40;

fn op(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Makes the whole program.
pub(super) fn assemble(sections: &[Section]) -> Vec<Instruction> {
    let mut program = vec![op(LOAD, ARCH, 0, 0)];
    for section in sections {
        let mut body = vec![op(LOAD, NUMBER, 0, 0)];
        body.extend(search(&ranges(section)));
        program.push(op(IF_EQUAL, section.arch, 1, 0));
        program.push(op(JUMP, length(&body), 0, 0));
        program.extend(body);
    }
    program.push(op(RETURN, EPERM, 0, 0));
    program
}

/// Merges numbers into ranges that begin where the action changes; the first begins at 0.
fn ranges(section: &Section) -> Vec<(u32, Action)> {
    let mut ranges = Vec::new();
    let mut push = |start: u32, action: Action| match ranges.last() {
        Some((_, last)) if *last == action => {}
        _ => ranges.push((start, action)),
    };
    let mut next = 0_u32;
    for (&number, &action) in &section.calls {
        if number > next {
            let known = section.newest + 1;
            if next < known {
                push(next, Action::Deny);
            }
            if number > known {
                push(known.max(next), Action::NoSuchCall);
            }
        }
        push(number, action);
        next = number + 1;
    }
    if next <= section.newest {
        push(next, Action::Deny);
    }
    push(next.max(section.newest + 1), Action::NoSuchCall);
    ranges
}

/// A tree of comparisons, laid out depth first: left is what lies below the middle.
fn search(ranges: &[(u32, Action)]) -> Vec<Instruction> {
    let [.., _, _] = ranges else {
        return leaf(ranges.first().map_or(Action::Deny, |(_, action)| *action));
    };
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (left, right) = (search(low), search(high));
    let mut program = Vec::with_capacity(left.len() + right.len() + 2);
    match u8::try_from(left.len()) {
        Ok(skip) => program.push(op(IF_AT_LEAST, high[0].0, skip, 0)),
        // Conditional jumps reach 255 instructions; beyond, an unconditional one helps.
        Err(_) => {
            program.push(op(IF_AT_LEAST, high[0].0, 0, 1));
            program.push(op(JUMP, length(&left), 0, 0));
        }
    }
    program.extend(left);
    program.extend(right);
    program
}

fn leaf(action: Action) -> Vec<Instruction> {
    let (allow, deny) = (op(RETURN, ALLOW, 0, 0), op(RETURN, EPERM, 0, 0));
    match action {
        Action::Allow => vec![allow],
        Action::Deny => vec![deny],
        Action::NoSuchCall => vec![op(RETURN, ENOSYS, 0, 0)],
        Action::Clone => {
            vec![op(LOAD, FIRST_ARGUMENT, 0, 0), op(IF_BITS, NAMESPACE_FLAGS, 1, 0), allow, deny]
        }
        Action::Socket => {
            vec![op(LOAD, FIRST_ARGUMENT, 0, 0), op(IF_EQUAL, AF_VSOCK, 1, 0), allow, deny]
        }
        Action::Personality => vec![
            op(LOAD, FIRST_ARGUMENT, 0, 0),
            op(IF_EQUAL, 0, 5, 0),
            op(IF_EQUAL, 0x0008, 4, 0),
            op(IF_EQUAL, 0x0002_0000, 3, 0),
            op(IF_EQUAL, 0x0002_0008, 2, 0),
            op(IF_EQUAL, 0xffff_ffff, 1, 0),
            deny,
            allow,
        ],
    }
}

fn length(program: &[Instruction]) -> u32 {
    u32::try_from(program.len()).unwrap_or(u32::MAX)
}

/// Runs a program as the kernel would, for tests.
#[cfg(test)]
pub(super) fn interpret(program: &[Instruction], arch: u32, number: u32, argument: u64) -> u32 {
    let (mut at, mut value) = (0_usize, 0_u32);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let jump = |taken: bool| usize::from(if taken { jt } else { jf });
        match code {
            LOAD if k == NUMBER => value = number,
            LOAD if k == ARCH => value = arch,
            LOAD if k == FIRST_ARGUMENT => value = argument as u32,
            JUMP => at += k as usize,
            IF_EQUAL => at += jump(value == k),
            IF_AT_LEAST => at += jump(value >= k),
            IF_BITS => at += jump(value & k != 0),
            RETURN => return k,
            _ => panic!("unknown instruction {code:#x}"),
        }
    }
}
