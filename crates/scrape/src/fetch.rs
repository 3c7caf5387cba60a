//! Getting a body: the only place that knows HTTP.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use headwater_http::{Client, ClientError, ClientOptions, Encoding, read_into};
use headwater_storage::BoxFuture;
use parking_lot::Mutex;

use crate::config::JobConfig;
use crate::error::{JobError, ScrapeError};

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Where.
    pub url: String,
    /// The Unix socket to connect to, whatever the URL's host.
    pub unix_socket: Option<String>,
    /// The `Accept` header.
    pub accept: Arc<str>,
    /// Whether gzip may be answered.
    pub gzip: bool,
    /// How long the answer is waited for; told to the target.
    pub timeout: Duration,
    /// How many bytes the unpacked body may have.
    pub max_body_bytes: u64,
}

/// Fetches bodies. The default is [`HttpFetch`]; tests have their own.
///
/// # Contract
/// * The unpacked body is appended to `body`, which holds at most `max_body_bytes` (and what
///   one read brings) when the future ends, however it ends.
/// * Answers other than 200 are [`ScrapeError::Status`], too much is [`ScrapeError::BodyLimit`].
/// * The future may be dropped at any time; the caller sees to the timeout.
pub trait Fetch: Send + Sync {
    /// Returns the `Content-Type` of the body.
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        body: &'a mut Vec<u8>,
    ) -> BoxFuture<'a, Result<String, ScrapeError>>;
}

/// Makes the fetcher of a job.
pub trait MakeFetch: Send + Sync {
    /// A fetcher that connects and authenticates as the job says.
    ///
    /// # Errors
    /// The settings cannot be used, e.g. a certificate is missing.
    fn make(&self, job: &JobConfig) -> Result<Arc<dyn Fetch>, JobError>;
}

/// Makes [`HttpFetch`]ers.
#[derive(Debug, Clone, Default)]
pub struct MakeHttpFetch {
    options: ClientOptions,
}

impl MakeHttpFetch {
    /// Fetchers with these options, which name the user agent.
    pub fn new(options: ClientOptions) -> Self {
        Self { options }
    }
}

impl MakeFetch for MakeHttpFetch {
    fn make(&self, job: &JobConfig) -> Result<Arc<dyn Fetch>, JobError> {
        let fetch = HttpFetch::new(job, self.options.clone());
        fetch
            .map(|fetch| Arc::new(fetch) as Arc<dyn Fetch>)
            .map_err(|error| JobError {
                job: job.job_name.clone(),
                cause: format!("error creating HTTP client: {error}"),
            })
    }
}

/// Fetches over HTTP as the job's client settings say.
pub struct HttpFetch {
    job: JobConfig,
    options: ClientOptions,
    client: Client,
    /// One client for each Unix socket: a handful at most.
    by_socket: Mutex<HashMap<String, Client>>,
}

impl HttpFetch {
    /// A fetcher for a job; has to be made within a tokio runtime.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(job: &JobConfig, options: ClientOptions) -> Result<Self, ClientError> {
        let client = Client::new(&job.http, options.clone())?;
        Ok(Self {
            job: job.clone(),
            options,
            client,
            by_socket: Mutex::default(),
        })
    }

    fn client(&self, unix_socket: Option<&str>) -> Result<Client, ClientError> {
        let Some(path) = unix_socket else {
            return Ok(self.client.clone());
        };
        let mut by_socket = self.by_socket.lock();
        if let Some(client) = by_socket.get(path) {
            return Ok(client.clone());
        }
        let mut options = self.options.clone();
        options.unix_socket = Some(path.into());
        let client = Client::new(&self.job.http, options)?;
        by_socket.insert(path.to_owned(), client.clone());
        Ok(client)
    }

    async fn get(&self, request: &FetchRequest, body: &mut Vec<u8>) -> Result<String, ScrapeError> {
        let client = self
            .client(request.unix_socket.as_deref())
            .map_err(failed)?;
        let get = http::Request::get(&request.url)
            .header(http::header::ACCEPT, &*request.accept)
            .header(
                http::header::ACCEPT_ENCODING,
                if request.gzip { "gzip" } else { "identity" },
            )
            .header(
                "X-Prometheus-Scrape-Timeout-Seconds",
                request.timeout.as_secs_f64().to_string(),
            )
            .body(bytes::Bytes::new())
            .map_err(|error| ScrapeError::Fetch(format!("Get {:?}: {error}", request.url)))?;
        let response = client.send(get).await.map_err(failed)?;
        let status = response.status();
        if status != http::StatusCode::OK {
            // With the words for the number, as Go prints them.
            return Err(ScrapeError::Status(status.to_string()));
        }
        let content_type = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let encoding = Encoding::of(response.headers()).map_err(failed)?;
        read_into(response.into_body(), encoding, request.max_body_bytes, body)
            .await
            .map_err(failed)?;
        Ok(content_type)
    }
}

impl std::fmt::Debug for HttpFetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpFetch")
            .field("job", &self.job.job_name)
            .finish_non_exhaustive()
    }
}

impl Fetch for HttpFetch {
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        body: &'a mut Vec<u8>,
    ) -> BoxFuture<'a, Result<String, ScrapeError>> {
        Box::pin(self.get(request, body))
    }
}

fn failed(error: ClientError) -> ScrapeError {
    match error {
        ClientError::BodyTooLarge { .. } => ScrapeError::BodyLimit,
        error => {
            let text = error.to_string();
            // Prometheus writes the method as a word, and people search for its texts.
            ScrapeError::Fetch(match text.strip_prefix("GET ") {
                Some(rest) => format!("Get {rest}"),
                None => text,
            })
        }
    }
}
