//! Panics that are caught and returned instead of printed.

use std::any::Any;
use std::borrow::ToOwned;
use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::string::String;
use std::sync::Once;

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    pub(super) message: String,
    /// The source file; empty if another panic hook has replaced the one of this module.
    pub(super) file: String,
    pub(super) line: u32,
}

impl Caught {
    /// Whether a file of this library panicked, and not the user's program. Where it is not known, it was the library.
    fn is_ours(&self) -> bool {
        self.file.is_empty() || self.file.starts_with(file!().trim_end_matches("sim/hush.rs"))
    }

    /// Returns what it said and where.
    pub(super) fn text(&self) -> String {
        std::format!("{}:{}: {}", self.file, self.line, self.message)
    }

    /// Returns what the user's program said; a panic of the library goes on.
    pub(super) fn of_program(&self) -> String {
        assert!(!self.is_ours(), "{}", self.text());
        self.text()
    }
}

std::thread_local! {
    static IS_CATCHING: Cell<bool> = const { Cell::new(false) };
    /// Where the latest panic was.
    static PLACE: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// Calls `f`, and returns its panic as an error. The panic is not printed. Panics of other threads are.
///
/// Catches nothing where panics abort.
pub(super) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Caught> {
    install_hook();
    PLACE.take();
    let was_catching = IS_CATCHING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    IS_CATCHING.set(was_catching);
    result.map_err(|payload| {
        let (file, line) = PLACE.take().unwrap_or_default();
        Caught { message: message_of(&*payload), file, line }
    })
}

/// Puts a hook before the present one, once for the process.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that ends has no thread locals left, and catches nothing.
            if !IS_CATCHING.try_with(Cell::get).unwrap_or(false) {
                return previous(info);
            }
            PLACE.set(info.location().map(|place| (place.file().to_owned(), place.line())));
        }));
    });
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message_and_place() {
        assert_eq!(catch(|| 7), Ok(7));
        let line = line!() + 1;
        let caught = catch(|| panic!("of {}", "text")).unwrap_err();
        assert_eq!(caught, Caught { message: "of text".into(), file: file!().into(), line });
        assert_eq!(catch(|| panic!("plain")).unwrap_err().message, "plain");
        assert_eq!(catch(|| panic::panic_any(7)).unwrap_err().message, "a panic without a message");
    }

    #[test]
    fn an_inner_catch_leaves_the_outer_one_in_place() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            assert!(IS_CATCHING.get(), "after {}", inner.message);
            panic!("outer")
        });
        assert_eq!(outer.unwrap_err().message, "outer");
        assert!(!IS_CATCHING.get());
    }
}
