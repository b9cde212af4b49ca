//! The lease cannot be taken off a real `Voted`.

use twinstep::Voted;

fn strip(voted: Voted<'_, u8>) -> Voted<'_, u8> {
    Voted { lease: None, ..voted }
}

fn main() {
    let _ = strip;
}
