//! Lines reach the writer whole, and lost ones are owned up to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::*;

/// A writer that takes, refuses or postpones as its script says, and takes everything once the script is at its end.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Pipe>>);

#[derive(Default)]
struct Pipe {
    steps: VecDeque<io::Result<usize>>,
    written: Vec<u8>,
}

impl Script {
    fn new(steps: impl IntoIterator<Item = io::Result<usize>>) -> Self {
        Self(Arc::new(Mutex::new(Pipe {
            steps: steps.into_iter().collect(),
            written: Vec::new(),
        })))
    }

    fn written(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Pipe { steps, written } = &mut *self.0.lock().unwrap();
        let len = steps.pop_front().unwrap_or(Ok(bytes.len()))?;
        let len = len.min(bytes.len());
        written.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn writer(script: &Script) -> Writer {
    Writer {
        out: Box::new(script.clone()),
        look: look(Format::Text),
        clock: Clock::test(),
    }
}

fn look(format: Format) -> Look {
    Look {
        format: SharedFormat::new(format),
        offset: UtcOffset::UTC,
    }
}

fn batch(lines: &[&str], missing: u64) -> Batch {
    let mut batch = Batch {
        missing,
        ..Batch::default()
    };
    for line in lines {
        batch.text.extend_from_slice(line.as_bytes());
        batch.ends.push((batch.text.len(), 0));
    }
    batch
}

#[test]
fn a_writer_may_take_little_at_a_time_or_ask_for_patience() {
    let script = Script::new([
        Ok(1),
        Err(io::ErrorKind::Interrupted.into()),
        Ok(2),
        Err(io::ErrorKind::WouldBlock.into()),
    ]);
    assert_eq!(
        writer(&script).deliver(&mut batch(&["first\n", "second\n"], 0)),
        0
    );
    assert_eq!(script.written(), "first\nsecond\n");
}

#[test]
fn lines_that_could_not_be_written_are_told_when_writing_works_again() {
    let broken = || Err(io::ErrorKind::BrokenPipe.into());
    let script = Script::new([broken(), Ok(0), broken()]);
    let mut writer = writer(&script);
    let mut missing = 0;
    for lines in [&["a\n", "b\n"][..], &["c\n"], &["d\n"]] {
        missing = writer.deliver(&mut batch(lines, missing));
    }
    assert_eq!(missing, 4);
    assert_eq!(script.written(), "");
    assert_eq!(writer.deliver(&mut batch(&["e\n"], missing)), 0);
    assert_eq!(
        script.written(),
        "e\ntime=2024-01-01T00:00:00.000Z level=WARN msg=\"4 log lines were dropped, they were not read in time\"\n"
    );
}

#[test]
fn lost_lines_are_told_in_the_format_of_the_others() {
    let script = Script::new([]);
    let mut writer = writer(&script);
    writer.look.format.set(Format::Json);
    assert_eq!(writer.deliver(&mut batch(&["{}\n"], 2)), 0);
    assert_eq!(
        script.written(),
        "{}\n{\"time\":\"2024-01-01T00:00:00.000Z\",\"level\":\"WARN\",\
         \"msg\":\"2 log lines were dropped, they were not read in time\"}\n"
    );
}

#[test]
fn the_level_decides_what_is_taken() {
    let start = |level| {
        let out = Box::new(io::sink());
        Console::start("test", out, level, look(Format::Text), Clock::test()).unwrap()
    };
    let console = start(Level::WARN);
    assert!(console.takes(Level::ERROR) && console.takes(Level::WARN));
    assert!(!console.takes(Level::new(3)));
    console.set(Level::OFF, Format::Text);
    assert!(!console.takes(Level::ERROR));
    console.set(Level::DEBUG, Format::Text);
    assert!(console.takes(Level::DEBUG) && !console.takes(Level::new(-5)));
}
