//! A `Release` comes from a verdict and from nowhere else.

use twinstep::Release;

fn make() -> Release<'static, u8> {
    Release { voted: [None, None], is_out_of_service: false }
}

fn main() {
    let _ = make();
}
