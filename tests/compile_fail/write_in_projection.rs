//! The projection that names a field cannot write behind the mirror's back.

use twinstep::Tracked;

fn step(state: &mut Tracked<'_, [u32; 4]>) {
    state.set(
        |all| {
            all[1] = 7;
            &all[0]
        },
        5,
    );
}

fn main() {
    let _ = step;
}
