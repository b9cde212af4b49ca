//! Tables and numbers in Markdown.

/// A column's heading, and whether it has numbers.
pub(super) enum Column {
    Text(String),
    Number(String),
}

/// Draws a table.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let headings = columns.iter().map(|column| match column {
        Column::Text(heading) | Column::Number(heading) => heading.clone(),
    });
    let rules = columns.iter().map(|column| if let Column::Text(_) = column { "---" } else { "---:" });
    let mut table = line(headings) + &format!("|{}|\n", rules.collect::<Vec<_>>().join("|"));
    table.extend(rows.iter().map(|row| line(row.iter().cloned())));
    table
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Returns a number with its thousands apart.
pub(super) fn number(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut apart = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// Returns a count, or a dash if there is none.
pub(super) fn count(count: impl Into<u64>) -> String {
    let count = count.into();
    if count == 0 { "–".into() } else { number(count) }
}

#[cfg(test)]
mod tests {
    use super::{Column, count, number, table};

    #[test]
    fn a_table_has_a_line_for_its_headings_and_each_row() {
        let columns = [Column::Text("what".into()), Column::Number("how many".into())];
        let rows = [vec!["a|b".into(), "1".into()], vec!["c".into(), "2".into()]];
        assert_eq!(table(&columns, &rows), "| what | how many |\n|---|---:|\n| a\\|b | 1 |\n| c | 2 |\n");
    }

    #[test]
    fn thousands_are_apart() {
        let numbers = [0, 7, 999, 1_000, 11_253_210].map(|n: u64| number(n));
        assert_eq!(numbers, ["0", "7", "999", "1,000", "11,253,210"]);
        assert_eq!([count(0_u32), count(1_234_u32)], ["–", "1,234"]);
    }
}
