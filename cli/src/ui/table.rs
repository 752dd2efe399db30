//! Columns laid out as docker lays them out (Go's `tabwriter` with minwidth 10 and padding 3).
//!
//! A cell ends with a tab. Every cell but a line's last is padded to its column's widest text plus
//! three spaces, and to ten characters at least; the last one is left as it is.

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Replaces the tabs in `lines` by as many spaces as line the columns up.
pub(crate) fn align<S: AsRef<str>>(lines: &[S]) -> String {
    let cells: Vec<Vec<&str>> =
        lines.iter().map(|line| line.as_ref().split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for line in &cells {
        let padded = line.len() - 1;
        widths.resize(widths.len().max(padded), MIN_WIDTH);
        for (cell, width) in line.iter().zip(&mut widths).take(padded) {
            *width = (*width).max(console::measure_text_width(cell) + PADDING);
        }
    }
    let mut text = String::new();
    for line in &cells {
        for (column, cell) in line.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                let missing = widths[column].saturating_sub(console::measure_text_width(cell));
                text.extend(std::iter::repeat_n(' ', missing));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_at_least_ten_wide_and_three_apart() {
        let text = align(&[
            "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE",
            "registry.example.com/app\tlatest\tab12cd34ef56\t2 minutes ago\t4.43MB",
        ]);
        insta::assert_snapshot!(text, @r"
        REPOSITORY                 TAG       IMAGE ID       CREATED         SIZE
        registry.example.com/app   latest    ab12cd34ef56   2 minutes ago   4.43MB
        ");
    }

    #[test]
    fn widths_are_counted_in_characters() {
        assert_eq!(align(&["ä\tx", "aaaaaaaaaa\ty"]), "ä            x\naaaaaaaaaa   y\n");
    }
}
