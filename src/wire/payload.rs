//! How payloads of this library are laid out: numbers one behind the other, without padding, and in some a rest of bytes.

use super::Reject;
use crate::bytes::copy;
use crate::ids::Epoch;

/// A payload of this library's own: of a fixed layout, or of one that ends in as many bytes as there are.
pub trait Payload<'b>: Sized {
    /// Takes a payload apart.
    ///
    /// # Errors
    /// [`Reject::Payload`] if it has not the bytes of the layout or a number that means nothing,
    /// [`Reject::Unsupported`] if it asks for what this version does not do.
    fn parse(bytes: &'b [u8]) -> Result<Self, Reject>;

    /// Returns how many bytes it takes.
    fn payload_bytes(&self) -> usize;

    /// Writes it into `room`, which has as many bytes as it takes; `None` if it has not.
    fn write(&self, room: &mut [u8]) -> Option<()>;
}

/// A number as it stands in a payload, little-endian.
pub(super) trait Field: Sized {
    const BYTES: usize;
    /// Takes it off the front of `bytes`.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
    /// Puts it in the front of `room`, and takes that off.
    fn put(&self, room: &mut &mut [u8]) -> Option<()>;
}

fn take<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (front, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(front)
}

fn put<const N: usize>(room: &mut &mut [u8], value: [u8; N]) -> Option<()> {
    let (front, rest) = core::mem::take(room).split_first_chunk_mut()?;
    (*front, *room) = (value, rest);
    Some(())
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            const BYTES: usize = size_of::<Self>();
            #[inline]
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                take(bytes).map(|bytes| Self::from_le_bytes(*bytes))
            }
            #[inline]
            fn put(&self, room: &mut &mut [u8]) -> Option<()> {
                put(room, self.to_le_bytes())
            }
        }
    )*};
}

numbers!(u8, u16, i16, u32);

impl Field for bool {
    const BYTES: usize = 1;
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        match u8::take(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn put(&self, room: &mut &mut [u8]) -> Option<()> {
        u8::from(*self).put(room)
    }
}

impl Field for Epoch {
    const BYTES: usize = 4;
    #[inline]
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        u32::take(bytes).map(Self::from_bits)
    }
    #[inline]
    fn put(&self, room: &mut &mut [u8]) -> Option<()> {
        self.bits().put(room)
    }
}

impl<const N: usize> Field for [u8; N] {
    const BYTES: usize = N;
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        take(bytes).copied()
    }
    fn put(&self, room: &mut &mut [u8]) -> Option<()> {
        put(room, *self)
    }
}

/// Puts the rest of a payload behind its numbers.
pub(super) fn put_rest(room: &mut [u8], rest: &[u8]) -> Option<()> {
    (room.len() == rest.len()).then(|| copy(room, rest))
}

/// Lays a struct out: its numbers in this order; then, if one is named behind a semicolon, a rest of bytes.
macro_rules! fixed_layout {
    ($name:ident { $($field:ident: $number:ty),+ $(,)? }) => {
        impl $name {
            /// Bytes that it takes.
            pub(crate) const BYTES: usize = 0 $(+ <$number as $crate::wire::payload::Field>::BYTES)+;
        }

        impl<'b> $crate::wire::Payload<'b> for $name {
            fn parse(bytes: &'b [u8]) -> Result<Self, $crate::wire::Reject> {
                let bytes: &[u8; Self::BYTES] = bytes.try_into().map_err(|_| $crate::wire::Reject::Payload)?;
                let mut bytes: &[u8] = bytes;
                let read = || Some(Self { $($field: <$number as $crate::wire::payload::Field>::take(&mut bytes)?),+ });
                $crate::wire::payload::called(read).ok_or($crate::wire::Reject::Payload)
            }

            fn payload_bytes(&self) -> usize {
                Self::BYTES
            }

            fn write(&self, room: &mut [u8]) -> Option<()> {
                let room: &mut [u8; Self::BYTES] = room.try_into().ok()?;
                let mut room: &mut [u8] = room;
                $($crate::wire::payload::Field::put(&self.$field, &mut room)?;)+
                Some(())
            }
        }
    };
    ($name:ident { $($field:ident: $number:ty),+ $(,)?; $rest:ident }) => {
        impl $name<'_> {
            /// Bytes that it takes beside its rest.
            pub(crate) const BYTES: usize = 0 $(+ <$number as $crate::wire::payload::Field>::BYTES)+;
        }

        impl<'b> $crate::wire::Payload<'b> for $name<'b> {
            fn parse(bytes: &'b [u8]) -> Result<Self, $crate::wire::Reject> {
                let mut bytes = bytes;
                let read = || Some(Self {
                    $($field: <$number as $crate::wire::payload::Field>::take(&mut bytes)?,)+
                    $rest: bytes,
                });
                $crate::wire::payload::called(read).ok_or($crate::wire::Reject::Payload)
            }

            fn payload_bytes(&self) -> usize {
                Self::BYTES + self.$rest.len()
            }

            fn write(&self, room: &mut [u8]) -> Option<()> {
                let mut room = room;
                $($crate::wire::payload::Field::put(&self.$field, &mut room)?;)+
                $crate::wire::payload::put_rest(room, self.$rest)
            }
        }
    };
}
pub(super) use fixed_layout;

/// Calls a function in which `?` ends no more than itself.
#[inline]
pub(super) fn called<T>(function: impl FnOnce() -> Option<T>) -> Option<T> {
    function()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Numbers {
        a: u8,
        b: u16,
        c: u32,
        d: i16,
        e: bool,
        f: [u8; 2],
    }
    fixed_layout!(Numbers { a: u8, b: u16, c: u32, d: i16, e: bool, f: [u8; 2] });

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Ends<'b> {
        a: u16,
        rest: &'b [u8],
    }
    fixed_layout!(Ends { a: u16; rest });

    const NUMBERS: Numbers = Numbers { a: 1, b: 0x0302, c: 0x0706_0504, d: -2, e: true, f: [9, 10] };
    const BYTES: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 0xFE, 0xFF, 1, 9, 10];

    #[test]
    fn numbers_lie_one_behind_the_other_low_bytes_first() {
        let mut room = [0; 12];
        assert_eq!(NUMBERS.payload_bytes(), 12);
        assert_eq!((NUMBERS.write(&mut room), room), (Some(()), BYTES));
        assert_eq!(Numbers::parse(&BYTES), Ok(NUMBERS));
    }

    #[test]
    fn other_lengths_and_truths_are_refused() {
        let mut long = BYTES.to_vec();
        long.push(0);
        for bytes in [&BYTES[..11], &[], &long] {
            assert_eq!(Numbers::parse(bytes), Err(Reject::Payload));
        }
        let mut neither = BYTES;
        neither[9] = 2;
        assert_eq!(Numbers::parse(&neither), Err(Reject::Payload));
        assert_eq!((NUMBERS.write(&mut [0; 11]), NUMBERS.write(&mut [0; 13])), (None, None));
    }

    #[test]
    fn a_rest_has_what_is_left() {
        let ends = Ends { a: 7, rest: b"abc" };
        let mut room = [0; 5];
        assert_eq!((ends.payload_bytes(), ends.write(&mut room)), (5, Some(())));
        assert_eq!(Ends::parse(&room), Ok(ends));
        assert_eq!(Ends::parse(&room[..2]), Ok(Ends { a: 7, rest: &[] }));
        assert_eq!(Ends::parse(&room[..1]), Err(Reject::Payload));
        assert_eq!((ends.write(&mut [0; 4]), ends.write(&mut [0; 6])), (None, None));
    }
}
