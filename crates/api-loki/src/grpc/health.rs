//! `grpc.health.v1.Health`: what `/ready` says, for load balancers that speak gRPC.

use std::pin::Pin;
use std::time::Duration;

use headwater_wire::loki::health::health_check_response::ServingStatus;
use headwater_wire::loki::health::{HealthCheckRequest, HealthCheckResponse, health_server};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::state::Api;

/// How often watchers are looked after.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Services that have a health; the empty name stands for the whole server.
const SERVICES: [&str; 4] = [
    "",
    "logproto.Pusher",
    "logproto.Querier",
    "grpc.health.v1.Health",
];

pub(super) struct Health(pub(super) Api);

fn serving(api: &Api) -> ServingStatus {
    match api.parts.status.ready() {
        Ok(()) => ServingStatus::Serving,
        Err(_) => ServingStatus::NotServing,
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        match SERVICES.contains(&service.as_str()) {
            true => Ok(Response::new(answer(serving(&self.0)))),
            false => Err(Status::not_found(format!("unknown service {service}"))),
        }
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.into_inner().service.as_str());
        let (tell, told) = mpsc::channel(1);
        let api = self.0.clone();
        tokio::spawn(async move {
            let mut last = None;
            loop {
                let now = match known {
                    true => serving(&api),
                    false => ServingStatus::ServiceUnknown,
                };
                if last != Some(now) && tell.send(Ok(answer(now))).await.is_err() {
                    return;
                }
                last = Some(now);
                tokio::select! {
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                    () = tell.closed() => return,
                    () = crate::routes::tail::stopped(api.parts.stop.clone()) => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}
