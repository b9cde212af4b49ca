//! Catches panics without a word on the screen, and says where they came from.

use std::cell::RefCell;
use std::format;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::prelude::v1::*;
use std::sync::Once;

/// A panic that was caught.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caught {
    /// What it said.
    pub(super) message: String,
    /// The source file that it names.
    pub(super) file: String,
    /// The line there.
    pub(super) line: u32,
}

impl Caught {
    /// Whether a file of this library panicked, and not the user's program.
    pub(super) fn is_ours(&self) -> bool {
        self.file.starts_with(file!().trim_end_matches("sim/hush.rs"))
    }
}

/// Ends the pair's run if the library itself panicked; returns what the user's program said otherwise.
pub(super) fn of_program(caught: &Caught) -> String {
    let what = format!("{}:{}: {}", caught.file, caught.line, caught.message);
    assert!(!caught.is_ours(), "{what}");
    what
}

thread_local! {
    /// What the hook has put there; `None` while panics are not caught here.
    static CAUGHT: RefCell<Option<Caught>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `what`; returns its result, or the panic that ended it. Other threads' panics are reported as ever.
pub(super) fn catch<T>(what: impl FnOnce() -> T) -> Result<T, Caught> {
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let is_caught = CAUGHT.with(|caught| {
                let mut caught = caught.borrow_mut();
                if let Some(caught) = caught.as_mut() {
                    let place = info.location();
                    caught.file = place.map(|place| place.file().to_owned()).unwrap_or_default();
                    caught.line = place.map(core::panic::Location::line).unwrap_or_default();
                    let said = info.payload();
                    let text =
                        said.downcast_ref::<&str>().copied().or(said.downcast_ref::<String>().map(String::as_str));
                    caught.message = text.unwrap_or("a panic without a text").to_owned();
                }
                caught.is_some()
            });
            if !is_caught {
                before(info);
            }
        }));
    });
    let outer = CAUGHT.with(|caught| caught.replace(Some(Caught::default())));
    let result = catch_unwind(AssertUnwindSafe(what));
    let caught = CAUGHT.with(|caught| caught.replace(outer)).unwrap_or_default();
    result.map_err(|_| caught)
}
