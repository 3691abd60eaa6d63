//! `kes top`, on a terminal and without one.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Scene, run};
use crate::support::{Cert, pty::Pty};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// `kes top` on a terminal, with a frame on it.
fn on(pty: &Pty, scene: &Scene, client: &str) -> std::process::Child {
    let mut command = scene.command_of(client);
    command.args(["top", "--interval", "100ms"]);
    let child = pty.spawn(&mut command);
    let entered = pty.wait_for(ENTER, 0);
    let titled = pty.wait_for(&format!("kes top   {}", scene.server.address), entered);
    pty.wait_for("Course", titled);
    child
}

#[tokio::test]
async fn the_terminal_is_given_back_however_it_ends() {
    let scene = Scene::start().await;
    for end in ["q", "Q", "\x03", "\x04"] {
        let mut pty = Pty::new(100, 30);
        assert!(pty.is_cooked());
        let mut child = on(&pty, &scene, "admin");
        assert!(!pty.is_cooked(), "keys are read one by one");
        pty.press(end);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{end:?}");
        pty.wait_for(LEAVE, 0);
        assert!(pty.is_cooked(), "{end:?}");
    }
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let pty = Pty::new(100, 30);
        let mut child = on(&pty, &scene, "admin");
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(child.wait().unwrap().code().is_some(), "{signal:?}");
        pty.wait_for(LEAVE, 0);
        assert!(pty.is_cooked(), "{signal:?}");
    }
}

#[tokio::test]
async fn it_shows_who_asks_and_goes_on_without_the_server() {
    let scene = Scene::start().await;
    scene.run(&["key", "create", "k"]).quietly();
    let mut pty = Pty::new(120, 40);
    let mut child = on(&pty, &scene, "admin");
    // Events count from when the stream was opened, before the first frame.
    scene.run(&["key", "info", "k", "--json"]).quietly();
    pty.wait_for(&scene.admin.identity, 0);
    let stopped = pty.text().len();
    pty.press(" ");
    pty.wait_for("stopped", stopped);
    pty.press(" ");
    drop(scene.server);
    let shown = pty.wait_for("! failed to read metrics", stopped);
    pty.press("q");
    pty.wait_for(LEAVE, shown);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(pty.is_cooked());
}

#[tokio::test]
async fn no_line_is_wider_than_the_terminal() {
    let scene = Scene::start().await;
    for (columns, lines) in [(20, 6), (40, 10), (200, 50)] {
        let mut pty = Pty::new(columns, lines);
        let mut command = scene.command();
        command.args(["top", "--interval", "100ms"]);
        let mut child = pty.spawn(&mut command);
        // Two frames at least.
        let once = pty.wait_for("\x1b[J", 0);
        pty.wait_for("\x1b[J", once);
        pty.press("q");
        child.wait().unwrap();
        pty.wait_for(LEAVE, 0);
        let text = pty.text();
        let frames = text.split("\x1b[H").skip(1);
        for frame in frames {
            let frame = frame.split("\x1b[J").next().unwrap();
            let shown: Vec<_> = frame
                .split("\x1b[K")
                .map(|line| line.trim_matches(['\r', '\n']))
                .collect();
            assert!(shown.len() - 1 <= usize::from(lines), "{shown:?}");
            for line in shown {
                assert!(line.chars().count() <= usize::from(columns), "{line:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_terminal_it_prints_one_frame_or_documents() {
    let scene = Scene::start().await;
    let error = scene.run(&["top"]).failed(2);
    assert!(error.contains("--once"), "{error}");
    let frame = scene.run(&["top", "--once", "--interval", "50ms"]).text();
    assert!(
        frame.starts_with("kes top   ") && !frame.contains('\x1b'),
        "{frame}"
    );
    let document = scene
        .run(&["top", "--once", "--interval", "50ms", "--json"])
        .json();
    assert_eq!(document["keystore"], "ok");
    assert_eq!(document["requests_per_second"], 0.0);
    assert_eq!(document["latency_ms"], Value::Null);
}

#[tokio::test]
async fn a_client_that_may_read_less_sees_less() {
    let user = Cert::client();
    let scene = Scene::with(|setup| setup.policy("p", &["/v1/metrics"], &[], &[&user])).await;
    scene.proof("user", &user);
    let mut command = scene.command_of("user");
    command.args(["top", "--once", "--interval", "50ms"]);
    let frame = run(&mut command, b"").text();
    assert!(frame.contains("may not read /v1/status"), "{frame}");
    assert!(frame.contains("may not read /v1/log/audit"), "{frame}");
    let stranger = Cert::client();
    scene.proof("stranger", &stranger);
    let mut command = scene.command_of("stranger");
    command.args(["top", "--once", "--interval", "50ms"]);
    let error = run(&mut command, b"").failed(1);
    assert!(
        error.contains(&stranger.identity) && error.contains("/v1/metrics"),
        "{error}"
    );
}
