//! Writes the committed corpus anew; files of findings beside it stay.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, name, bytes) in twinstep_fuzz::corpus::files() {
        fs::create_dir_all(folder.join(target))?;
        fs::write(folder.join(target).join(name), bytes)?;
    }
    Ok(())
}
