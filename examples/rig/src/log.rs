//! The boards' defmt logs, decoded with the firmware's own strings.

use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, Table};

/// Decodes one board's log.
pub(crate) struct LogDecoder {
    table: Option<Table>,
    bytes: Vec<u8>,
}

impl LogDecoder {
    /// Reads the log strings out of the firmware image; an image without logs is fine.
    pub(crate) fn new(elf: &[u8]) -> Result<Self> {
        let table = Table::parse(elf).context("the firmware's log strings cannot be read")?;
        Ok(Self { table, bytes: Vec::new() })
    }

    /// Takes what the board logged.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the log as lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        let Some(table) = self.table else { return Vec::new() };
        let mut decoder = table.new_stream_decoder();
        decoder.received(&self.bytes);
        let mut lines = Vec::new();
        loop {
            match decoder.decode() {
                Ok(frame) => lines.push(frame.display(false).to_string()),
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {}
                Err(DecodeError::Malformed | DecodeError::UnexpectedEof) => return lines,
            }
        }
    }
}
