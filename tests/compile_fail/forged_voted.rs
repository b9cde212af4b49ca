//! A `Voted` comes from the voter and from nowhere else.

#![allow(unreachable_code)]

use twinstep::Voted;

fn forge() -> Voted<'static, u8> {
    Voted { sealed: todo!(), lease: None }
}

fn main() {
    let _ = forge();
}
