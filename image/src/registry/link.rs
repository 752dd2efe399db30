//! `Link`: where the next page of a list is (RFC 8288).

/// Returns the address of the link with `rel="next"`.
pub(super) fn next(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (address, after) = after.split_once('>')?;
        // Parameters go on to the next address.
        let (parameters, following) = after.split_once('<').unwrap_or((after, ""));
        if parameters.split([';', ',']).any(is_next) {
            return Some(address.trim());
        }
        rest = &after[after.len() - following.len() - usize::from(!following.is_empty())..];
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel")
        && value.split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_next_page_is_found() {
        for (text, expected) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            ("<x>; rel=next", Some("x")),
            (r#"<p>; rel="prev", <n>; title="a"; rel="next""#, Some("n")),
            (r#"<n>; rel="first NEXT""#, Some("n")),
            (r#"<p>; rel="prev""#, None),
            ("<n>", None),
            ("n; rel=next", None),
            ("<n; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[<>;,=\" a-z]{0,60}", odd in "\\PC{0,40}") {
            let _ = (next(&text), next(&odd));
        }
    }
}
