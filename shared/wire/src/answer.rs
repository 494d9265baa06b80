//! Success answers.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::failure::Failure;

/// What every answer with a body is.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An answer with the JSON body `{"data": value}`.
#[derive(Clone, Copy, Debug)]
pub struct Data<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope<T> {
            data: T,
        }
        json(self.0, serde_json::to_vec(&Envelope { data: self.1 }))
    }
}

/// An answer whose body is given as JSON text, `{"data": …}` included.
#[derive(Clone, Debug)]
pub struct Rendered(pub StatusCode, pub Bytes);

impl IntoResponse for Rendered {
    fn into_response(self) -> Response {
        (self.0, [(CONTENT_TYPE, JSON)], self.1).into_response()
    }
}

/// Links to the pages beside a page of a list: root-relative paths, null at an end of the list.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Links {
    pub next: Option<String>,
    pub previous: Option<String>,
}

/// A page of a list, as an answer: 200 with `{"data": [item, …], "links": {…}}`.
#[derive(Clone, Debug)]
pub struct List<T> {
    pub items: Vec<T>,
    pub links: Links,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Envelope<T> {
            data: Vec<T>,
            links: Links,
        }
        json(StatusCode::OK, serde_json::to_vec(&Envelope { data: self.items, links: self.links }))
    }
}

/// An answer like [`List`], whose items are given as JSON text.
#[derive(Clone, Debug)]
pub struct RenderedList {
    /// The whole array, brackets included.
    pub items: Vec<u8>,
    pub links: Links,
}

impl IntoResponse for RenderedList {
    fn into_response(self) -> Response {
        let links = match serde_json::to_vec(&self.links) {
            Ok(links) => links,
            Err(error) => return Failure::internal(error).into_response(),
        };
        let pieces: [&[u8]; 5] = [br#"{"data":"#, &self.items, br#","links":"#, &links, b"}"];
        Rendered(StatusCode::OK, pieces.concat().into()).into_response()
    }
}

fn json(status: StatusCode, body: serde_json::Result<Vec<u8>>) -> Response {
    match body {
        Ok(body) => Rendered(status, body.into()).into_response(),
        Err(error) => Failure::internal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::reply;

    async fn check(answer: impl IntoResponse, status: u16, body: &str) {
        let reply = reply(answer.into_response()).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (status, body));
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    }

    #[tokio::test]
    async fn every_success_is_wrapped_in_data() {
        check(Data(StatusCode::CREATED, BTreeMap::from([("id", "a")])), 201, r#"{"data":{"id":"a"}}"#).await;
        check(Rendered(StatusCode::OK, Bytes::from_static(b"{\"data\":1}")), 200, r#"{"data":1}"#).await;
    }

    #[tokio::test]
    async fn a_list_has_links_however_its_items_were_rendered() {
        let links = Links { next: Some("/a?b=c".to_owned()), previous: None };
        let body = r#"{"data":[1,2],"links":{"next":"/a?b=c","previous":null}}"#;
        check(List { items: vec![1, 2], links: links.clone() }, 200, body).await;
        check(RenderedList { items: b"[1,2]".to_vec(), links }, 200, body).await;
    }

    #[tokio::test]
    async fn what_cannot_be_serialized_is_a_500() {
        // JSON's member names are strings.
        let nameless = BTreeMap::from([(vec![1], 1)]);
        let reply = reply(Data(StatusCode::OK, nameless).into_response()).await;
        assert_eq!(reply.status, 500);
    }
}
