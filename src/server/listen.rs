//! Where the server listens, and for how many.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::Error;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// Descriptors kept for everything that is not a client's connection.
const RESERVED_FILES: u64 = 128;
/// Most connections at a time, however many descriptors there are.
const MAX_CONNECTIONS: u64 = 65_536;

/// Binds `HOST:PORT`; an empty host means all interfaces, IPv4 and IPv6.
pub(super) fn bind(address: &str) -> Result<TcpListener, Error> {
    let bound = || {
        if let Some(port) = address.strip_prefix(':') {
            let port = port.parse().map_err(io::Error::other)?;
            // Without IPv6 on this machine, IPv4 is all there is.
            return listen(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))
                .or_else(|_| listen(SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port))));
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
    bound().map_err(|source| Error::Bind {
        address: address.to_owned(),
        source,
    })
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
pub(super) fn connection_limit() -> usize {
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
    let connections = files
        .saturating_sub(RESERVED_FILES)
        .clamp(16, MAX_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
