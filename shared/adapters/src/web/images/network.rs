//! Names and sockets: the one place where a picture's host is looked up and connected to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};

/// What answers names, and what connects. Tests put their own in its place, to answer otherwise and to see every address
/// that is connected to.
pub trait Network {
    /// The addresses of a host, in the order in which they should be tried.
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects to an address, with a receive buffer of at most so many bytes.
    fn connect(&self, address: SocketAddr, buffer_bytes: u64) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

/// This machine's resolver and sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }

    async fn connect(&self, address: SocketAddr, buffer_bytes: u64) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Linux doubles what it is given, and lets a part of that come unread. Source: socket(7), tcp(7).
        socket.set_recv_buffer_size(u32::try_from(buffer_bytes / 2).unwrap_or(u32::MAX))?;
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}
