//! A `Release` comes from a verdict and from nowhere else.

use twinstep::Release;

fn make() -> Release<'static, u8> {
    Release([None, None])
}

fn main() {
    let _ = make();
}
