//! Lists of the API, page by page.

use serde_json::Value;

use crate::arguments::Page;
use crate::client::{Client, Repeat, Request};
use crate::failure::Failure;

/// The most that the API lists at a time.
const LARGEST_PAGE: usize = 1_000;

/// The entries of all pages, as many as are wanted. A search has its body again on each page.
pub(crate) async fn list(
    client: &Client,
    request: Request,
    page: Page,
    body: Option<&Value>,
) -> Result<Vec<Value>, Failure> {
    let wanted = if page.limit == 0 { usize::MAX } else { page.limit };
    let mut entries = Vec::new();
    let mut pages = Pages::of(client, request, wanted.min(LARGEST_PAGE), body);
    while entries.len() < wanted
        && let Some(found) = pages.next().await?
    {
        entries.extend(found);
    }
    entries.truncate(wanted);
    Ok(entries)
}

/// The pages of a list, one after the other.
pub(crate) struct Pages<'a> {
    client: &'a Client,
    next: Option<Request>,
    body: Option<&'a Value>,
}

impl<'a> Pages<'a> {
    /// Pages as large as the API has them.
    pub(crate) fn new(client: &'a Client, request: Request, body: Option<&'a Value>) -> Self {
        Self::of(client, request, LARGEST_PAGE, body)
    }

    fn of(client: &'a Client, request: Request, size: usize, body: Option<&'a Value>) -> Self {
        Self { client, next: Some(request.query("per_page", size.to_string())), body }
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Value>>, Failure> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let mut answer = self.client.send(request).await?;
        self.next = answer["links"]["next"].as_str().map(|next| match self.body {
            Some(body) => Request::post(next, body).repeat(Repeat::Always),
            None => Request::get(next),
        });
        Ok(Some(match answer["data"].take() {
            Value::Array(found) => found,
            _ => Vec::new(),
        }))
    }
}
