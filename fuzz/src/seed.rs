//! Values as the bytes that `Arbitrary` decodes into them: the inverse of its derive macro, which has none.
//!
//! Should the decoding change with a release of `arbitrary`, the test of the corpus says so.

/// Writes the bytes that are decoded into this value.
pub trait Seed {
    /// Appends them.
    fn write(&self, bytes: &mut Vec<u8>);
}

impl Seed for u8 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }
}

impl Seed for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }
}

impl Seed for u16 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }
}

/// A list to the end of the bytes: before each element a byte says that there is one.
impl<T: Seed> Seed for Vec<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        for element in self {
            true.write(bytes);
            element.write(bytes);
        }
    }
}

/// Appends the choice of a variant: the range of a `u32` is divided evenly among them.
pub fn choose(variant: &str, variants: &[&str], bytes: &mut Vec<u8>) {
    let index = variants.iter().position(|other| *other == variant).unwrap_or_default() as u64;
    let lowest = (index << 32).div_ceil(variants.len() as u64);
    bytes.extend((lowest as u32).to_le_bytes());
}

/// Defines an enum that is decoded by `Arbitrary` and written by [`Seed`]: a variant is one line.
#[macro_export]
macro_rules! seeded {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$about:meta])* $variant:ident $({ $($field:ident: $kind:ty),* })?,)*
    }) => {
        $(#[$meta])*
        #[derive(arbitrary::Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant $({ $(#[allow(missing_docs)] $field: $kind),* })?,)*
        }

        impl $crate::seed::Seed for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                const VARIANTS: &[&str] = &[$(stringify!($variant)),*];
                match self {
                    $(Self::$variant $({ $($field),* })? => {
                        $crate::seed::choose(stringify!($variant), VARIANTS, bytes);
                        $($($crate::seed::Seed::write($field, bytes);)*)?
                    })*
                }
            }
        }
    };
}
