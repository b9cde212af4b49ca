//! RULE  ready-made vote rules for the fields of an output.
//!
//! Exact voting needs no rule. Where two channels may rightly differ, a program says how
//! far in [`Program::vote`](crate::Program::vote):
//!
//! ```
//! use twinstep::rule;
//! # #[derive(Clone, Copy, PartialEq, Debug)] struct Drive { speed_rpm: i32, brake: bool }
//! fn vote(a: &Drive, b: &Drive) -> Option<Drive> {
//!     Some(Drive {
//!         speed_rpm: rule::within(a.speed_rpm, b.speed_rpm, 2)?,
//!         brake: a.brake | b.brake, // braking is the safe direction
//!     })
//! }
//! # let (a, b) = (Drive { speed_rpm: 100, brake: false }, Drive { speed_rpm: 101, brake: true });
//! assert_eq!(vote(&a, &b), Some(Drive { speed_rpm: 100, brake: true }));
//! # assert_eq!(vote(&a, &Drive { speed_rpm: 103, brake: true }), None);
//! ```

use bitflags::Flags;

/// Accepts two numbers at most `tolerance` apart and returns A's. Compared as numbers,
/// without overflow; NaN is within no tolerance of anything.
pub fn within<N: Number>(a: N, b: N, tolerance: N) -> Option<N> {
    a.is_within(b, tolerance).then_some(a)
}

/// Keeps the flags that both channels set: for flags whose safe value is 0.
#[must_use]
pub fn both<F: Flags>(a: F, b: F) -> F {
    a.intersection(b)
}

/// Keeps the flags that either channel set: for flags whose safe value is 1.
#[must_use]
pub fn either<F: Flags>(a: F, b: F) -> F {
    a.union(b)
}

/// A primitive number, as far as [`within`] needs it.
pub trait Number: Copy {
    /// Returns whether the distance of the two numbers is at most `tolerance`.
    fn is_within(self, other: Self, tolerance: Self) -> bool;
}

macro_rules! unsigned {
    ($($t:ty)*) => {$(impl Number for $t {
        fn is_within(self, other: Self, tolerance: Self) -> bool {
            self.abs_diff(other) <= tolerance
        }
    })*};
}
unsigned!(u8 u16 u32 u64);

macro_rules! signed {
    ($($t:ty)*) => {$(impl Number for $t {
        fn is_within(self, other: Self, tolerance: Self) -> bool {
            tolerance >= 0 && self.abs_diff(other) <= tolerance.unsigned_abs()
        }
    })*};
}
signed!(i8 i16 i32 i64);

macro_rules! float {
    ($($t:ty)*) => {$(impl Number for $t {
        fn is_within(self, other: Self, tolerance: Self) -> bool {
            // False for every NaN; the subtraction of equal infinities is one.
            self == other || (self - other).abs() <= tolerance
        }
    })*};
}
float!(f32 f64);

#[cfg(test)]
mod tests {
    use super::*;

    bitflags::bitflags! {
        #[derive(Clone, Copy, Debug, PartialEq)]
        struct Alarm: u8 { const HOT = 1; const DRY = 2; const DOOR = 4; }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        // As little-endian bytes 0x0100 sorts before 0x00FF.
        assert_eq!(within(0x00FF_u16, 0x0100, 1), Some(0x00FF));
        assert_eq!(within(i8::MIN, i8::MAX, i8::MAX), None);
        assert_eq!(within(-1_i32, 1, 2), Some(-1));
        assert_eq!(within(5_i32, 5, -1), None);
        assert_eq!(within(u64::MAX, 0, 1), None);
    }

    #[test]
    fn floats_fail_closed() {
        assert_eq!(within(1.0_f32, 1.5, 0.5), Some(1.0));
        assert_eq!(within(1.0_f32, 1.6, 0.5), None);
        assert_eq!(within(f32::NAN, f32::NAN, f32::INFINITY), None);
        assert_eq!(within(1.0_f32, 2.0, f32::NAN), None);
        assert_eq!(within(f64::INFINITY, f64::INFINITY, 0.0), Some(f64::INFINITY));
    }

    #[test]
    fn flags_take_the_direction_the_user_chose() {
        let (a, b) = (Alarm::HOT | Alarm::DRY, Alarm::DRY | Alarm::DOOR);
        assert_eq!(both(a, b), Alarm::DRY);
        assert_eq!(either(a, b), Alarm::all());
    }
}
