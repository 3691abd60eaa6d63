//! The figures on a terminal: eight lines that are drawn over again (cli.md 14).

use std::{cell::Cell, fmt::Write as _, time::Duration};

use super::figures::Figures;
use crate::{
    cli::{
        error::Error,
        output::{Output, Style},
        status::size,
    },
    telemetry,
};

/// Right edges of the columns.
const EDGES: [usize; 5] = [19, 35, 51, 62, 77];

/// A place on the terminal, without a cursor for as long as this lives.
pub(super) struct Screen<'a> {
    out: &'a Output,
    /// Lines that were drawn last.
    drawn: Cell<usize>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(out: &'a Output) -> Result<Self, Error> {
        out.raw(b"\x1b[?25l")?;
        Ok(Self {
            out,
            drawn: Cell::new(0),
        })
    }

    /// Draws lines over those before, and a message below. Without lines those before stay.
    pub(super) fn draw(&self, lines: &[String], message: &str) -> Result<(), Error> {
        let mut text = String::new();
        if lines.is_empty() {
            text.push_str("\x1b[1A");
        } else {
            if self.drawn.get() > 0 {
                let _ = write!(text, "\x1b[{}A", self.drawn.get() + 1);
            }
            for line in lines {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
            self.drawn.set(lines.len());
        }
        let message = self.out.styled(Style::Red, message);
        let _ = writeln!(text, "\x1b[2K{message}");
        self.out.raw(text.as_bytes())
    }
}

/// The cursor comes back however the command ends.
impl Drop for Screen<'_> {
    fn drop(&mut self) {
        drop(self.out.raw(b"\x1b[?25h"));
    }
}

/// The eight lines. `before` are the figures of one `rate` ago.
pub(super) fn lines(
    now: &Figures,
    before: Option<&Figures>,
    rate: Duration,
    out: &Output,
) -> Vec<String> {
    let header = |cells: [&str; 6]| {
        let [label, rest @ ..] = cells;
        let rest = rest.map(|cell| (cell.to_owned(), None));
        out.styled(Style::Bold, &row(label, &rest, out))
    };
    let latency = now.latency().map_or("-".to_owned(), |latency| {
        let millis = Duration::from_millis(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX));
        telemetry::go_duration(millis)
    });
    let counts = [now.success, now.error, now.failure];
    let [good, bad, worse] = counts.map(|count| count.to_string());
    let numbers = [
        (good, Some(Style::Green)),
        (bad, Some(Style::Yellow)),
        (worse, Some(Style::Red)),
        (per_second(now, before, rate), None),
        (latency, None),
    ];
    let system = [
        telemetry::go_duration(Duration::from_nanos(now.up_time)),
        size(now.heap),
        size(now.stack),
        now.cpus_used.to_string(),
        now.threads.to_string(),
    ];
    vec![
        String::new(),
        header([
            "Request",
            "OK [2xx]",
            "Err [4xx]",
            "Err [5xx]",
            "Req/s",
            "Latency",
        ]),
        row("", &numbers, out),
        row(
            "",
            &counts.map(|count| (share(count, now.requests()), None)),
            out,
        ),
        String::new(),
        header(["System", "UpTime", "Heap", "Stack", "CPUs", "Threads"]),
        row("", &system.map(|value| (value, None)), out),
        String::new(),
    ]
}

/// A label, and cells that end at the edges of their columns, maybe in a style.
fn row(label: &str, cells: &[(String, Option<Style>)], out: &Output) -> String {
    let mut line = label.to_owned();
    let mut end = label.chars().count();
    for ((cell, style), edge) in cells.iter().zip(EDGES) {
        let length = cell.chars().count();
        let gap = edge.saturating_sub(end + length);
        end += gap + length;
        line.push_str(&" ".repeat(gap));
        match style {
            Some(style) => line.push_str(&out.styled(*style, cell)),
            None => line.push_str(cell),
        }
    }
    line
}

/// Two decimals.
fn per_second(now: &Figures, before: Option<&Figures>, rate: Duration) -> String {
    let Some(before) = before else {
        return "0.00".to_owned();
    };
    // A server that was started anew counts from zero.
    let increase = now.requests().saturating_sub(before.requests());
    let hundredths = u128::from(increase) * 100_000 / rate.as_millis().max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A percentage with two decimals, or nothing to speak of.
fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return "-".to_owned();
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(all);
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{globals::Globals, output::When, settings::Environment};

    #[test]
    fn cells_end_at_the_edges_of_their_columns_in_any_style() {
        for color in [When::Never, When::Always] {
            let out = Output::new(&Globals::styled(color), &Environment::of(&[]));
            let cells = ["a", "bb", "ccc"].map(|cell| (cell.to_owned(), Some(Style::Red)));
            let line = row("Request", &cells, &out);
            let plain = line.replace("\x1b[31m", "").replace("\x1b[0m", "");
            assert_eq!(plain.len(), EDGES[2]);
            assert_eq!((&plain[18..19], &plain[33..35]), ("a", "bb"));
            assert_eq!(plain == line, color == When::Never);
        }
    }

    #[test]
    fn without_traffic_there_is_no_nonsense() {
        assert_eq!(share(0, 0), "-");
        assert_eq!(share(1, 3), "33.33%");
        let (now, before) = (
            Figures {
                success: 30,
                ..Figures::default()
            },
            Figures {
                success: 10,
                ..Figures::default()
            },
        );
        let rate = Duration::from_secs(5);
        assert_eq!(per_second(&now, None, rate), "0.00");
        assert_eq!(per_second(&now, Some(&before), rate), "4.00");
        assert_eq!(per_second(&before, Some(&now), rate), "0.00");
    }
}
