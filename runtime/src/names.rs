//! Names of containers: those that people give, and those made up for the rest.

use crate::RunError;

/// Says whether people may call a container so.
///
/// # Errors
/// [`RunError::BadName`], in Docker's words.
pub fn check_name(name: &str) -> Result<(), RunError> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    let rest = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if first && name.len() > 1 && letters.all(rest) {
        Ok(())
    } else {
        Err(RunError::BadName { name: name.to_owned() })
    }
}

/// Makes up a name, `adjective_surname`, from a random number. The same number, the same name.
pub fn random_name(seed: u64) -> String {
    let pick = |list: &'static [&'static str], number: u64| {
        list[usize::try_from(number % list.len() as u64).unwrap_or(0)]
    };
    let (adjective, surname) = (pick(ADJECTIVES, seed & 0xffff_ffff), pick(SURNAMES, seed >> 32));
    // Steve Wozniak is not boring.
    if adjective == "boring" && surname == "wozniak" {
        return random_name(seed.wrapping_add(1));
    }
    format!("{adjective}_{surname}")
}

const ADJECTIVES: &[&str] = &[
    "admiring",
    "agile",
    "amazing",
    "blissful",
    "bold",
    "boring",
    "brave",
    "busy",
    "calm",
    "charming",
    "clever",
    "cool",
    "curious",
    "dazzling",
    "determined",
    "eager",
    "elegant",
    "epic",
    "fervent",
    "focused",
    "friendly",
    "gallant",
    "gifted",
    "goofy",
    "gracious",
    "happy",
    "hopeful",
    "hungry",
    "inspiring",
    "jolly",
    "keen",
    "kind",
    "laughing",
    "lucid",
    "magical",
    "modest",
    "nifty",
    "nostalgic",
    "optimistic",
    "peaceful",
    "pensive",
    "practical",
    "quirky",
    "relaxed",
    "serene",
    "sharp",
    "silly",
    "sleepy",
    "stoic",
    "sweet",
    "tender",
    "thirsty",
    "trusting",
    "upbeat",
    "vibrant",
    "vigilant",
    "wizardly",
    "wonderful",
    "youthful",
    "zealous",
];

const SURNAMES: &[&str] = &[
    "agnesi",
    "allen",
    "babbage",
    "bartik",
    "bassi",
    "bell",
    "bohr",
    "booth",
    "borg",
    "cartwright",
    "cerf",
    "clarke",
    "curie",
    "dijkstra",
    "easley",
    "engelbart",
    "euclid",
    "euler",
    "fermat",
    "feynman",
    "franklin",
    "galileo",
    "goldberg",
    "goodall",
    "hamilton",
    "haslett",
    "hermann",
    "hoover",
    "hopper",
    "johnson",
    "jones",
    "kalam",
    "kepler",
    "khorana",
    "knuth",
    "lamarr",
    "leavitt",
    "liskov",
    "lovelace",
    "mayer",
    "mccarthy",
    "meitner",
    "mendel",
    "mirzakhani",
    "newton",
    "noether",
    "nobel",
    "pascal",
    "perlman",
    "ride",
    "ritchie",
    "rosalind",
    "shannon",
    "sinoussi",
    "swartz",
    "tesla",
    "thompson",
    "torvalds",
    "turing",
    "wozniak",
    "yalow",
    "yonath",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_14_names() {
        for good in ["web", "a1", "A_b.c-d", "0x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-web", "/web", "we b", "wéb"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a2_13_made_up_names_are_good_ones_and_wozniak_is_never_boring() {
        for low in 0..ADJECTIVES.len() as u64 {
            for high in 0..SURNAMES.len() as u64 {
                let name = random_name(high << 32 | low);
                assert!(check_name(&name).is_ok(), "{name}");
                assert_ne!(name, "boring_wozniak");
            }
        }
    }
}
