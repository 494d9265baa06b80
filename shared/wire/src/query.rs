//! Query parameters of a request.

use std::borrow::Cow;

use axum::extract::{FromRequestParts, OriginalUri};
use http::Uri;
use http::request::Parts;

use crate::failure::Failure;

/// The parameters of a query, decoded, in the order they were given; and the path, for links to other pages.
///
/// Parameters that a route does not know are ignored; links carry them on all the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads a query. This never fails: only a parameter that a route asks for can be wrong.
    #[must_use]
    pub fn parse(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        Self { path: uri.path().to_owned(), pairs }
    }

    /// The value of a parameter; `None` when it is missing or empty. The same value given twice counts once, as
    /// published clients send that.
    ///
    /// # Errors
    /// 400 when it is given with different values, since none of them has precedence.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self
            .pairs
            .iter()
            .filter(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str());
        let first = values.next();
        match values.find(|value| Some(*value) != first) {
            None => Ok(first),
            Some(_) => Err(Failure::bad_request(format!("`{name}` is given more than once, with different values"))),
        }
    }

    /// The value of a parameter that is `true` or `false`; `None` where it is not given.
    ///
    /// # Errors
    /// 400 for any other value, and as [`get`](Self::get).
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(bad_parameter(name, "true or false", other)),
        }
    }

    /// The path with all parameters, and `cursor` in place of the present one, or last when there is none.
    pub(crate) fn with_cursor(&self, cursor: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut placed = false;
        for (name, value) in &self.pairs {
            let is_cursor = name == "cursor";
            query.append_pair(name, if is_cursor { cursor } else { value });
            placed |= is_cursor;
        }
        if !placed {
            query.append_pair("cursor", cursor);
        }
        format!("{}?{}", self.path, query.finish())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        // A router inside another one sees the rest of the path only; a link needs all of it.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        Ok(Self::parse(uri))
    }
}

/// A 400 for a parameter whose value `given` is not one of `allowed`: its detail has both.
#[must_use]
pub fn bad_parameter(name: &str, allowed: &str, given: &str) -> Failure {
    Failure::bad_request(format!("`{name}` must be {allowed}, not {:?}", cut(given)))
}

/// A client's own text, cut short enough to be repeated in an answer.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{request, send};

    fn query(uri: &str) -> Query {
        Query::parse(&uri.parse().unwrap())
    }

    /// What the query says of `name`, or why that cannot be said.
    #[track_caller]
    fn check(uri: &str, name: &str, expected: Result<Option<&str>, &str>) {
        let query = query(uri);
        let said = query.get(name).map_err(|failure| {
            assert_eq!(failure.status(), 400);
            failure.problems()[0].detail.clone().into_owned()
        });
        assert_eq!(said, expected.map_err(str::to_owned), "{uri}");
    }

    #[test]
    fn parameters_are_decoded() {
        let uri = "/a?status=queued&name=a+b%26%C3%A4&empty&=nameless";
        check(uri, "status", Ok(Some("queued")));
        check(uri, "name", Ok(Some("a b&ä")));
        check(uri, "nothing", Ok(None));
    }

    #[test]
    fn an_empty_parameter_is_none_and_the_same_twice_is_one() {
        check("/a?type", "type", Ok(None));
        check("/a?type=&type=", "type", Ok(None));
        check("/a?type=&type=a", "type", Ok(Some("a")));
        check("/a?type=a&t%79pe=%61&type=", "type", Ok(Some("a")));
    }

    #[test]
    fn a_parameter_with_two_values_is_named_where_it_means_something() {
        let uri = "/a?type=a&b=c&t%79pe=b&b=d";
        check(uri, "type", Err("`type` is given more than once, with different values"));
        check(uri, "status", Ok(None));
    }

    #[test]
    fn a_link_carries_every_parameter_in_order() {
        let check = |uri: &str, link: &str| assert_eq!(query(uri).with_cursor("C-_"), link);
        check("/jobs", "/jobs?cursor=C-_");
        check("/jobs?status=queued&unknown=a%26b+%C3%A4", "/jobs?status=queued&unknown=a%26b+%C3%A4&cursor=C-_");
        check("/jobs?a=1&cursor=old&b=2", "/jobs?a=1&cursor=C-_&b=2");
        check("/a%2Fb?ids=x%2Cy", "/a%2Fb?ids=x%2Cy&cursor=C-_");
        check("https://host/jobs?a=1", "/jobs?a=1&cursor=C-_");
    }

    #[tokio::test]
    async fn a_nested_router_links_to_the_whole_path() {
        let inner = Router::new().route("/jobs", get(async |query: Query| query.with_cursor("c")));
        let reply = send(&Router::new().nest("/api/sunshine", inner), request("GET", "/api/sunshine/jobs?a=b")).await;
        assert_eq!(reply.text(), "/api/sunshine/jobs?a=b&cursor=c");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        let detail = |given: &str| bad_parameter("status", "queued or failed", given).problems()[0].detail.clone();
        assert_eq!(detail("x\""), r#"`status` must be queued or failed, not "x\"""#);
        assert_eq!(detail(&"ä".repeat(101)).chars().count(), "`status` must be queued or failed, not ".len() + 103);
    }

    proptest! {
        #[test]
        fn a_link_reads_back_as_what_it_was_made_from(
            pairs in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..5),
            cursor in "[A-Za-z0-9_-]{0,20}",
        ) {
            let given = Query { path: "/a".to_owned(), pairs: pairs.into_iter().collect() };
            let read = Query::parse(&given.with_cursor(&cursor).parse().unwrap());
            let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            for (name, value) in &given.pairs {
                let value = if name == "cursor" { &cursor } else { value };
                prop_assert_eq!(read.get(name).unwrap().map(str::to_owned), said(value));
            }
            prop_assert_eq!(read.get("cursor").unwrap().map(str::to_owned), said(&cursor));
        }
    }
}
