//! A `Voted` is opened once.

use twinstep::Voted;

fn twice(voted: Voted<'_, u8>) {
    let _ = voted.open();
    let _ = voted.open();
}

fn main() {
    let _ = twice;
}
