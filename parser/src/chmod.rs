//! `--chmod` of COPY and ADD: octal or symbolic (B6-12).

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::take_while;
use nom::character::complete::{char, one_of};
use nom::combinator::{all_consuming, value};
use nom::multi::{many1, separated_list1};

use crate::go::parse_uint;

/// A mode to set, or changes to make to the mode that a file has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chmod {
    /// These bits, 0 to 07777.
    Absolute(u32),
    /// `u=rwX,go=rX`: applied from left to right.
    Symbolic(Vec<Change>),
}

/// One action of a symbolic mode, such as `go=rX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Who is meant: 0o700 for `u`, 0o070 for `g`, 0o007 for `o`, together.
    pub who: u32,
    /// What is done with the bits.
    pub op: Op,
    /// What is given.
    pub permission: Permission,
}

/// The right side of a [`Change`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Letters out of `rwxXst`.
    Bits {
        /// `r`, `w`, `x` as 0o4, 0o2, 0o1.
        rwx: u32,
        /// `X`: execute, for directories and for what somebody may execute already.
        conditional_x: bool,
        /// `s`: set-user-id and set-group-id, as far as `who` goes.
        set_id: bool,
        /// `t`.
        sticky: bool,
    },
    /// The rwx bits that the owner (6), group (3) or others (0) have: the shift to get them.
    CopyOf(u32),
}

/// What a change does with its bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "as chmod(1) has them")]
pub enum Op {
    Add,
    Remove,
    Set,
}

/// Why a text is no mode. Displays as BuildKit says it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
pub struct ChmodError(pub String);

impl ChmodError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "Write octal digits such as `0755`, or changes such as `u=rwX,go=rX`"
    }
}

/// Reads an expanded `--chmod` value.
///
/// # Errors
/// Neither octal up to 07777 nor symbolic.
pub fn parse(text: &str) -> Result<Chmod, ChmodError> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return parse_uint(text, 8, 0o7777)
            .map(|mode| Chmod::Absolute(mode as u32))
            .ok_or_else(|| ChmodError(text.to_owned()));
    }
    match all_consuming(separated_list1(char(','), clause)).parse(text) {
        Ok((_, clauses)) => Ok(Chmod::Symbolic(clauses.into_iter().flatten().collect())),
        Err(_) => Err(ChmodError(text.to_owned())),
    }
}

impl Chmod {
    /// The mode that a file with `mode` (07777 bits) gets.
    #[must_use]
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Self::Absolute(mode) => *mode,
            Self::Symbolic(changes) => {
                changes.iter().fold(mode & 0o7777, |mode, change| change.apply(mode, is_dir))
            }
        }
    }
}

impl Change {
    fn apply(self, mode: u32, is_dir: bool) -> u32 {
        let (mut rwx, mut special) = (0, 0);
        match self.permission {
            Permission::CopyOf(shift) => rwx = mode >> shift & 0o7,
            Permission::Bits { rwx: bits, conditional_x, set_id, sticky } => {
                rwx |= bits;
                if conditional_x && (is_dir || mode & 0o111 != 0) {
                    rwx |= 0o1;
                }
                if set_id && self.who & 0o700 != 0 {
                    special |= 0o4000;
                }
                if set_id && self.who & 0o070 != 0 {
                    special |= 0o2000;
                }
                if sticky {
                    special |= 0o1000;
                }
            }
        }
        let bits = (rwx * 0o111) & self.who | special;
        match self.op {
            Op::Add => mode | bits,
            Op::Remove => mode & !bits,
            Op::Set => {
                // As chmod(1): a directory keeps its set-id bits unless they are named.
                let owned = if is_dir {
                    0
                } else {
                    (if self.who & 0o700 != 0 { 0o4000 } else { 0 })
                        | (if self.who & 0o070 != 0 { 0o2000 } else { 0 })
                };
                mode & !(self.who | owned) | bits
            }
        }
    }
}

fn clause(input: &str) -> nom::IResult<&str, Vec<Change>> {
    let (input, who) = take_while(|c| matches!(c, 'u' | 'g' | 'o' | 'a')).parse(input)?;
    let who = who.chars().fold(0, |who, c| {
        who | match c {
            'u' => 0o700,
            'g' => 0o070,
            'o' => 0o007,
            _ => 0o777,
        }
    });
    let who = if who == 0 { 0o777 } else { who };
    many1((one_of("+-="), permission).map(|(op, permission)| Change {
        who,
        op: match op {
            '+' => Op::Add,
            '-' => Op::Remove,
            _ => Op::Set,
        },
        permission,
    }))
    .parse(input)
}

fn permission(input: &str) -> nom::IResult<&str, Permission> {
    let copy = alt((
        value(Permission::CopyOf(6), char('u')),
        value(Permission::CopyOf(3), char('g')),
        value(Permission::CopyOf(0), char('o')),
    ));
    let letters = take_while(|c| matches!(c, 'r' | 'w' | 'x' | 'X' | 's' | 't')).map(|s: &str| {
        let has = |c: char| s.contains(c);
        let bit = |c: char, bit: u32| if has(c) { bit } else { 0 };
        Permission::Bits {
            rwx: bit('r', 4) | bit('w', 2) | bit('x', 1),
            conditional_x: has('X'),
            set_id: has('s'),
            sticky: has('t'),
        }
    });
    alt((copy, letters)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mode: u32, is_dir: bool, expect: u32) {
        let got = parse(text).unwrap().apply(mode, is_dir);
        assert_eq!(got, expect, "{text} on {mode:o}: {got:o}, not {expect:o}");
    }

    #[test]
    fn octal() {
        check("755", 0, false, 0o755);
        check("04755", 0, false, 0o4755);
        check("0", 0o777, true, 0);
        for bad in ["64a", "10000", "9", "", "u", "u=q", "u=rw,", "rwx", "u+r g+w"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid chmod parameter: '{bad}'.")), "{error}");
        }
    }

    #[test]
    fn symbolic() {
        check("u=rwX,go=rX", 0o600, false, 0o644);
        check("u=rwX,go=rX", 0o600, true, 0o755);
        check("u=rwX,go=rX", 0o700, false, 0o755);
        check("+x", 0o644, false, 0o755);
        check("a-w", 0o666, false, 0o444);
        check("g=u", 0o640, false, 0o660);
        check("u+s,+t", 0o755, false, 0o5755);
        check("go=", 0o777, false, 0o700);
        check("u+w-x", 0o555, false, 0o655);
    }
}
