//! What the system or a person at a terminal tells the process.

use std::io;

/// A signal that servers know what to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT, Ctrl-C: end in order.
    Interrupt,
    /// SIGTERM: end in order.
    Terminate,
    /// SIGHUP: read the settings again.
    Hangup,
    /// SIGUSR1: report.
    User1,
}

impl Signal {
    /// The signals that ask for an end.
    pub const END: [Self; 2] = [Self::Interrupt, Self::Terminate];

    /// The system's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
            Self::User1 => "SIGUSR1",
        }
    }
}

/// A stream of signals. From the call of [`Signals::listen`] on, and for as long as the process
/// lives, these signals no longer end it on their own.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    streams: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Listens for these signals.
    ///
    /// # Errors
    /// When the system refuses, which it does not do in practice.
    #[cfg(unix)]
    pub fn listen(signals: &[Signal]) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let kind = |signal| match signal {
            Signal::Interrupt => SignalKind::interrupt(),
            Signal::Terminate => SignalKind::terminate(),
            Signal::Hangup => SignalKind::hangup(),
            Signal::User1 => SignalKind::user_defined1(),
        };
        let streams = signals.iter().map(|each| Ok((*each, signal(kind(*each))?)));
        Ok(Self {
            streams: streams.collect::<io::Result<_>>()?,
        })
    }

    /// The next signal; several of one kind that come together count once.
    #[cfg(unix)]
    pub async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(*signal);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Listens for these signals; elsewhere than on Unix only Ctrl-C is heard.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(unix))]
    pub fn listen(_: &[Signal]) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Resolves on Ctrl-C.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_is_heard_and_ends_nothing() {
        let mut signals = Signals::listen(&[Signal::Hangup, Signal::User1]).unwrap();
        for (name, want) in [("-USR1", Signal::User1), ("-HUP", Signal::Hangup)] {
            let pid = std::process::id().to_string();
            let sent = std::process::Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap();
            assert!(sent.success());
            assert_eq!(signals.next().await, want);
        }
    }
}
