//! Remote write and remote read as a client speaks them.

use headwater_wire::messages::{ReadRequest, WriteRequest, v2};
use headwater_wire::{MAX_DECOMPRESSED, snappy};
use prost::Message;

/// A status and a body of bytes.
#[derive(Clone, Debug)]
pub struct Bytes {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Bytes {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The content type of remote write 1.0 and of remote read.
pub const PROTOBUF: &str = "application/x-protobuf";

/// Sends a request of remote write 1.0.
///
/// # Panics
/// There is no answer.
pub fn write(server: &str, request: &WriteRequest) -> Bytes {
    let body = snappy::compress(&request.encode_to_vec());
    post(&agent(), &format!("{server}/api/v1/write"), PROTOBUF, &body)
}

/// Sends a request of remote write 2.0.
///
/// # Panics
/// There is no answer.
pub fn write2(server: &str, request: &v2::Request) -> Bytes {
    let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let body = snappy::compress(&request.encode_to_vec());
    post(&agent(), &format!("{server}/api/v1/write"), kind, &body)
}

/// Asks for samples or chunks.
///
/// # Panics
/// There is no answer.
pub fn read(server: &str, request: &ReadRequest) -> Bytes {
    let body = snappy::compress(&request.encode_to_vec());
    post(&agent(), &format!("{server}/api/v1/read"), PROTOBUF, &body)
}

/// A body once decompressed.
///
/// # Panics
/// It is damaged.
pub fn plain(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    snappy::decompress(body, MAX_DECOMPRESSED * 8, &mut plain).expect("a snappy block");
    plain
}

/// A client that keeps its connection.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into()
}

/// Posts a compressed body.
///
/// # Panics
/// There is no answer.
pub fn post(agent: &ureq::Agent, url: &str, kind: &str, body: &[u8]) -> Bytes {
    let request = agent
        .post(url)
        .header("Content-Type", kind)
        .header("Content-Encoding", "snappy");
    let mut response = request.send(body).expect("the server answers");
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(1 << 30);
    Bytes {
        status,
        body: body.read_to_vec().expect("a body"),
    }
}
