//! A database that refuses at random: beneath the SDK some requests are not done, some parts of batches are held back, and
//! some answers are lost after the request had its effect.
//!
//! What happens is drawn from a seeded generator. The order in which concurrent requests draw is not repeatable, so a seed
//! gives the same sort of weather again, not the same drops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use fastrand::Rng;
use http_body_util::BodyExt;
use local::run::HttpClients;
use serde_json::{Value, json};

use crate::refusals::{HeldBack, Refusal, hold_back};

/// What stands before the routes is let alone: a client would see nothing of it but a 503 for everybody.
const SPARED: &str = "access";

/// So long is a storm, and so much likelier is it then that a whole request is refused or its answer lost. It outlives the
/// attempts of the SDK: a call fails for good, and now and then so does the one that would have told what came of it.
const STORM: Duration = Duration::from_secs(3);
const STORM_FACTOR: f64 = 70.0;

/// How often something happens to a request, each from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// The whole request is refused.
    pub refused: f64,
    /// Some members of a batch are held back.
    pub batches: f64,
    /// Each member of such a batch is held back so often.
    pub members: f64,
    /// The request is done, and its answer is an error of the server.
    pub lost: f64,
    /// A storm begins.
    pub storms: f64,
}

/// Throttles the functions of one process. Clones share generator and counts.
#[derive(Clone, Debug)]
pub struct Throttle(Arc<Mutex<Weather>>);

#[derive(Debug)]
struct Weather {
    rates: Rates,
    random: Rng,
    /// When the storm is over.
    storm_until: Option<Instant>,
    counts: BTreeMap<String, u64>,
}

/// What becomes of one request.
enum Fate {
    Done,
    Refused(Refusal),
    /// Done without these.
    Partly(HeldBack),
    /// Done, and nobody hears of it.
    Lost,
}

impl Throttle {
    #[must_use]
    pub fn new(seed: u64, rates: Rates) -> Self {
        let random = Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(Weather { rates, random, storm_until: None, counts: BTreeMap::new() })))
    }

    /// Clients that are throttled by this.
    #[must_use]
    pub fn clients(&self) -> HttpClients {
        let throttle = self.clone();
        Arc::new(move |function, inner| {
            if function == SPARED {
                return inner;
            }
            SharedHttpClient::new(ThrottledClient { function, inner, throttle: throttle.clone() })
        })
    }

    /// What happened how often so far, and how many requests each function made (`requests of consume`).
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.weather().counts.clone()
    }

    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Weather {
    fn happens(&mut self, rate: f64) -> bool {
        self.random.f64() < rate
    }

    fn count(&mut self, what: &str, times: usize) {
        *self.counts.entry(what.to_owned()).or_default() += times as u64;
    }

    /// Decides on a request, out of which it takes what is held back.
    fn fate(&mut self, function: &str, operation: &str, request: &mut Value) -> Fate {
        self.count(&format!("requests of {function}"), 1);
        self.storm_until = self.storm_until.filter(|until| Instant::now() < *until);
        if self.storm_until.is_none() && self.happens(self.rates.storms) {
            self.storm_until = Some(Instant::now() + STORM);
            self.count("storms", 1);
        }
        let factor = if self.storm_until.is_some() { STORM_FACTOR } else { 1.0 };
        if self.happens(self.rates.refused * factor) {
            let refusal = self.refusal(operation);
            let name = match refusal {
                Refusal::Throttled => "requests throttled",
                Refusal::Conflict => "requests in conflict",
                Refusal::ServerError => "requests broken",
            };
            self.count(name, 1);
            return Fate::Refused(refusal);
        }
        if self.happens(self.rates.batches)
            && let Some(held) = self.hold_back(operation, request)
        {
            return Fate::Partly(held);
        }
        if self.happens(self.rates.lost * factor) {
            self.count("answers lost", 1);
            return Fate::Lost;
        }
        Fate::Done
    }

    /// Only what writes can meet a transaction.
    fn refusal(&mut self, operation: &str) -> Refusal {
        let writes = matches!(operation, "TransactWriteItems" | "PutItem" | "UpdateItem" | "DeleteItem");
        match self.random.u8(..10) {
            0..4 if writes => Refusal::Conflict,
            0..8 => Refusal::Throttled,
            _ => Refusal::ServerError,
        }
    }

    fn hold_back(&mut self, operation: &str, request: &mut Value) -> Option<HeldBack> {
        let why = match self.random.u8(..3) {
            0 => Refusal::Throttled,
            1 => Refusal::Conflict,
            _ => Refusal::ServerError,
        };
        let members = self.rates.members;
        let mut members_held = 0;
        let held = hold_back(operation, request, why, |_| {
            let is_held = self.random.f64() < members;
            members_held += usize::from(is_held);
            is_held
        })?;
        let name = match &held {
            HeldBack::Statements { .. } => match why {
                Refusal::Throttled => "statements throttled",
                Refusal::Conflict => "statements in conflict",
                Refusal::ServerError => "statements broken",
            },
            HeldBack::Writes(_) => "batched writes unprocessed",
            HeldBack::Keys(_) => "batched keys unprocessed",
        };
        self.count(name, members_held);
        Some(held)
    }
}

#[derive(Debug)]
struct ThrottledClient {
    function: &'static str,
    inner: SharedHttpClient,
    throttle: Throttle,
}

impl HttpClient for ThrottledClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(ThrottledConnector {
            function: self.function,
            inner: self.inner.http_connector(settings, components),
            throttle: self.throttle.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct ThrottledConnector {
    function: &'static str,
    inner: SharedHttpConnector,
    throttle: Throttle,
}

impl HttpConnector for ThrottledConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.perform(request).await })
    }
}

impl ThrottledConnector {
    async fn perform(&self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default();
        let mut wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        // The lock is not held while the request is under way.
        let fate = self.throttle.weather().fate(self.function, &operation, &mut wanted);
        match fate {
            Fate::Done => self.inner.call(request).await,
            Fate::Refused(refusal) => Ok(refusal.answer(&operation, &wanted)),
            Fate::Lost => {
                let _ = self.inner.call(request).await?;
                Ok(Refusal::ServerError.answer(&operation, &wanted))
            }
            Fate::Partly(held) => {
                let mut answer = json!({});
                if !is_empty(&wanted) {
                    let rest = wanted.to_string();
                    request.headers_mut().insert("content-length", rest.len().to_string());
                    *request.body_mut() = rest.into();
                    let response = self.inner.call(request).await?;
                    if !response.status().is_success() {
                        return Ok(response);
                    }
                    let whole = response.into_body().collect().await;
                    let whole = whole.map_err(ConnectorError::io)?.to_bytes();
                    answer = serde_json::from_slice(&whole).map_err(|error| ConnectorError::io(error.into()))?;
                }
                held.complete(&mut answer);
                let ok = aws_smithy_runtime_api::http::StatusCode::try_from(200_u16);
                Ok(HttpResponse::new(ok.expect("a status"), answer.to_string().into()))
            }
        }
    }
}

/// Whether everything of a batch is held back: the database would refuse an empty one.
fn is_empty(request: &Value) -> bool {
    let is_empty = |members: &Value| match members {
        Value::Array(members) => members.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => true,
    };
    is_empty(&request["Statements"]) && is_empty(&request["RequestItems"])
}
