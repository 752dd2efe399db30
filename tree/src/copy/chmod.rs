//! [`Chmod`]: the argument of `--chmod`, octal or symbolic.
//!
//! Symbolic modes follow chmod(1): `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`, joined by commas.
//! Where nobody is named, everybody is meant; no umask takes part, so that a build does not depend
//! on the shell that it was started from.

/// A change of a file's mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Vec<Clause>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Clause {
    /// All bits at once.
    Exactly(u32),
    /// `who`, `op` and `what` of a symbolic mode; `who` as permission bits for each class named.
    Change { who: u32, op: Op, what: What },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `rwx` as the low three bits; `X`, `s` and `t`.
    Bits { rwx: u32, x_if_any: bool, set_id: bool, sticky: bool },
    /// The bits that another class has, by how far these are shifted.
    Copy(u32),
}

const USER: u32 = 0o700;
const GROUP: u32 = 0o070;
const OTHER: u32 = 0o007;

impl Chmod {
    /// Reads `0755`, `644`, `u=rwX,go=rX`, `+x`; `None` for all else, octal above 07777 included.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)?;
            return Some(Self(vec![Clause::Exactly(mode)]));
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let ops = part.find(['+', '-', '='])?;
            let (who, mut rest) = part.split_at(ops);
            let who = who.chars().try_fold(0, |all, class| {
                Some(
                    all | match class {
                        'u' => USER,
                        'g' => GROUP,
                        'o' => OTHER,
                        'a' => 0o777,
                        _ => return None,
                    },
                )
            })?;
            let who = if who == 0 { 0o777 } else { who };
            while let Some(op) = rest.chars().next() {
                let op = match op {
                    '+' => Op::Add,
                    '-' => Op::Remove,
                    _ => Op::Set,
                };
                let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |end| end + 1);
                clauses.push(Clause::Change { who, op, what: what(&rest[1..end])? });
                rest = &rest[end..];
            }
        }
        Some(Self(clauses))
    }

    /// Returns the mode that a file or directory of mode `mode` gets.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        self.0.iter().fold(mode, |mode, clause| match clause {
            Clause::Exactly(mode) => *mode,
            Clause::Change { who, op, what } => change(mode, is_dir, *who, *op, *what),
        })
    }
}

fn what(text: &str) -> Option<What> {
    match text {
        "u" => return Some(What::Copy(6)),
        "g" => return Some(What::Copy(3)),
        "o" => return Some(What::Copy(0)),
        _ => {}
    }
    let (mut rwx, mut x_if_any, mut set_id, mut sticky) = (0, false, false, false);
    for bit in text.chars() {
        match bit {
            'r' => rwx |= 4,
            'w' => rwx |= 2,
            'x' => rwx |= 1,
            'X' => x_if_any = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(What::Bits { rwx, x_if_any, set_id, sticky })
}

fn change(mode: u32, is_dir: bool, who: u32, op: Op, what: What) -> u32 {
    let special = |set_id: bool, sticky: bool| {
        let user = if set_id && who & USER != 0 { 0o4000 } else { 0 };
        let group = if set_id && who & GROUP != 0 { 0o2000 } else { 0 };
        let all = if sticky && who == 0o777 { 0o1000 } else { 0 };
        user | group | all
    };
    let bits = match what {
        What::Copy(shift) => (((mode >> shift) & 7) * 0o111) & who,
        What::Bits { rwx, x_if_any, set_id, sticky } => {
            let x = u32::from(x_if_any && (is_dir || mode & 0o111 != 0));
            (((rwx | x) * 0o111) & who) | special(set_id, sticky)
        }
    };
    match op {
        Op::Add => mode | bits,
        Op::Remove => mode & !bits,
        // As chmod(1) has it, a directory keeps its set-ID bits unless they are named.
        Op::Set if is_dir => (mode & !(who | (special(false, true)))) | bits,
        Op::Set => (mode & !(who | special(true, true))) | bits,
    }
}
