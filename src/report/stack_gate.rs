//! What the gate saw: a line per service, and the report of a stack that does not run.

use super::attention::of_service;
use super::table::colored;
use crate::shown::{printable, shorten, width};
use crate::slot::SlotId;
use crate::stack::gate::Gated;
use crate::stack::gate::patience::Verdict;
use crate::stack::gate::state::{Judged, Note, Prospect, ServiceState};

/// The most lines of a failure report.
const MOST_LINES: usize = 40;
/// The most lines that are shown of what a health check printed.
const HEALTH_LINES: usize = 3;
/// The most that one service prints in it.
const SERVICE_LINES: usize = 20;

/// Each service in a line: first those that are not ready. Shown again and again while the gate looks. A long
/// name leaves half of the columns to what the service does.
pub fn services(judged: &[Judged], columns: usize) -> Vec<String> {
    let names = judged.iter().map(|judged| width(&printable(&judged.service)));
    let name_columns = names.max().unwrap_or_default().min(columns / 2);
    let mut sorted: Vec<&Judged> = judged.iter().collect();
    sorted.sort_by_key(|judged| order(judged.prospect));
    sorted
        .into_iter()
        .map(|judged| {
            let name = shorten(&printable(&judged.service), name_columns);
            let space = " ".repeat(name_columns.saturating_sub(width(&name)));
            let room = (columns.max(20) - 1).saturating_sub(name_columns + 4);
            format!(
                "  {name}{space}  {}",
                colored(&shorten(&words(judged), room), of_service(judged.prospect))
            )
        })
        .collect()
}

/// The services whose state is another than before, each in a line.
pub fn changes(before: &[Judged], now: &[Judged]) -> Vec<String> {
    let was = |judged: &&Judged| !before.iter().any(|before| is_as(before, judged));
    now.iter()
        .filter(was)
        .map(|judged| format!("{}: {}", printable(&judged.service), colored_words(judged)))
        .collect()
}

/// Whether both are one container, or one that is missing, and in the same state. A restart more is no news.
fn is_as(one: &Judged, other: &Judged) -> bool {
    let note = |judged: &Judged| judged.note.clone().filter(|note| !matches!(note, Note::Restarted(_)));
    one.service == other.service
        && one.container == other.container
        && one.state == other.state
        && note(one) == note(other)
}

/// A state in words, in its colour.
pub(super) fn colored_words(judged: &Judged) -> String {
    colored(&words(judged), of_service(judged.prospect))
}

/// A state in words: `looping, exit 3, restarted 4 times`.
fn words(judged: &Judged) -> String {
    let Judged { service: _, container: _, state, prospect: _, exit_code, is_out_of_memory, health: _, note } =
        judged;
    let mut words = vec![state.to_string()];
    let exit = exit_code.filter(|code| *code != 0 || *state != ServiceState::Done);
    words.extend(exit.map(|code| format!("exit {code}")));
    words.extend(is_out_of_memory.then(|| "out of memory".to_owned()));
    words.extend(note.as_ref().map(|note| printable(&note.to_string())));
    words.join(", ")
}

