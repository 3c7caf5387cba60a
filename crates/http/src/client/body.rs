//! Bodies of answers, read with a bound while they stream in.

use std::io::Write;

use bytes::{Buf, Bytes};
use flate2::write::MultiGzDecoder;
use http_body::Body;
use http_body_util::BodyExt;

use super::error::ClientError;

/// Reads a body of at most `limit` bytes as it is.
///
/// # Errors
/// [`ClientError::BodyTooLarge`] as soon as more arrives, [`ClientError::Body`] if it breaks off.
pub async fn read_limited<B>(body: B, limit: u64) -> Result<Bytes, ClientError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut read = Vec::new();
    read_into(body, Encoding::Identity, limit, &mut read).await?;
    Ok(read.into())
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// By gzip.
    Gzip,
}

impl Encoding {
    /// What the headers say.
    ///
    /// # Errors
    /// [`ClientError::Body`] for an encoding that was not asked for.
    pub fn of(headers: &http::HeaderMap) -> Result<Self, ClientError> {
        match headers
            .get(http::header::CONTENT_ENCODING)
            .map(http::HeaderValue::as_bytes)
        {
            None | Some(b"" | b"identity") => Ok(Self::Identity),
            Some(b"gzip" | b"x-gzip") => Ok(Self::Gzip),
            Some(other) => Err(ClientError::Body(format!(
                "unsupported Content-Encoding {:?}",
                String::from_utf8_lossy(other)
            ))),
        }
    }
}

/// Appends a body to `into`, unpacked, and answers how many bytes came over the wire.
///
/// `limit` bounds the unpacked bytes: a small body that unpacks to a large one is stopped on the
/// way, with no more than one chunk held beyond the limit.
///
/// # Errors
/// [`ClientError::BodyTooLarge`] and [`ClientError::Body`]; the latter also when a packed body ends
/// too early or fails its checksum.
pub async fn read_into<B>(
    body: B,
    encoding: Encoding,
    limit: u64,
    into: &mut Vec<u8>,
) -> Result<u64, ClientError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let start = into.len();
    let mut sink = Sink::new(
        encoding,
        Limited {
            into,
            start,
            limit,
            exceeded: false,
        },
    );
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            ClientError::Body(super::error::chain(error.as_ref()))
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            let len = chunk.len();
            sink.write(chunk)?;
            received += len as u64;
            data.advance(len);
        }
    }
    sink.finish()?;
    Ok(received)
}

struct Limited<'a> {
    into: &'a mut Vec<u8>,
    start: usize,
    limit: u64,
    exceeded: bool,
}

impl Limited<'_> {
    /// Grows by doubling as a vector does, but not beyond what the limit lets it hold.
    fn make_room(&mut self, more: usize) {
        let needed = self.into.len() + more;
        if needed > self.into.capacity() {
            let most = usize::try_from(self.limit)
                .map_or(usize::MAX, |limit| self.start.saturating_add(limit));
            let wanted = self.into.capacity().saturating_mul(2).min(most).max(needed);
            self.into.reserve_exact(wanted - self.into.len());
        }
    }
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.into.len() - self.start + bytes.len()) as u64 > self.limit {
            self.exceeded = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.make_room(bytes.len());
        self.into.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The bytes' way through the unpacker, if there is one.
enum Sink<'a> {
    Plain(Limited<'a>),
    Gzip(Box<MultiGzDecoder<Limited<'a>>>),
}

impl<'a> Sink<'a> {
    fn new(encoding: Encoding, limited: Limited<'a>) -> Self {
        match encoding {
            Encoding::Identity => Self::Plain(limited),
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(limited))),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        match self {
            Self::Plain(limited) => {
                let outcome = limited.write_all(bytes);
                outcome.map_err(|error| refused(limited, &error))
            }
            Self::Gzip(decoder) => {
                let outcome = decoder.write_all(bytes);
                outcome.map_err(|error| refused(decoder.get_ref(), &error))
            }
        }
    }

    fn finish(self) -> Result<(), ClientError> {
        let Self::Gzip(mut decoder) = self else {
            return Ok(());
        };
        let outcome = decoder.try_finish();
        outcome.map_err(|error| refused(decoder.get_ref(), &error))
    }
}

fn refused(limited: &Limited<'_>, error: &std::io::Error) -> ClientError {
    match limited.exceeded {
        true => ClientError::BodyTooLarge {
            limit: limited.limit,
        },
        false => ClientError::Body(format!("gzip: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::Full;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn unpack(bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, ClientError> {
        let mut into = b"kept".to_vec();
        read_into(
            Full::new(Bytes::from(bytes)),
            Encoding::Gzip,
            limit,
            &mut into,
        )
        .await?;
        Ok(into)
    }

    #[tokio::test]
    async fn unpacks_behind_what_is_there() {
        assert_eq!(
            unpack(packed(b" and new"), 100).await.unwrap(),
            b"kept and new"
        );
    }

    #[tokio::test]
    async fn a_bomb_is_stopped() {
        let bomb = packed(&vec![0; 10 << 20]);
        assert!(bomb.len() < 20_000);
        let error = unpack(bomb, 1 << 20).await.unwrap_err();
        assert!(matches!(
            error,
            ClientError::BodyTooLarge { limit: 1_048_576 }
        ));
    }

    #[tokio::test]
    async fn a_truncated_or_damaged_body_is_an_error() {
        let whole = packed(b"some text that is long enough to be cut");
        let cut = whole[..whole.len() - 5].to_vec();
        assert!(matches!(unpack(cut, 1000).await, Err(ClientError::Body(_))));
        let mut flipped = whole.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(matches!(
            unpack(flipped, 1000).await,
            Err(ClientError::Body(_))
        ));
        assert!(matches!(
            unpack(b"junk".to_vec(), 1000).await,
            Err(ClientError::Body(_))
        ));
    }

    #[tokio::test]
    async fn a_plain_body_is_bounded_too() {
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert_eq!(read_limited(body(), 5).await.unwrap().as_ref(), b"12345");
        assert!(matches!(
            read_limited(body(), 4).await,
            Err(ClientError::BodyTooLarge { .. })
        ));
    }
}
