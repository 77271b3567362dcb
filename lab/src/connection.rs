//! A TCP connection between two hosts, both ends in hand.

use crate::address::{Family, Flow};
use crate::error::{Doing, Error};
use crate::host::Host;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::wait;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Far more than a handshake needs, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(10);
const BACKLOG: i32 = 128;

type Setup<'a> = Box<dyn FnOnce(&SockRef<'_>) -> io::Result<()> + 'a>;

/// A connected pair of sockets: by custom the client on host `a`, the server on host `b` of a pair.
#[derive(Debug)]
pub struct Connection {
    /// The end that called connect.
    pub client: TcpStream,
    /// The end that was accepted.
    pub server: TcpStream,
    /// The listener that accepted it, if it was to be kept.
    pub listener: Option<TcpListener>,
    flow: Flow,
}

impl Connection {
    /// The direction from the client to the server.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Both ends as scripted peers, the client first; a listener that was kept is closed.
    #[must_use]
    pub fn into_peers(self) -> (Peer, Peer) {
        let Flow {
            source,
            destination,
        } = self.flow;
        let client = format!("client {source}");
        let server = format!("server {destination}");
        (
            Peer::new(&client, self.client, Stream::CLIENT, Stream::SERVER),
            Peer::new(&server, self.server, Stream::SERVER, Stream::CLIENT),
        )
    }
}

/// How a [`Connection`] is to be opened.
#[must_use = "nothing is opened before open()"]
pub struct ConnectionBuilder<'a> {
    client_host: &'a Host,
    server_host: &'a Host,
    family: Family,
    client: SocketAddr,
    server: SocketAddr,
    on_client: Option<Setup<'a>>,
    on_server: Option<Setup<'a>>,
    keep_listener: bool,
}

impl<'a> ConnectionBuilder<'a> {
    pub(crate) fn new(client: &'a Host, server: &'a Host, family: Family) -> Self {
        Self {
            client_host: client,
            server_host: server,
            family,
            client: SocketAddr::new(client.address(family), 0),
            server: SocketAddr::new(server.address(family), 0),
            on_client: None,
            on_server: None,
            keep_listener: false,
        }
    }

    /// Runs on the client's socket before it connects: for options that have a say in the handshake.
    pub fn on_client(mut self, setup: impl FnOnce(&SockRef<'_>) -> io::Result<()> + 'a) -> Self {
        self.on_client = Some(Box::new(setup));
        self
    }

    /// Runs on the listener before it listens: what it sets, the accepted socket inherits.
    pub fn on_server(mut self, setup: impl FnOnce(&SockRef<'_>) -> io::Result<()> + 'a) -> Self {
        self.on_server = Some(Box::new(setup));
        self
    }

    /// The client's port; without it, or with 0, the kernel chooses.
    pub fn client_port(mut self, port: u16) -> Self {
        self.client.set_port(port);
        self
    }

    /// The server's port; without it, or with 0, the kernel chooses.
    pub fn server_port(mut self, port: u16) -> Self {
        self.server.set_port(port);
        self
    }

    /// Uses other addresses of the hosts, of the family that the connection has on the wire.
    pub fn at(mut self, client: impl Into<IpAddr>, server: impl Into<IpAddr>) -> Self {
        self.client.set_ip(client.into());
        self.server.set_ip(server.into());
        self
    }

    /// Keeps the listener open, in [`Connection::listener`]; otherwise it is closed once the server is accepted.
    pub fn keep_listener(mut self) -> Self {
        self.keep_listener = true;
        self
    }

    /// Opens the connection; both ends are established when this returns.
    ///
    /// # Errors
    /// [`Error::Os`] with the step that failed, [`Error::Timeout`] when there is no answer within ten seconds.
    pub fn open(self) -> Result<Connection, Error> {
        let listener = socket(self.server_host, self.server)?;
        if let Some(setup) = self.on_server {
            setup(&SockRef::from(&listener)).doing(|| "set up the listener".to_owned())?;
        }
        bind(&listener, self.server)?;
        listener
            .listen(BACKLOG)
            .doing(|| format!("listen on {}", self.server))?;
        let listener = TcpListener::from(listener);
        let server_address = listener
            .local_addr()
            .doing(|| "read the listener's address".to_owned())?;

        let (from, to) = match self.family {
            Family::V4 | Family::V6 => (self.client, server_address),
            Family::V4Mapped => (mapped(self.client), mapped(server_address)),
        };
        let client = socket(self.client_host, from)?;
        if let Some(setup) = self.on_client {
            setup(&SockRef::from(&client)).doing(|| "set up the client".to_owned())?;
        }
        bind(&client, from)?;
        client
            .connect_timeout(&SockAddr::from(to), TIMEOUT)
            .doing(|| format!("connect from {from} to {to}"))?;
        let client = TcpStream::from(client);
        let client_address = client
            .local_addr()
            .doing(|| "read the client's address".to_owned())?;
        let flow = Flow::new(client_address, server_address);
        let server = accept(&listener, &flow)?;
        Ok(Connection {
            client,
            server,
            listener: self.keep_listener.then_some(listener),
            flow,
        })
    }
}

impl fmt::Debug for ConnectionBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionBuilder")
            .field("family", &self.family)
            .field("client", &self.client)
            .field("server", &self.server)
            .field("keep_listener", &self.keep_listener)
            .finish_non_exhaustive()
    }
}

fn socket(host: &Host, address: SocketAddr) -> Result<Socket, Error> {
    host.enter(|| {
        Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )
    })?
    .doing(|| format!("make a TCP socket on host {}", host.name()))
}

fn bind(socket: &Socket, address: SocketAddr) -> Result<(), Error> {
    socket
        .bind(&SockAddr::from(address))
        .doing(|| format!("bind to {address}"))
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Accepts the connection that came from the client; any other that got in between is closed.
fn accept(listener: &TcpListener, flow: &Flow) -> Result<TcpStream, Error> {
    loop {
        wait::readable(
            format!("the connection {flow} to be accepted"),
            TIMEOUT,
            listener,
        )?;
        let (server, peer) = listener
            .accept()
            .doing(|| format!("accept the connection {flow}"))?;
        if Flow::new(peer, flow.destination) == *flow {
            return Ok(server);
        }
    }
}
