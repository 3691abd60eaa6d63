//! Where the server listens, and for how many.
//!
//! Sockets are bound here, or were passed by a service manager that keeps them open while the server is replaced (socket activation).
//! Such a socket is shared with others: nothing here shuts it down, and what connects meanwhile waits for the next server.

use std::{
    collections::VecDeque,
    io,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::Error;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// Descriptors kept for everything that is not a client's connection.
const RESERVED_FILES: u64 = 128;
/// Fewest descriptors to start with: for the outputs, signals, keystores and a few clients.
const LEAST_FILES: u64 = 48;
/// And for the runtime of each core.
const FILES_PER_CORE: u64 = 5;
/// Most connections at a time, however many descriptors there are.
const MAX_CONNECTIONS: u64 = 65_536;

/// Sockets that clients connect to.
pub(super) struct Sockets {
    list: Vec<TcpListener>,
    /// Where they listen.
    pub(super) addresses: Vec<SocketAddr>,
}

impl Sockets {
    fn new(list: Vec<TcpListener>) -> io::Result<Self> {
        let addresses = list.iter().map(TcpListener::local_addr);
        Ok(Self {
            addresses: addresses.collect::<io::Result<_>>()?,
            list,
        })
    }

    /// The sockets that a service manager has passed to this process (`LISTEN_FDS`), all of them; `None` if there are none.
    ///
    /// To be called once, while the process has one thread: it takes the variables out of the environment.
    ///
    /// # Errors
    /// [`Error::Inherited`] if one of them is no listening TCP socket.
    pub(super) fn inherited() -> Result<Option<Self>, Error> {
        let mut passed = ListenFd::from_env();
        let mut list = Vec::with_capacity(passed.len());
        for number in 0..passed.len() {
            let wrong = |source| Error::Inherited {
                number: number + 1,
                source,
            };
            let Some(socket) = passed.take_tcp_listener(number).map_err(wrong)? else {
                continue;
            };
            if !SockRef::from(&socket).is_listener().map_err(wrong)? {
                return Err(wrong(io::Error::other("it does not listen")));
            }
            list.push(socket);
        }
        if list.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self::new(list)?))
    }

    /// Binds `HOST:PORT`; an empty host means all interfaces, IPv4 and IPv6.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub(super) fn bind(address: &str) -> Result<Self, Error> {
        let bound = || {
            if let Some(port) = address.strip_prefix(':') {
                let port = port.parse().map_err(io::Error::other)?;
                // Without IPv6 on this machine, IPv4 is all there is.
                return listen(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port))).or_else(
                    |_| listen(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port))),
                );
            }
            let mut last = io::Error::other("the host has no address");
            for address in address.to_socket_addrs()? {
                match listen(address) {
                    Ok(listener) => return Ok(listener),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        let bound = bound().and_then(|socket| Self::new(vec![socket]));
        bound.map_err(|source| Error::Bind {
            address: address.to_owned(),
            source,
        })
    }

    /// Makes one queue of connections of them, and what ends it.
    ///
    /// # Errors
    /// The system's error if it has no more descriptors.
    pub(super) fn into_queue(self) -> io::Result<(Queue, Ender)> {
        for socket in &self.list {
            // Another server may take what was seen here: it is not to be waited for.
            socket.set_nonblocking(true)?;
        }
        let (bell, rope) = UnixStream::pair()?;
        let ended = Arc::new(AtomicBool::new(false));
        let queue = Queue {
            sockets: self.list,
            ready: VecDeque::new(),
            bell,
            ended: ended.clone(),
        };
        Ok((queue, Ender { ended, _rope: rope }))
    }
}

/// The connections that come in at all sockets.
pub(super) struct Queue {
    sockets: Vec<TcpListener>,
    /// Which sockets may have a connection to take.
    ready: VecDeque<usize>,
    /// Its other end is closed when accepting is to end.
    bell: UnixStream,
    ended: Arc<AtomicBool>,
}

/// Ends a [`Queue`] when it is dropped.
pub(super) struct Ender {
    ended: Arc<AtomicBool>,
    _rope: UnixStream,
}

impl Drop for Ender {
    fn drop(&mut self) {
        // Before the rope is let go, which wakes who waits.
        self.ended.store(true, Ordering::SeqCst);
    }
}

impl Queue {
    /// Waits for the next connection; `None` if there will be no more. An error is about one connection, or says that the system
    /// has no room for another one at the moment.
    pub(super) fn next(&mut self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        while !self.ended.load(Ordering::SeqCst) {
            let Some(index) = self.ready.pop_front() else {
                match self.wait() {
                    Ok(()) => continue,
                    Err(error) => return Some(Err(error)),
                }
            };
            let Some(socket) = self.sockets.get(index) else {
                continue;
            };
            match socket.accept() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.ready.push_front(index);
                }
                accepted => {
                    // Behind the others: no socket keeps them waiting.
                    self.ready.push_back(index);
                    return Some(accepted);
                }
            }
        }
        None
    }

    /// Waits until a socket has a connection, or the bell rings.
    fn wait(&mut self) -> io::Result<()> {
        let mut polled: Vec<_> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        polled.push(PollFd::new(&self.bell, PollFlags::IN));
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = polled.iter().take(self.sockets.len()).enumerate();
        let ready = ready.filter(|(_, socket)| !socket.revents().is_empty());
        self.ready = ready.map(|(index, _)| index).collect();
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `[::]` takes IPv4 clients too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for connections of the process before.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes as many descriptors as the system allows, and tells how many connections that makes.
///
/// # Errors
/// [`Error::FewFiles`] if they are too few for the server itself and some clients.
pub(super) fn connection_limit() -> Result<usize, Error> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = files.unwrap_or(MAX_CONNECTIONS + RESERVED_FILES);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let needed = LEAST_FILES + FILES_PER_CORE * u64::try_from(cores).unwrap_or(u64::MAX);
    if files < needed {
        return Err(Error::FewFiles {
            limit: files,
            needed,
        });
    }
    let connections = files
        .saturating_sub(RESERVED_FILES)
        .clamp(16, MAX_CONNECTIONS);
    Ok(usize::try_from(connections).unwrap_or(usize::MAX))
}