/// The report of a stack that does not run: at most 40 lines, failures first.
pub fn failed(gated: &Gated, slot: SlotId) -> String {
    let mut failing = gated.failing();
    failing.sort_by_key(|judged| order(judged.prospect));
    let headline = match gated.verdict {
        Verdict::Runs => format!("slot {slot} runs"),
        Verdict::DoesNotRun => format!("error: the stack of slot {slot} does not run: {}", summary(&failing)),
        Verdict::NotInTime => {
            format!("error: the stack of slot {slot} is not ready in time: {}", summary(&failing))
        }
    };
    let Some(first) = failing.first() else { return format!("{headline}\n") };
    let logs = if failing.len() == 1 { first.service.as_str() } else { "--failing" };
    let help = format!("help: `kinfra logs {logs}` shows all of it, and `kinfra status` looks again");
    // The headline, the help, and a line for what is left out.
    let room = MOST_LINES - 3;
    let shown = failing.len().min(room);
    let share = (room / shown).saturating_sub(1).min(SERVICE_LINES + HEALTH_LINES);
    let mut lines = vec![headline];
    for judged in failing.iter().take(shown) {
        lines.push(format!("  {}: {}", printable(&judged.service), colored_words(judged)));
        let details = details(judged, gated);
        let last = details.iter().skip(details.len().saturating_sub(share));
        lines.extend(last.map(|line| format!("      {line}")));
    }
    lines.extend((shown < failing.len()).then(|| format!("  … {} more", failing.len() - shown)));
    lines.push(help);
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The worst first.
fn order(prospect: Prospect) -> u8 {
    match prospect {
        Prospect::Over => 0,
        Prospect::Stuck => 1,
        Prospect::OnItsWay => 2,
        Prospect::Ready => 3,
    }
}

/// What a service printed last, and then its health check.
fn details(judged: &Judged, gated: &Gated) -> Vec<String> {
    let name = judged.container.as_ref().map(|(name, _)| name);
    let printed = name.and_then(|name| gated.last_lines.get(name)).into_iter().flatten();
    let health: Vec<&str> = judged.health.lines().collect();
    let health = health.iter().skip(health.len().saturating_sub(HEALTH_LINES));
    printed
        .map(|line| printable(line))
        .chain(health.map(|line| format!("health check: {}", printable(line))))
        .collect()
}

/// The failing services in a few words: `worker looping, db unhealthy`.
fn summary(failing: &[&Judged]) -> String {
    const NAMED: usize = 3;
    let named =
        failing.iter().take(NAMED).map(|judged| format!("{} {}", printable(&judged.service), judged.state));
    let named: Vec<String> = named.collect();
    let more = failing.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn failing(service: &str, prospect: Prospect) -> Judged {
        Judged {
            service: service.to_owned(),
            container: Some((format!("shop-slot-1-{service}-1"), "id".to_owned())),
            state: if prospect == Prospect::Over { ServiceState::Failed } else { ServiceState::Unhealthy },
            prospect,
            exit_code: (prospect == Prospect::Over).then_some(137),
            is_out_of_memory: prospect == Prospect::Over,
            health: "first\nno response\u{1b}[31m".to_owned(),
            note: None,
        }
    }

    fn gated(services: Vec<Judged>) -> Gated {
        let lines = (1..=20).map(|line| format!("line {line}")).collect::<Vec<_>>();
        let names = services.iter().filter_map(|judged| judged.container.clone());
        let last_lines: BTreeMap<_, _> = names.map(|(name, _)| (name, lines.clone())).collect();
        Gated { services, verdict: Verdict::DoesNotRun, last_lines }
    }

    #[test]
    fn what_is_not_ready_comes_first_and_fits_the_columns() {
        let judged =
            [failing("cache", Prospect::Ready), failing("a-service-with-a-very-long-name", Prospect::Over)];
        for columns in [24, 60] {
            let lines = services(&judged, columns);
            let plain: Vec<String> =
                lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
            assert_eq!(plain.len(), 2);
            assert!(plain[0].starts_with("  a-serv") && plain[1].starts_with("  cache "), "{plain:?}");
            assert!(plain.iter().all(|line| width(line) < columns), "{columns}: {plain:?}");
        }
    }

    #[test]
    fn a_failure_report_has_the_worst_first_and_the_last_lines_in_full() {
        let (ready, young) = (failing("cache", Prospect::Ready), failing("api", Prospect::OnItsWay));
        let report = failed(
            &gated(vec![failing("db", Prospect::Stuck), ready, young, failing("web", Prospect::Over)]),
            SlotId::new(1).unwrap(),
        );
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(lines[0], "error: the stack of slot 1 does not run: web failed, db unhealthy");
        assert_eq!(lines[1], "  web: \u{1b}[31mfailed, exit 137, out of memory\u{1b}[39m");
        assert!(
            lines.contains(&"  db: \u{1b}[31munhealthy\u{1b}[39m") && lines.contains(&"      line 20"),
            "{report}"
        );
        assert!(report.contains("      health check: no response\\u{1b}[31m\n"), "{report}");
        assert!(
            report.ends_with(
                "help: `kinfra logs --failing` shows all of it, and `kinfra status` looks again\n"
            )
        );
        assert!(!report.contains("cache") && !report.contains("api"), "{report}");
        let one = failed(&gated(vec![failing("web", Prospect::Over)]), SlotId::new(1).unwrap());
        assert!(one.contains("      line 1\n") && one.contains("help: `kinfra logs web` "), "{one}");
    }

    #[test]
    fn a_summary_names_three_and_counts_the_others() {
        for (count, said) in [
            (1, "s1 unhealthy"),
            (3, "s1 unhealthy, s2 unhealthy, s3 unhealthy"),
            (5, "s1 unhealthy, s2 unhealthy, s3 unhealthy and 2 more"),
        ] {
            let judged: Vec<_> =
                (1..=count).map(|number| failing(&format!("s{number}"), Prospect::Stuck)).collect();
            assert_eq!(summary(&judged.iter().collect::<Vec<_>>()), said);
        }
    }

    #[test]
    fn a_failure_report_is_never_longer_than_a_screen() {
        for count in [1, 2, 3, 7, 20, 36, 37, 38, 100] {
            let services = (0..count).map(|number| failing(&format!("s{number}"), Prospect::Stuck)).collect();
            let report = failed(&gated(services), SlotId::new(1).unwrap());
            assert!(report.lines().count() <= MOST_LINES, "{count}: {report}");
            assert_eq!(report.contains(" more\nhelp"), count > 37, "{count}: {report}");
        }
    }

    #[test]
    fn a_change_is_said_once() {
        let (before, mut after) =
            (vec![failing("db", Prospect::Stuck)], vec![failing("db", Prospect::Stuck)]);
        assert_eq!(changes(&before, &after), Vec::<String>::new());
        after[0].note = Some(Note::ListeningNotChecked);
        assert_eq!(changes(&before, &after), ["db: \u{1b}[31munhealthy, listening not checked\u{1b}[39m"]);
        assert_eq!(changes(&[], &before), ["db: \u{1b}[31munhealthy\u{1b}[39m"]);
        let restarted = |times| vec![Judged { note: Some(Note::Restarted(times)), ..before[0].clone() }];
        assert_eq!(changes(&restarted(1), &restarted(2)), Vec::<String>::new());
    }
}
