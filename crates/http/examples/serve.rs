//! A server that answers with what it was asked, to try a web configuration file with:
//!
//! ```sh
//! cargo run -p headwater-http --example serve -- 127.0.0.1:8443 web.yml
//! ```

use std::convert::Infallible;

use headwater_http::{Body, Peer, Server, ServerSettings};
use http::{Request, Response};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut settings = ServerSettings::on([arguments.next().unwrap_or("127.0.0.1:8080".into())]);
    settings.web_config_file = arguments.next().map(Into::into);
    let server = Server::bind(settings).await?;
    println!(
        "listening on {:?}, TLS: {}",
        server.addresses(),
        server.is_tls()
    );
    let service = tower::service_fn(async |request: Request<Body>| {
        let peer = request.extensions().get::<Peer>().cloned();
        let text = format!("{request:?}\n{peer:?}\n");
        Ok::<_, Infallible>(Response::new(text))
    });
    server.serve(service, std::future::pending()).await;
    Ok(())
}
