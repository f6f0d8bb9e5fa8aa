//! An image host: a real HTTP/1.1 server that serves pictures as well or as badly as a test wants, and counts each byte
//! that leaves its sockets.
//!
//! It writes to its sockets itself, because what is claimed of a throttle is claimed of the wire: [`Departures`] says
//! when which bytes were handed to the kernel, whose own send buffer is kept as small as it can be. A [`Body`] is made by
//! code and the same for the same seed, so that a test knows what must have arrived. How an answer goes wrong is a
//! [`Conduct`]: of a path, of all below a path, or of the next request alone.

mod admin;
mod conduct;
mod connection;
mod departures;
mod host;
mod picture;
mod wire;

pub use conduct::{Conduct, Ending, Length, Place, RetryAfter};
pub use departures::{Bytes, Departures};
pub use host::{Asked, Host, Options, Resource, Tag, Totals, Validators, Wild, serve};
pub use picture::{Body, Format};

#[cfg(test)]
mod tests;
