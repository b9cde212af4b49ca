//! Classes that a campaign leaves out, by their names.
//!
//! Which class an injection is of, and its chance, do not depend on what is left out: all others are drawn as before.

use super::fault::Class;
use std::collections::BTreeSet;
use std::prelude::v1::*;

/// No class has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownClass(String);

impl core::fmt::Display for UnknownClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "no class of faults is named {:?}; the names are:", self.0)?;
        Class::ALL.iter().try_for_each(|class| write!(f, "\n  {}", class.name))
    }
}

impl core::error::Error for UnknownClass {}

/// Finds a class by its name; returns its place in [`Class::ALL`].
pub(super) fn named(text: &str) -> Result<usize, UnknownClass> {
    let is_named = |class: &Class| class.name.eq_ignore_ascii_case(text.trim());
    Class::ALL.iter().position(is_named).ok_or_else(|| UnknownClass(text.to_owned()))
}

/// The classes that are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Without([bool; Class::ALL.len()]);

impl Without {
    pub(super) const NOTHING: Self = Self([false; Class::ALL.len()]);

    /// Leaves out the classes at these places.
    #[cfg(test)]
    pub(super) fn classes(places: &[usize]) -> Self {
        let mut without = Self::NOTHING;
        for place in places {
            without.add(*place);
        }
        without
    }

    /// Leaves out this one, too.
    pub(super) fn add(&mut self, place: usize) {
        if let Some(is_left_out) = self.0.get_mut(place) {
            *is_left_out = true;
        }
    }

    /// Whether the class at this place is left out.
    pub(super) fn has(&self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or_default()
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        let left_out = Class::ALL.iter().zip(self.0).filter(|(_, is_left_out)| *is_left_out);
        left_out.map(|(class, _)| class.name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, Without, named};
    use std::prelude::v1::*;

    #[test]
    fn each_is_found_by_its_name() {
        for (place, class) in Class::ALL.iter().enumerate() {
            assert_eq!(named(class.name), Ok(place));
            assert_eq!(named(&class.name.to_uppercase()), Ok(place));
            assert_eq!(Without::classes(&[place]).names().into_iter().collect::<Vec<_>>(), [class.name]);
        }
    }

    #[test]
    fn an_unknown_one_is_told_the_known_ones() {
        let error = named("luck").unwrap_err().to_string();
        assert!(error.contains("\"luck\""), "{error}");
        assert!(Class::ALL.iter().all(|class| error.contains(class.name)), "{error}");
    }
}
