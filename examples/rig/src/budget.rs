//! The budgets: for each figure that the library promises a ceiling, above which CI fails, a limit and an aim. They stand in
//! `budgets.csv`, for people to read and to lower.

use crate::scenario::{Claim, claim};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The rows of the file.
pub(crate) struct Budgets(Vec<Row>);

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

/// One figure's budget.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Row {
    /// The subcommand that finds the figure.
    command: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    bound: Bound,
    /// What CI holds the figure to: today's, and a little room for another compiler.
    pub(crate) ceiling: f64,
    /// What has to be reached, and what is hoped for.
    pub(crate) limit: Option<f64>,
    pub(crate) aim: Option<f64>,
}

impl Budgets {
    /// Returns the rows of a subcommand.
    pub(crate) fn of(command: &str) -> Result<Self> {
        let all = parse(include_str!("../budgets.csv"))?;
        Ok(Self(all.into_iter().filter(|row| row.command == command).collect()))
    }

    /// Returns a row.
    pub(crate) fn row(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.name == name)
    }

    /// Holds each figure to its ceiling. A row without a figure fails, and so does a figure without a row: a budget that
    /// nobody measures is a wish.
    pub(crate) fn claims(&self, figures: &[(String, f64)]) -> Vec<Claim> {
        let of_rows = self.0.iter().map(|row| {
            let figure = figures.iter().find(|(name, _)| *name == row.name).map(|(_, figure)| *figure);
            let (word, holds) = match row.bound {
                Bound::AtMost => ("at most", figure.is_some_and(|figure| figure <= row.ceiling)),
                Bound::AtLeast => ("at least", figure.is_some_and(|figure| figure >= row.ceiling)),
            };
            let found = figure.map_or("not measured".to_owned(), shown);
            claim(format!("{}: {word} {} {} ({found})", row.name, shown(row.ceiling), row.unit), holds)
        });
        let unknown = figures.iter().filter(|(name, _)| self.row(name).is_none());
        of_rows.chain(unknown.map(|(name, _)| claim(format!("{name} has a budget"), false))).collect()
    }

    /// Draws the figures beside their budgets.
    pub(crate) fn table(&self, figures: &[(String, f64)]) -> String {
        let mut table = line("", ["figure", "ceiling", "limit", "aim", ""].map(str::to_owned));
        for row in &self.0 {
            let figure = figures.iter().find(|(name, _)| *name == row.name).map(|(_, figure)| shown(*figure));
            let optional = |value: Option<f64>| value.map_or(String::new(), shown);
            table += &line(
                &row.name,
                [
                    figure.unwrap_or_default(),
                    shown(row.ceiling),
                    optional(row.limit),
                    optional(row.aim),
                    row.unit.clone(),
                ],
            );
        }
        table
    }
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let rows: Vec<Row> =
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect::<Result<_, _>>().context("budgets.csv")?;
    for (at, row) in rows.iter().enumerate() {
        let is_repeated = rows.iter().take(at).any(|other| (&other.command, &other.name) == (&row.command, &row.name));
        ensure!(!is_repeated, "budgets.csv has `{}` twice", row.name);
    }
    Ok(rows)
}

fn line(name: &str, [figure, ceiling, limit, aim, unit]: [String; 5]) -> String {
    let text = format!("{name:44} {figure:>9} {ceiling:>9} {limit:>9} {aim:>9}  {unit}");
    format!("{}\n", text.trim_end())
}

/// Writes a figure with one digit behind the point, if it has any.
fn shown(figure: f64) -> String {
    if figure.fract() == 0.0 { format!("{figure:.0}") } else { format!("{figure:.1}") }
}

#[cfg(test)]
mod tests {
    use super::{Budgets, parse};

    const TEXT: &str = "command,name,unit,bound,ceiling,limit,aim\n\
                        size,flash,B,at_most,100,120,50\n\
                        size,ratio,times,at_least,20.5,,\n";

    fn held(figures: &[(&str, f64)]) -> Vec<bool> {
        let figures: Vec<_> = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        Budgets(parse(TEXT).unwrap()).claims(&figures).into_iter().map(|claim| claim.held).collect()
    }

    #[test]
    fn each_figure_is_held_to_its_ceiling() {
        assert_eq!(held(&[("flash", 100.0), ("ratio", 20.5)]), [true, true]);
        assert_eq!(held(&[("flash", 101.0), ("ratio", 20.5)]), [false, true]);
        assert_eq!(held(&[("flash", 100.0), ("ratio", 20.4)]), [true, false]);
    }

    #[test]
    fn what_is_not_measured_and_what_has_no_budget_fail() {
        assert_eq!(held(&[("flash", 1.0)]), [true, false]);
        assert_eq!(held(&[("flash", 1.0), ("ratio", 30.0), ("other", 1.0)]), [true, true, false]);
    }

    #[test]
    fn a_row_stands_once() {
        let row = TEXT.lines().nth(1).unwrap();
        assert!(parse(&format!("{TEXT}{row}\n")).is_err());
        assert!(parse("command,name\nsize,flash\n").is_err());
    }

    #[test]
    fn the_committed_file_is_in_order() {
        let rows = parse(include_str!("../budgets.csv")).unwrap();
        assert!(rows.iter().all(|row| ["size", "measure"].contains(&row.command.as_str())));
        assert!(Budgets::of("size").unwrap().row("deepest stack, duplex").is_some());
    }
}
