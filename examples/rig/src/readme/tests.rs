//! The README is as the recordings say.

use super::recorded::Recorded;
use super::recording::root;
use super::{first_difference, rewrite};

const MARKERS: [&str; 3] = ["<!-- figures -->", "<!-- campaign -->", "<!-- processor -->"];

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

fn recorded() -> Recorded {
    Recorded::read(&root()).unwrap()
}

#[test]
fn the_tables_are_those_of_the_recordings() {
    let readme = readme();
    let difference = first_difference(&readme, &rewrite(&readme, &recorded()).unwrap());
    assert_eq!(difference, None, "`cargo rig readme` rewrites the tables");
}

#[test]
fn no_recording_is_missing() {
    let missing: Vec<String> = recorded().missing().iter().map(|recording| recording.command()).collect();
    assert!(missing.is_empty(), "`cargo rig readme --record` makes what is missing: {missing:?}");
}

/// In a copy of the README, the last digit of a line between the markers is another one.
#[test]
fn each_line_that_is_edited_is_found_and_mended() {
    let (readme, recorded) = (readme(), recorded());
    let mut edited_lines = 0;
    for marker in MARKERS {
        let begin = readme.find(marker).unwrap() + marker.len();
        let end = begin + readme[begin..].find("<!-- end -->").unwrap();
        let mut from = begin;
        for line in readme[begin..end].split_inclusive('\n') {
            let line_from = from;
            from += line.len();
            let Some(digit) = line.rfind(|letter: char| letter.is_ascii_digit()) else { continue };
            let mut edited = readme.clone();
            let at = line_from + digit;
            let other = if &readme[at..=at] == "9" { "8" } else { "9" };
            edited.replace_range(at..=at, other);
            let mended = rewrite(&edited, &recorded).unwrap();
            let difference = first_difference(&edited, &mended).unwrap();
            let number = readme[..line_from].lines().count() + 1;
            assert!(difference.starts_with(&format!("line {number} on:")), "{difference}");
            assert_eq!(mended, readme);
            edited_lines += 1;
        }
    }
    assert!(edited_lines >= 12, "{edited_lines}"); // there are as many figures
}

#[test]
fn a_missing_recording_is_told_in_the_tables() {
    let text = MARKERS.map(|marker| format!("{marker}<!-- end -->")).concat();
    let tables = rewrite(&text, &Recorded::default()).unwrap();
    for name in ["failover", "campaign", "seu-registers"] {
        assert!(
            tables.contains(&format!("**not recorded**: `examples/rig/recorded/{name}.json` is missing")),
            "{tables}"
        );
    }
}

#[test]
fn a_missing_marker_is_named() {
    let error = rewrite("<!-- figures --> <!-- end -->", &Recorded::default()).unwrap_err();
    assert_eq!(format!("{error:#}"), "README.md: the marker `<!-- campaign -->` is missing");
}

#[test]
fn a_difference_is_shown_with_its_line() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n").unwrap(), "line 2 on:\n  it is      b\n  recorded   c");
    assert_eq!(first_difference("a\n", "a\nb\n").unwrap(), "line 2 on:\n  it is      (its end)\n  recorded   b");
    assert_eq!(first_difference("a\r\n", "a\n").unwrap(), "the end of a line on");
}
