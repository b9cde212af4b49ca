//! Tables in a text, each between the comments `<!-- name -->` and `<!-- end -->`.

use anyhow::{Context, Result, ensure};

const END: &str = "<!-- end -->";

/// Returns the text with another content between the markers of a table.
pub(super) fn replace(text: &str, name: &str, content: &str) -> Result<String> {
    let begin = format!("<!-- {name} -->");
    let (before, rest) = text.split_once(&begin).with_context(|| format!("the marker `{begin}` is missing"))?;
    ensure!(!rest.contains(&begin), "the marker `{begin}` comes twice");
    let (old, after) = rest.split_once(END).with_context(|| format!("no `{END}` follows the marker `{begin}`"))?;
    ensure!(!old.contains("<!--"), "another marker follows `{begin}` before `{END}`");
    Ok(format!("{before}{begin}\n\n{}\n\n{END}{after}", content.trim_matches('\n')))
}

#[cfg(test)]
mod tests {
    use super::replace;

    const TEXT: &str = "head\n<!-- a -->\nold\n<!-- end -->\nbetween\n<!-- b --><!-- end -->\n";

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let once = replace(TEXT, "a", "new\n").unwrap();
        assert_eq!(once, "head\n<!-- a -->\n\nnew\n\n<!-- end -->\nbetween\n<!-- b --><!-- end -->\n");
        assert_eq!(replace(&once, "a", "new").unwrap(), once);
        let both = replace(&once, "b", "more").unwrap();
        assert!(both.ends_with("between\n<!-- b -->\n\nmore\n\n<!-- end -->\n"), "{both}");
    }

    #[test]
    fn a_marker_that_is_not_right_is_named() {
        let error = |text: &str| replace(text, "a", "new").unwrap_err().to_string();
        assert_eq!(error("head"), "the marker `<!-- a -->` is missing");
        assert_eq!(error("<!-- a --> <!-- a --> <!-- end -->"), "the marker `<!-- a -->` comes twice");
        assert_eq!(error("<!-- a -->"), "no `<!-- end -->` follows the marker `<!-- a -->`");
        let other = "another marker follows `<!-- a -->` before `<!-- end -->`";
        assert_eq!(error("<!-- a --> <!-- b --> <!-- end -->"), other);
    }
}
