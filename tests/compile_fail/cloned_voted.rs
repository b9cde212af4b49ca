//! A `Voted` cannot be copied, to be opened again later.

use twinstep::Voted;

fn again(voted: Voted<'_, u8>) {
    let kept = voted.clone();
    let _ = kept.open();
    let _ = voted.open();
}

fn main() {
    let _ = again;
}
