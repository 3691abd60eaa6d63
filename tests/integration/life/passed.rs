//! Sockets that a service manager passes to the server, and restarts behind them.

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::support::{Cert, Client, Server, Setup, Version, client::Payload};

const PASSED: &str = "listening on what the service manager has passed";

fn socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn a_socket_that_is_passed_takes_the_place_of_the_address() {
    let socket = socket();
    let address = socket.local_addr().unwrap();
    let admin = Cert::client();
    let setup = Setup::new(&admin).passing(socket);
    let mut server = setup.flag("--addr").flag("127.0.0.1:1").start().await;
    assert_eq!(server.address, address);
    let said = server.complained(1, PASSED).await;
    assert!(
        said.contains("level=WARN") && said.contains("'--addr 127.0.0.1:1' is ignored"),
        "{said}"
    );
    assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
}

/// Many clients connect anew for each request, over and over, while one server follows another behind the same socket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_turns_no_connection_away() {
    const CLIENTS: usize = 8;
    const RESTARTS: usize = 4;
    let socket = socket();
    let admin = Cert::client();
    let start = |socket: &TcpListener| {
        let setup = Setup::new(&admin).passing(socket.try_clone().unwrap());
        setup.start()
    };
    let mut server = start(&socket).await;
    let client = server.client(&admin);
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop, count) = (client.clone(), stop.clone(), count.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/v1/status").await.status, 200);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..RESTARTS {
        // Each server gets some work.
        let enough = count.load(Ordering::Relaxed) + 2 * CLIENTS;
        while count.load(Ordering::Relaxed) < enough && users.iter().all(|user| !user.is_finished())
        {
            tokio::task::yield_now().await;
        }
        server.terminate();
        assert_eq!(server.end().await.code(), Some(0));
        server = start(&socket).await;
    }
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
}

#[tokio::test]
async fn a_socket_that_does_not_listen_for_tcp_is_refused() {
    let admin = Cert::client();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let setup = Setup::new(&admin).passing(TcpListener::from(OwnedFd::from(udp)));
    let said = setup.refused().await;
    assert!(
        said.starts_with(
            "Error: socket 1 of those that the service manager has passed cannot be used: "
        ) && said.contains("\nHint: ")
            && said.contains("ListenStream="),
        "{said}"
    );
}

#[tokio::test]
async fn sockets_for_another_process_are_left_alone() {
    let admin = Cert::client();
    let setup = Setup::new(&admin)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1");
    let server = setup.start().await;
    assert!(!server.errors().iter().any(|line| line.contains(PASSED)));
    assert_eq!(server.client(&admin).get("/v1/status").await.status, 200);
}

/// The real tool: it listens, waits for the first connection, and becomes the server.
#[tokio::test]
async fn systemd_socket_activate_starts_the_server_at_the_first_connection() {
    let tool = Command::new("systemd-socket-activate")
        .arg("--version")
        .output();
    if tool.is_err() {
        #[expect(
            clippy::disallowed_methods,
            reason = "the environment says whether anybody watches"
        )]
        let watched = std::env::var_os("CI").is_some();
        assert!(!watched, "systemd-socket-activate is not there");
        eprintln!("skipped: systemd-socket-activate (Debian package systemd) is not there");
        return;
    }
    let admin = Cert::client();
    let folder = tempfile::tempdir().unwrap();
    let server = Setup::new(&admin).command(folder.path());
    // Two sockets; the kernel's choice, and then free again.
    let ports = [socket(), socket()].map(|socket| socket.local_addr().unwrap());
    let mut child = Command::new("systemd-socket-activate")
        .args(
            ports
                .iter()
                .flat_map(|port| ["-l".to_owned(), port.to_string()]),
        )
        .arg(server.get_program())
        .args(server.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    for _ in ports {
        let line = told.next().unwrap().unwrap();
        assert!(line.starts_with("Listening on "), "{line}");
    }
    let mut server = Server::adopt(child);
    for port in ports {
        let client = Client::new(port, Some(&admin));
        assert_eq!(client.get("/v1/status").await.status, 200);
    }
    let banner = server.said(1, "=> Server is up and running...").await;
    assert!(!banner.is_empty());
    let rows = server.output();
    for port in ports {
        let row = format!("· https://{port}");
        assert!(rows.iter().any(|line| line.ends_with(&row)), "{rows:?}");
    }
    let client = Client::new(ports[0], Some(&admin));
    let mut connection = client.connect(Version::H2).await.unwrap();
    connection
        .send("PUT", "/v1/key/create/a", Payload::None)
        .await
        .empty();
    server.terminate();
    assert_eq!(server.end().await.code(), Some(0));
}
