//! A descriptor an event loop can wait for, made readable by any thread: an eventfd on Linux, else a pair of sockets.

pub use platform::Wake;

#[cfg(target_os = "linux")]
mod platform {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    /// Both ends in one.
    pub struct Wake {
        counter: OwnedFd,
    }

    impl Wake {
        pub fn new() -> io::Result<Self> {
            let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Ok(Self { counter })
        }

        /// What the loop waits for.
        pub fn descriptor(&self) -> u64 {
            self.counter.as_raw_fd() as u64
        }

        /// Makes the descriptor readable. It can only fail when it is readable already.
        pub fn signal(&self) {
            let _ = rustix::io::write(&self.counter, &1_u64.to_ne_bytes());
        }

        /// Makes it unreadable again. It can only fail when it is not readable.
        pub fn clear(&self) {
            let _ = rustix::io::read(&self.counter, &mut [0_u8; 8]);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::io::{self, Read, Write};

    #[cfg(unix)]
    type Socket = std::os::unix::net::UnixStream;
    #[cfg(not(unix))]
    type Socket = std::net::TcpStream;

    /// A pair of sockets: one end is written, the loop waits for the other.
    pub struct Wake {
        reader: Socket,
        writer: Socket,
    }

    #[cfg(unix)]
    fn pair() -> io::Result<(Socket, Socket)> {
        Socket::pair()
    }

    #[cfg(not(unix))]
    fn pair() -> io::Result<(Socket, Socket)> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        let writer = Socket::connect(listener.local_addr()?)?;
        loop {
            let (reader, peer) = listener.accept()?;
            // Another process of this machine may have connected first.
            if peer == writer.local_addr()? {
                return Ok((reader, writer));
            }
        }
    }

    impl Wake {
        pub fn new() -> io::Result<Self> {
            let (reader, writer) = pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            Ok(Self { reader, writer })
        }

        /// What the loop waits for.
        pub fn descriptor(&self) -> u64 {
            #[cfg(unix)]
            return std::os::fd::AsRawFd::as_raw_fd(&self.reader) as u64;
            #[cfg(not(unix))]
            return std::os::windows::io::AsRawSocket::as_raw_socket(&self.reader);
        }

        /// Makes the descriptor readable. It can only fail when it is readable already.
        pub fn signal(&self) {
            let _ = (&self.writer).write(&[1]);
        }

        /// Makes it unreadable again.
        pub fn clear(&self) {
            while matches!((&self.reader).read(&mut [0; 64]), Ok(64)) {}
        }
    }
}
