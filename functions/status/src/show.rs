//! `GET /jobs/{id}`, which waits for the end of the job when the request asks for that.

use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::account::AccountId;
use domain::job::render;
use domain::job::{Job, JobId};
use domain::limits::WAIT_SECONDS;
use domain::problem::quoted;
use lambda_http::Context;
use store::StoreError;
use tokio::time::Instant;
use wire::{Agent, Failure, PathParameters, Query, Rendered, bad_parameter};

use crate::Status;

/// What is kept of the function's time for the answer.
const TIME_TO_ANSWER: Duration = Duration::from_secs(3);

/// The first and the longest time between two looks at a job. A waiter of 20 s looks some 24 times, at a read unit each.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

pub(crate) async fn show(
    Agent(identity): Agent,
    State(status): State<Status>,
    PathParameters(id): PathParameters<String>,
    query: Query,
    Until(until): Until,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let wait = Wait::of(&query, &headers)?;
    let missing = || Failure::not_found(format!("No job has the id {}", quoted(&id)));
    let job_id = JobId::parse(&id).ok_or_else(missing)?;
    let until = until.min(Instant::now() + wait.time);
    let job = ended(&status, &identity.account, job_id, until).await?.ok_or_else(missing)?;
    let results = status.jobs.shown_results(&identity.account, &job).await?;
    let mut answer = Rendered(StatusCode::OK, render::job(&job, &results).into()).into_response();
    if let Some(applied) = wait.preference {
        answer.headers_mut().insert("preference-applied", applied);
    }
    Ok(answer)
}

/// The job, once it has ended, or as it is when the time is up.
async fn ended(status: &Status, account: &AccountId, id: JobId, until: Instant) -> Result<Option<Job>, StoreError> {
    let (mut pause, longest) = LOOKS;
    loop {
        let job = status.jobs.find_job(id.of(account), status.jobs.clock().now()).await?;
        let now = Instant::now();
        if now >= until || job.as_ref().is_none_or(|job| !job.status.is_active()) {
            return Ok(job);
        }
        tokio::time::sleep_until(until.min(now + pause)).await;
        pause = (pause * 2).min(longest);
    }
}

/// How long a request wants to wait: by `wait` in its query, or else by the header `Prefer` (RFC 7240).
struct Wait {
    time: Duration,
    /// What the answer says of it, where the header asked.
    preference: Option<HeaderValue>,
}

impl Wait {
    /// # Errors
    /// 400 for a bad `wait`. A preference that cannot be read is none, as the standard has it.
    fn of(query: &Query, headers: &HeaderMap) -> Result<Self, Failure> {
        if let Some(given) = query.get("wait")? {
            let allowed = format!("a whole number of seconds from 0 to {WAIT_SECONDS}");
            let time = seconds(given).filter(|seconds| *seconds <= WAIT_SECONDS);
            let time = time.ok_or_else(|| bad_parameter("wait", &allowed, given))?;
            return Ok(Self { time: Duration::from_secs(time), preference: None });
        }
        let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let wait = preferences.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("wait") { seconds(value.trim().trim_matches('"')) } else { None }
        });
        let Some(wait) = wait else { return Ok(Self { time: Duration::ZERO, preference: None }) };
        let time = wait.min(WAIT_SECONDS);
        let preference = HeaderValue::try_from(format!("wait={time}")).ok();
        Ok(Self { time: Duration::from_secs(time), preference })
    }
}

fn seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The time by which a request has to stop waiting, because Lambda would end its function. Where there is no Lambda,
/// the longest wait from now.
pub(crate) struct Until(Instant);

impl<S: Send + Sync> FromRequestParts<S> for Until {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let left = parts.extensions.get::<Context>().map(|context| {
            let end = context.deadline();
            end.duration_since(std::time::SystemTime::now()).unwrap_or_default().saturating_sub(TIME_TO_ANSWER)
        });
        Ok(Self(Instant::now() + left.unwrap_or(Duration::from_secs(WAIT_SECONDS))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use axum::http::Request;

    use super::*;

    /// How long a request may wait whose function has so much time left; none where there is no Lambda.
    async fn left(seconds: Option<u64>) -> Duration {
        let mut parts = Request::new(()).into_parts().0;
        if let Some(seconds) = seconds {
            let end = SystemTime::now() + Duration::from_secs(seconds);
            let mut context = Context::default();
            context.deadline = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().try_into().unwrap();
            parts.extensions.insert(context);
        }
        let began = Instant::now();
        let Ok(Until(until)) = Until::from_request_parts(&mut parts, &()).await else { panic!("it refuses nobody") };
        until.saturating_duration_since(began)
    }

    #[tokio::test]
    async fn who_waits_is_answered_before_the_function_is_stopped() {
        assert_eq!(left(None).await.as_secs(), WAIT_SECONDS);
        // The function has 29 s, of which 3 are for the answer: the longest wait fits, and with less left a shorter one is made of it.
        assert!(left(Some(29)).await >= Duration::from_secs(WAIT_SECONDS));
        assert!((6..=7).contains(&left(Some(10)).await.as_secs()));
        for seconds in [0, 1, 3] {
            // Between the two looks at the clock.
            assert!(left(Some(seconds)).await < Duration::from_millis(500), "it answers at once");
        }
    }
}
