//! The identity of a program's source.

use crate::digest::ValueDigest;

/// Identifies the source and the types of a program, so that two channels of one version whose sources differ do not pair.
///
/// It is not of the image: two cores of different instruction sets, and two compilers, run one program. By
/// [`build_of!`](crate::build_of) it is a digest of source files. By hand it is any number that changes with each change of the
/// program, such as the commit that a build script puts into an environment variable: `Build::of_text(env!("COMMIT"))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Build(u32);

impl Build {
    /// Returns the identity of this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Returns the identity of a text, such as a commit.
    pub const fn of_text(text: &str) -> Self {
        Self::of_source(&[text.as_bytes()])
    }

    /// Returns the identity of source files by their contents, in this order, and of the version of this library. Carriage
    /// returns do not count: they come and go with the way in which a source was checked out.
    pub const fn of_source(files: &[&[u8]]) -> Self {
        let mut digest = with_bytes(ValueDigest::new(), env!("CARGO_PKG_VERSION").as_bytes());
        let mut rest = files;
        while let [file, others @ ..] = rest {
            digest = with_bytes(digest, file);
            rest = others;
        }
        Self(digest.finish())
    }

    /// Returns it as it is sent.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Adds bytes in words, and their number.
const fn with_bytes(mut digest: ValueDigest, mut bytes: &[u8]) -> ValueDigest {
    let (mut word, mut count) = (0_u32, 0_u32);
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        if *byte == b'\r' {
            continue;
        }
        word = word << 8 | *byte as u32;
        count = count.wrapping_add(1);
        if count % 4 == 0 {
            digest = digest.with(word);
            word = 0;
        }
    }
    digest.with(word).with(count)
}

/// Returns the [`Build`] of source files, named relative to the file that names them: all that the program is written in.
///
/// ```ignore
/// const BUILD: Build = build_of!("controller.rs", "filter.rs");
/// ```
#[macro_export]
macro_rules! build_of {
    ($($file:literal),+ $(,)?) => {
        $crate::Build::of_source(&[$(include_bytes!($file) as &[u8]),+])
    };
}

#[cfg(test)]
mod tests {
    use super::Build;
    use std::collections::HashSet;

    #[test]
    fn a_source_that_differs_anywhere_is_another_one() {
        let source: &[u8] = b"fn step() {\n    1 + 2\n}\n";
        let mut seen = HashSet::new();
        assert!(seen.insert(Build::of_source(&[source])));
        for at in 0..source.len() {
            let mut other = source.to_vec();
            other[at] ^= 1;
            assert!(seen.insert(Build::of_source(&[&other])), "byte {at}");
            other.insert(at, b'_');
            assert!(seen.insert(Build::of_source(&[&other])), "one more before byte {at}");
        }
        assert!(seen.insert(Build::of_source(&[&source[..5], &source[5..]])), "two files");
        assert!(seen.insert(Build::of_source(&[&source[5..], &source[..5]])), "in another order");
        assert!(seen.insert(Build::of_text("fn")));
    }

    #[test]
    fn line_ends_do_not_count() {
        assert_eq!(Build::of_source(&[b"a\r\nb\r\n"]), Build::of_source(&[b"a\nb\n"]));
    }

    #[test]
    fn files_are_named_as_the_compiler_finds_them() {
        const OF_THIS: Build = crate::build_of!("build.rs");
        const OF_BOTH: Build = crate::build_of!("build.rs", "message.rs");
        assert_eq!(OF_THIS, Build::of_source(&[include_bytes!("build.rs")]));
        assert_ne!(OF_THIS, OF_BOTH);
    }
}
