//! The state is read through `Tracked`, and written through its calls only.

use twinstep::Tracked;

struct Plant {
    count: u32,
}

fn step(state: &mut Tracked<'_, Plant>) {
    let before = state.count;
    state.count = before + 1;
}

fn main() {
    let _ = step;
}
