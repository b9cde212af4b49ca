//! A campaign as a JUnit report: a case for each class of faults, one for each claim, and one for each control.

use super::fault::{Class, Promise};
use super::results::{Results, ResultsError};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::format;
use std::path::Path;
use std::prelude::v1::*;

/// Writes the report to `path`, over what is there.
///
/// # Errors
/// [`ResultsError::File`] with the reason.
pub fn write(results: &Results, path: &Path) -> Result<(), ResultsError> {
    let of_file = |why: String| ResultsError::File(path.to_owned(), why);
    let xml = xml(results).map_err(of_file)?;
    std::fs::write(path, xml).map_err(|error| of_file(error.to_string()))
}

/// Returns the report.
///
/// # Errors
/// A text, if a name cannot be written.
pub fn xml(results: &Results) -> Result<String, String> {
    let mut report = Report::new(results.title());
    report.add_test_suite(classes(results));
    report.add_test_suite(claims(results));
    if !results.controls.is_empty() {
        report.add_test_suite(controls(results));
    }
    report.to_string().map_err(|error| error.to_string())
}

fn case(name: &str, failure: Option<String>) -> TestCase {
    let status = match failure {
        None => TestCaseStatus::success(),
        Some(message) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message);
            status
        }
    };
    TestCase::new(name, status)
}

fn classes(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("classes of faults");
    for class in &Class::ALL {
        let row = results.tally.row(class);
        let is_left_out = results.without.contains(class.name) || results.absent.contains(class.name);
        let mut case = if is_left_out || row.injected == 0 {
            TestCase::new(class.name, TestCaseStatus::skipped())
        } else {
            let harm = row.outcomes.iter().filter(|(outcome, _)| !class.promise.is_kept_by(**outcome, false));
            let mut harm: Vec<String> = harm.map(|(outcome, count)| format!("{count} {}", outcome.name())).collect();
            if matches!(class.promise, Promise::InTime | Promise::ServesUndiverged) && row.diverged > 0 {
                harm.push(format!("{} taken for value faults", row.diverged));
            }
            case(class.name, (!harm.is_empty()).then(|| harm.join(", ")))
        };
        let outcomes = row.outcomes.iter().map(|(outcome, count)| format!("{}: {count}\n", outcome.name()));
        case.set_system_out(format!("injected: {}\n{}", row.injected, outcomes.collect::<String>()));
        suite.add_test_case(case);
    }
    let replays = results.tally.broken.iter().map(|index| results.replay(*index) + "\n");
    suite.set_system_out(replays.collect::<String>());
    suite
}

fn claims(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("claims");
    for claim in results.claims() {
        suite.add_test_case(case(&claim.claim, (!claim.held).then(|| "it did not hold".to_owned())));
    }
    suite
}

fn controls(results: &Results) -> TestSuite {
    let mut suite = TestSuite::new("controls");
    for (mechanism, failed) in &results.controls {
        let unmissed = failed.is_empty().then(|| "with this mechanism off every claim held".to_owned());
        suite.add_test_case(case(&format!("{mechanism} off"), unmissed));
    }
    suite
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Plan, Shard};
    use super::super::without::Without;
    use super::*;
    use crate::sim::campaign::{Outcome, Row, Tally};

    fn results(outcome: Outcome) -> Results {
        let plan =
            Plan { seed: 3, cycles: 1, shard: Shard::WHOLE, off: None, without: Without::NOTHING, episode_cycles: 500 };
        let mut tally = Tally::default();
        let row = Row { injected: 2, outcomes: [(outcome, 2)].into(), ..Row::default() };
        tally.classes.insert("crash".to_owned(), row);
        let mut results = Results::new(&plan, "a < b", tally);
        results.controls.insert("vote".to_owned(), Vec::new());
        results
    }

    #[test]
    fn a_class_is_a_case_and_a_broken_promise_a_failure() {
        let good = xml(&results(Outcome::Excluded)).unwrap_or_default();
        assert!(good.contains("campaign of a &lt; b"), "{good}");
        let line = |xml: &str| xml.lines().find(|line| line.contains("name=\"crash\"")).unwrap_or_default().to_owned();
        assert!(line(&good).contains("<testcase"), "{good}");
        assert!(!good.contains("2 wrong"), "{good}");
        let bad = xml(&results(Outcome::Wrong)).unwrap_or_default();
        assert!(bad.contains("2 wrong"), "{bad}");
        assert!(good.contains("vote off") && good.contains("every claim held"), "{good}");
        assert_eq!(good.matches("<testcase").count(), 54 + results(Outcome::Wrong).claims().len() + 1);
    }
}
