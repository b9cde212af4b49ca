//! What was found of a program that is not pure.

use crate::ids::Cycle;
use core::fmt::{self, Display, Formatter};
use std::string::String;

/// A program that is not a pure function of cycle, state and inputs, and how that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impurity {
    /// The cycle in which it was seen; 0 for `init`.
    pub cycle: Cycle,
    /// The function that was called.
    pub suspect: Suspect,
    /// The call in which it was seen.
    pub seen_in: SeenIn,
    /// What was seen.
    pub symptom: Symptom,
}

/// A function of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// [`Program::init`](crate::Program::init).
    Init,
    /// [`Program::agree`](crate::Program::agree).
    Agree,
    /// [`Program::step`](crate::Program::step).
    Step,
}

/// Which of the calls that should be the same it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenIn {
    /// The first run. There is nothing to compare it with: the program panicked, or it made a value without an encoding.
    FirstRun,
    /// The second run, in the thread of the first one.
    SecondRun,
    /// A call of the second run that is repeated at once, as a pair does whose votes differ.
    Repetition,
    /// A run in a new thread.
    NewThread,
}

/// What was seen. `first` is what the first run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Symptom {
    /// A byte of the state differs.
    State {
        /// The block of 64 bytes.
        block: usize,
        /// The byte in that block.
        byte_in_block: usize,
        /// The byte in the state.
        byte: usize,
        /// Its value in the first run.
        first: u8,
        /// Its value now.
        again: u8,
    },
    /// A field of the agreed input or of the output differs.
    Field {
        /// Where it is: `torque`, `lamp.0`. Empty if the value has no fields.
        path: String,
        /// Its value in the first run. Of an enum that is the name of the variant, of a list the length.
        first: String,
        /// Its value now.
        again: String,
    },
    /// A canonical byte of the agreed input or of the output differs, though no field does.
    Encoding {
        /// The byte in the encoding.
        byte: usize,
        /// Its value in the first run; `None` past the end.
        first: Option<u8>,
        /// Its value now.
        again: Option<u8>,
    },
    /// [`Agreement::discrepancy`](crate::Agreement::discrepancy) differs.
    Discrepancy {
        /// Its value in the first run.
        first: bool,
    },
    /// The program panicked.
    Panicked {
        /// The message of the panic.
        message: String,
        /// The source file; empty if it is not known.
        file: String,
        /// The line in that file.
        line: u32,
    },
    /// An input or an output cannot be encoded by postcard, or not be decoded again.
    NoEncoding,
}

impl Display for Suspect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Init => "init",
            Self::Agree => "agree",
            Self::Step => "step",
        })
    }
}

impl Suspect {
    fn arguments(self) -> &'static str {
        match self {
            Self::Init => "zeroed memory",
            Self::Agree => "samples",
            Self::Step => "cycle, state and input",
        }
    }

    fn result(self) -> &'static str {
        match self {
            Self::Init => "the state",
            Self::Agree => "the agreed input",
            Self::Step => "the output",
        }
    }
}

impl SeenIn {
    fn place(self) -> &'static str {
        match self {
            Self::FirstRun => "in the first run",
            Self::SecondRun => "in the second run",
            Self::Repetition => "in a second call right after",
            Self::NewThread => "in a new thread",
        }
    }

    fn causes(self) -> &'static str {
        match self {
            Self::FirstRun => "",
            Self::SecondRun | Self::Repetition => {
                "a static or a thread local, the address of a value, the order of a HashMap, a clock"
            }
            Self::NewThread => "a thread local, the address of a value, the order of a HashMap, a clock",
        }
    }
}

