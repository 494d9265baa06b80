//! Redirects from the paths of an earlier version of the API.

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode, Uri};

use crate::BASE;
use crate::failure::Failure;

/// What every earlier path starts with.
const OLD_BASE: &str = "/api/custom_resources/";

/// The first segment of an earlier path behind its base, and what stands in its place today.
const SEGMENTS: [(&str, &str); 7] = [
    ("resource_types", "objects/types"),
    ("resources", "objects/records"),
    ("relationship_types", "relationships/types"),
    ("relationships", "relationships/records"),
    ("query", "objects/query"),
    ("limits", "limits"),
    ("jobs", "jobs"),
];

/// Answers a path that no route has: 308 to the present route where it is the earlier path of one, else 404. A client
/// sends the same request there again, with its method, body and query.
pub(crate) async fn moved(uri: Uri) -> Response {
    match route_of_today(&uri) {
        Some(location) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response(),
        None => Failure::no_route().into_response(),
    }
}

/// Begins with [`BASE`], so it leads to no other host, whatever stands behind.
fn route_of_today(uri: &Uri) -> Option<HeaderValue> {
    let path = uri.path().strip_prefix(OLD_BASE)?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let (_, today) = SEGMENTS.into_iter().find(|(old, _)| *old == first)?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("{BASE}/{today}{rest}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(old: &str, today: Option<&str>) {
        let location = route_of_today(&old.parse().unwrap());
        assert_eq!(location.as_ref().map(|location| location.to_str().unwrap()), today, "{old}");
    }

    #[test]
    fn each_name_leads_to_todays_with_what_stands_behind() {
        check("/api/custom_resources/jobs", Some("/api/sunshine/jobs"));
        check("/api/custom_resources/jobs/7/abort", Some("/api/sunshine/jobs/7/abort"));
        check("/api/custom_resources/jobs?status=queued&page=1", Some("/api/sunshine/jobs?status=queued&page=1"));
        check("/api/custom_resources/resource_types", Some("/api/sunshine/objects/types"));
        check("/api/custom_resources/resource_types/2019-car", Some("/api/sunshine/objects/types/2019-car"));
        check("/api/custom_resources/resources?type=a%20b", Some("/api/sunshine/objects/records?type=a%20b"));
        check("/api/custom_resources/relationship_types/x", Some("/api/sunshine/relationships/types/x"));
        check("/api/custom_resources/relationships/7", Some("/api/sunshine/relationships/records/7"));
        check("/api/custom_resources/query?per_page=2", Some("/api/sunshine/objects/query?per_page=2"));
        check("/api/custom_resources/limits", Some("/api/sunshine/limits"));
    }

    #[test]
    fn what_was_no_name_leads_nowhere() {
        for other in [
            "/",
            "/api/custom_resources",
            "/api/custom_resources/",
            "/api/custom_resources//jobs",
            "/api/custom_resources/Jobs",
            "/api/custom_resources/jobs%2F7",
            "/api/custom_resources/jobsx",
            "/x/api/custom_resources/jobs",
            "/api/sunshine/nowhere",
        ] {
            check(other, None);
        }
        // As it is, below the same base.
        check("/api/custom_resources/jobs//evil.example/../x", Some("/api/sunshine/jobs//evil.example/../x"));
        check("/api/custom_resources/jobs/%0d%0aSet-Cookie:x", Some("/api/sunshine/jobs/%0d%0aSet-Cookie:x"));
    }

    proptest! {
        #[test]
        fn no_path_leads_to_another_host(rest in r"[ -~]{0,40}") {
            if let Ok(uri) = format!("/api/custom_resources/{rest}").parse()
                && let Some(location) = route_of_today(&uri)
            {
                prop_assert!(location.to_str().unwrap().starts_with("/api/sunshine/"));
            }
        }
    }
}
