//! Results as a file, and files added up.

use super::fault::Class;
use super::results::{Results, ResultsError};
use super::tally::{Row, never_seen_bound};
use serde_json::json;
use std::format;
use std::path::Path;
use std::prelude::v1::*;

impl Results {
    /// Reads shards and adds them up.
    ///
    /// # Errors
    /// [`ResultsError`] with the file's name.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, ResultsError> {
        let mut all: Option<Self> = None;
        for path in paths {
            let path = path.as_ref();
            let of_file = |why: String| ResultsError::File(path.to_owned(), why);
            let text = std::fs::read_to_string(path).map_err(|error| of_file(error.to_string()))?;
            let shard: Self = serde_json::from_str(&text).map_err(|error| of_file(error.to_string()))?;
            all = Some(match all {
                None => shard,
                Some(sum) => sum.merge(&shard).map_err(|error| of_file(error.to_string()))?,
            });
        }
        all.ok_or(ResultsError::Nothing)
    }

    /// Returns the results with all that follows from them.
    pub fn json(&self) -> String {
        let mut value = json!(self);
        let derived = |class: &Class| {
            let row: Row = self.tally.row(class);
            let [median, p99, max] = [50, 99, 100].map(|percent| row.latency(percent));
            let latency = json!({ "median": median, "p99": p99, "max": max });
            json!({ "class": class.name, "latency_cycles": latency, "never_seen_bound": never_seen_bound(row.injected) })
        };
        if let Some(value) = value.as_object_mut() {
            value.insert("injected".into(), json!(self.tally.injected()));
            value.insert("never_seen_bound".into(), json!(never_seen_bound(self.tally.injected())));
            value.insert("derived".into(), Class::ALL.iter().map(derived).collect());
            value.insert("passed".into(), json!(self.passed()));
            value.insert("claims".into(), json!(self.claims()));
        }
        format!("{value:#}\n")
    }

    /// Writes the results to a file, as [`read`](Self::read) reads them.
    ///
    /// # Errors
    /// [`ResultsError::File`].
    pub fn write(&self, path: &Path) -> Result<(), ResultsError> {
        std::fs::write(path, self.json()).map_err(|error| ResultsError::File(path.to_owned(), error.to_string()))
    }
}