impl Display for Impurity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cycle, suspect, seen_in, symptom } = self;
        let place = seen_in.place();
        write!(f, "suspect the program: ")?;
        match symptom {
            Symptom::Panicked { message, file, line } => {
                write!(f, "`{suspect}` panicked in cycle {cycle}, {place}: {message}")?;
                if !file.is_empty() {
                    write!(f, " ({file}:{line})")?;
                }
            }
            Symptom::NoEncoding => {
                let what = if *suspect == Suspect::Agree { "a sample or the agreed input" } else { suspect.result() };
                write!(f, "{what} of cycle {cycle} cannot be encoded by postcard, or not be decoded again")?;
            }
            Symptom::State { .. } | Symptom::Field { .. } | Symptom::Encoding { .. } | Symptom::Discrepancy { .. } => {
                write!(f, "`{suspect}` is not pure. In cycle {cycle} ")?;
                self.difference(f)?;
                write!(f, " {place}, though {} were the same. ", suspect.arguments())?;
                write!(f, "Usual causes: {}.", seen_in.causes())?;
            }
        }
        Ok(())
    }
}

impl Impurity {
    /// Tells what differs.
    fn difference(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let result = self.suspect.result();
        match &self.symptom {
            Symptom::State { block, byte_in_block, byte, first, again } => {
                write!(f, "byte {byte} of the state (byte {byte_in_block} of block {block}) ")?;
                write!(f, "was {first:#04x} at first, and {again:#04x}")
            }
            Symptom::Field { path, first, again } if path.is_empty() => {
                write!(f, "{result} was {first} at first, and {again}")
            }
            Symptom::Field { path, first, again } => {
                write!(f, "`{path}` of {result} was {first} at first, and {again}")
            }
            Symptom::Encoding { byte, first, again } => {
                write!(f, "byte {byte} of the encoding of {result} was {} at first, and ", Byte(*first))?;
                write!(f, "{}", Byte(*again))
            }
            Symptom::Discrepancy { first } => write!(f, "the discrepancy was {first} at first, and {}", !first),
            Symptom::Panicked { .. } | Symptom::NoEncoding => Ok(()),
        }
    }
}

/// A byte that may lie past the end.
struct Byte(Option<u8>);

impl Display for Byte {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(byte) => write!(f, "{byte:#04x}"),
            None => f.write_str("not there"),
        }
    }
}

impl core::error::Error for Impurity {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_message_says_what_to_look_for() {
        let impurity = |suspect, seen_in, symptom| Impurity { cycle: Cycle(5), suspect, seen_in, symptom }.to_string();
        let state = Symptom::State { block: 1, byte_in_block: 6, byte: 70, first: 3, again: 255 };
        assert_eq!(
            impurity(Suspect::Step, SeenIn::Repetition, state),
            "suspect the program: `step` is not pure. In cycle 5 byte 70 of the state (byte 6 of block 1) was 0x03 at \
             first, and 0xff in a second call right after, though cycle, state and input were the same. Usual causes: a \
             static or a thread local, the address of a value, the order of a HashMap, a clock."
        );
        let field = |path: &str| Symptom::Field { path: path.into(), first: "3".into(), again: "4".into() };
        assert_eq!(
            impurity(Suspect::Agree, SeenIn::NewThread, field("lamp.0")),
            "suspect the program: `agree` is not pure. In cycle 5 `lamp.0` of the agreed input was 3 at first, and 4 in a \
             new thread, though samples were the same. Usual causes: a thread local, the address of a value, the order of \
             a HashMap, a clock."
        );
        assert!(impurity(Suspect::Step, SeenIn::SecondRun, field("")).contains("In cycle 5 the output was 3 at first"));
        let panicked = |file: &str| Symptom::Panicked { message: "why".into(), file: file.into(), line: 9 };
        assert_eq!(
            impurity(Suspect::Step, SeenIn::FirstRun, panicked("a.rs")),
            "suspect the program: `step` panicked in cycle 5, in the first run: why (a.rs:9)"
        );
        assert!(impurity(Suspect::Step, SeenIn::FirstRun, panicked("")).ends_with("in the first run: why"));
        let encoding = Symptom::Encoding { byte: 2, first: Some(1), again: None };
        let text = impurity(Suspect::Step, SeenIn::SecondRun, encoding);
        assert!(text.contains("byte 2 of the encoding of the output was 0x01 at first, and not there in"), "{text}");
        let text = impurity(Suspect::Agree, SeenIn::SecondRun, Symptom::Discrepancy { first: true });
        assert!(text.contains("the discrepancy was true at first, and false in"), "{text}");
    }
}
