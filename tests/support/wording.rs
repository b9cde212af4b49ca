//! What the compiler says, without what differs between machines or moves with the lines of other files.

/// Of a case its lines and their numbers are kept, of other files of this repository and of dependencies the
/// lines, and of the standard library, whose source not everybody has, the name of the file.
pub fn plain(said: &str, cases: &str) -> String {
    let mut plain = String::new();
    let mut source = Source::Case;
    for line in said.lines() {
        let trimmed = line.trim_start();
        if LAST_WORDS.iter().any(|words| trimmed.starts_with(words)) {
            continue;
        }
        let line = if let Some((arrow, place)) = place(trimmed) {
            source = Source::of(place, cases);
            let place = if source == Source::Case { place.to_owned() } else { anywhere(place) };
            format!("  {arrow} {place}")
        } else if let Some((number, rest)) = gutter(trimmed) {
            let number = if source == Source::Case { number } else { "" };
            if source == Source::Rust {
                continue;
            }
            format!("{number:>2} |{rest}")
        } else if trimmed.starts_with("= ") {
            format!("   {trimmed}")
        } else {
            line.to_owned()
        };
        plain.push_str(line.trim_end());
        plain.push('\n');
    }
    format!("{}\n", plain.trim())
}

const LAST_WORDS: [&str; 3] = ["error: aborting due to", "For more information about", "Some errors have detailed"];

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Case,
    Other,
    Rust,
}

impl Source {
    fn of(place: &str, cases: &str) -> Self {
        if place.starts_with(cases) {
            Self::Case
        } else if anywhere(place).starts_with("$RUST") {
            Self::Rust
        } else {
            Self::Other
        }
    }
}

/// `--> file:line:column`
fn place(line: &str) -> Option<(&str, &str)> {
    let (arrow, place) = line.split_once(' ')?;
    ["-->", ":::"].contains(&arrow).then_some((arrow, place))
}

/// `12 | code`
fn gutter(line: &str) -> Option<(&str, &str)> {
    let (number, rest) = line.split_once('|')?;
    let number = number.trim_end();
    number.chars().all(|c| c.is_ascii_digit()).then_some((number, rest))
}

/// The file of a place, by a name that it has on every machine.
fn anywhere(place: &str) -> String {
    let is_number = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
    let parts: Vec<&str> = place.split(':').collect();
    let numbers = parts.iter().rev().take_while(|part| is_number(part)).count().min(2);
    let file = parts[..parts.len() - numbers].join(":").replace('\\', "/");
    if let Some((_, below)) = file.split_once("/library/").filter(|(above, _)| above.contains("rust")) {
        return format!("$RUST/{below}");
    }
    let Some((_, below)) = file.split_once("/registry/src/") else {
        return file;
    };
    let (_, below) = below.split_once('/').unwrap_or(("", below));
    let (package, path) = below.split_once('/').unwrap_or((below, ""));
    let (name, _) = package.rsplit_once('-').unwrap_or((package, ""));
    format!("$CARGO/{name}-$VERSION/{path}")
}

#[test]
fn what_differs_between_machines_is_left_out() {
    let said = "\
error[E0080]: evaluation panicked
    --> /rustc/59807616/library/core/src/panic.rs:62:8
     |
  62 | code
     |
     = note: failed here
    ::: src/memory.rs:1062:13
     |
1062 |     assert!(true);
     |     ------
  --> /home/me/.cargo/registry/src/index-1949/zerocopy-derive-0.8.63/src/lib.rs:64:1
  --> tests/cases/one.rs:7:13
  |
7 |  code

error: aborting due to 1 previous error
";
    let expected = "\
error[E0080]: evaluation panicked
  --> $RUST/core/src/panic.rs
   = note: failed here
  ::: src/memory.rs
   |
   |     assert!(true);
   |     ------
  --> $CARGO/zerocopy-derive-$VERSION/src/lib.rs
  --> tests/cases/one.rs:7:13
   |
 7 |  code
";
    assert_eq!(plain(said, "tests/cases/"), expected);
    assert_eq!(plain(expected, "tests/cases/"), expected, "once is enough");
}
