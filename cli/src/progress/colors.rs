//! Colours of the live tree: `NO_COLOR` turns them off, `BUILDKIT_COLORS` changes them.

use console::{Color, Style};

/// What each kind of line looks like. No meaning is in the colour alone.
#[derive(Debug, Clone)]
pub(super) struct Palette {
    /// Steps that are finished or were cached.
    pub(super) run: Style,
    /// Steps that failed.
    pub(super) error: Style,
    /// Steps that were canceled.
    pub(super) cancel: Style,
    /// Warnings.
    pub(super) warning: Style,
}

impl Palette {
    /// The palette that this terminal and environment ask for.
    pub(super) fn from_environment() -> Self {
        // An empty NO_COLOR is none, says no-color.org, and so does BuildKit.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if refused || !console::Term::stderr().features().is_attended() {
            return Self::colourless();
        }
        let asked = std::env::var("BUILDKIT_COLORS").unwrap_or_default();
        Self::parse(&asked)
    }

    /// No colours.
    pub(super) fn colourless() -> Self {
        let plain = Style::new().for_stderr().force_styling(false);
        Self { run: plain.clone(), error: plain.clone(), cancel: plain.clone(), warning: plain }
    }

    /// Reads `run=green:error=255,165,0:…`; what isn't understood keeps its default.
    fn parse(text: &str) -> Self {
        let style = |color| Style::new().for_stderr().force_styling(true).fg(color);
        let mut palette = Self {
            run: style(Color::Blue),
            error: style(Color::Red),
            cancel: style(Color::Yellow),
            warning: style(Color::Yellow),
        };
        for (name, value) in text.split(':').filter_map(|part| part.split_once('=')) {
            let Some(color) = color(value) else { continue };
            match name.to_ascii_lowercase().as_str() {
                "run" => palette.run = style(color),
                "error" => palette.error = style(color),
                "cancel" => palette.cancel = style(color),
                "warning" => palette.warning = style(color),
                _ => {}
            }
        }
        palette
    }
}

fn color(value: &str) -> Option<Color> {
    let parts: Vec<Option<u8>> = value.split(',').map(|part| part.trim().parse().ok()).collect();
    if let [Some(red), Some(green), Some(blue)] = parts[..] {
        return Some(Color::TrueColor(red, green, blue));
    }
    Some(match value.to_ascii_lowercase().as_str() {
        "black" => Color::Black,
        "blue" => Color::Blue,
        "cyan" => Color::Cyan,
        "green" => Color::Green,
        "magenta" => Color::Magenta,
        "red" => Color::Red,
        "white" => Color::White,
        "yellow" => Color::Yellow,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_by_name_and_by_number() {
        let palette = Palette::parse("run=green:ERROR=255,165,0:cancel=nonsense:x=red");
        assert_eq!(palette.run.apply_to("x").to_string(), "\x1b[32mx\x1b[0m");
        assert_eq!(palette.error.apply_to("x").to_string(), "\x1b[38;2;255;165;0mx\x1b[0m");
        assert_eq!(palette.cancel.apply_to("x").to_string(), "\x1b[33mx\x1b[0m");
        assert_eq!(Palette::colourless().error.apply_to("x").to_string(), "x");
    }
}
