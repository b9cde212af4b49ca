//! A program of what compilers and processors are most likely to do differently: floats in software or hardware, wide
//! products and quotients, shifts, narrowing. Sums, products and quotients of floats are exact to the last bit
//! everywhere (IEEE 754); roots, sines and fused products are not in it.

use twinstep::{Agreement, Cycle, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) struct Arithmetic;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub(crate) struct Numbers {
    wide: i64,
    double: f64,
    log: [u32; 60],
    single: f32,
    narrow: i16,
    bytes: [u8; 2],
}

impl Program for Arithmetic {
    type Input = u32;
    type Output = (f32, i16, Option<u64>);
    type State = Numbers;
    const SAFE: Self::Output = (0.0, 0, None);
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::build_of!("arithmetic.rs");

    fn init(state: &mut Numbers) {
        (state.double, state.single) = (1.0, 1.0);
    }

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(a ^ b)
    }

    fn step(cycle: Cycle, state: &mut Tracked<Numbers>, input: &u32) -> Self::Output {
        let draw = (*input).rotate_left(cycle.0 % 32) ^ 0x5EED_0000;
        let signed = draw.cast_signed();
        state.update(|s| &s.single, |x| (x * 0.75 + signed as f32 / 3.0e6) / 1.5);
        state.update(|s| &s.double, |x| (x - f64::from(signed) * 1.0e-7) / 1.0625 + f64::from(draw % 1_000) * 0.1);
        state.update(
            |s| &s.wide,
            |x| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i64::from(signed)) / 3 % 999_999_937,
        );
        state.update(|s| &s.narrow, |x| x.wrapping_mul(31).wrapping_add(signed as i16) >> 1);
        let (single, double, wide) = (state.single, state.double, state.wide);
        let mixed = (double as i32).cast_unsigned()
            ^ (single * 1_000.0) as u32
            ^ (wide.unsigned_abs().leading_zeros() << (draw % 20));
        state.try_update(|s| s.log.get(cycle.0 as usize % 60), |x| x.rotate_right(5) ^ mixed);
        state.update(|s| &s.bytes, |[a, b]| [b.wrapping_add(draw as u8), a ^ mixed as u8]);
        #[cfg(feature = "incongruent")]
        state.update(|s| &s.wide, |x| x.wrapping_add(usize::BITS.into()));
        let wide = (!draw.is_multiple_of(3)).then_some(wide.unsigned_abs());
        (single, state.narrow, wide)
    }
}
