//! What Lambda hands to a function: requests as API Gateway has them, messages as SQS has them.

use serde_json::{Value, json};

/// Whoever calls the API.
pub struct Caller {
    authorization: String,
}

/// A request of the API.
pub struct ApiCall<'call> {
    pub method: &'call str,
    /// Without the beginning that all have.
    pub path: &'call str,
    pub query: &'call str,
    pub body: Option<String>,
}

impl Caller {
    pub fn new(token: &str) -> Self {
        Self { authorization: format!("Bearer {token}") }
    }

    /// The event of a request, in the payload format 2.0.
    pub fn event(&self, call: &ApiCall<'_>) -> Value {
        let path = format!("{}{}", tests::BASE, call.path);
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": call.query,
            "headers": {
                "accept": "application/json",
                "authorization": self.authorization,
                "content-type": "application/json",
                "host": "bench.execute-api.us-east-1.amazonaws.com",
                "user-agent": "bench/1.0",
                "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
                "x-forwarded-for": "203.0.113.7",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "bench",
                "domainName": "bench.execute-api.us-east-1.amazonaws.com",
                "domainPrefix": "bench",
                "http": {
                    "method": call.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": "bench/1.0",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": "$default",
                "stage": "$default",
                "time": "29/Nov/2026:12:00:00 +0000",
                "timeEpoch": 1_796_040_000_000_u64,
            },
            "isBase64Encoded": false,
        });
        if let Some(body) = &call.body {
            event["body"] = json!(body);
        }
        event
    }
}

/// The event of messages, each received for the first time.
pub fn messages(bodies: &[String]) -> Value {
    let records = bodies.iter().enumerate().map(|(at, body)| {
        json!({
            "messageId": format!("00000000-0000-0000-0000-{at:012}"),
            "receiptHandle": "bench",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1796040000000",
                "SenderId": "bench",
                "ApproximateFirstReceiveTimestamp": "1796040000001",
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:bench",
            "awsRegion": "us-east-1",
        })
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

/// The body of a job.
pub fn job(action: &str, job_type: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    format!(r#"{{"type":"{job_type}","action":"{action}","data":[{}]}}"#, items.join(","))
}

/// A small product record.
pub fn product(number: u64) -> String {
    let attributes = format!(r#"{{"name":"Gum {number:06}","price":1.5,"note":"sugar free"}}"#);
    format!(r#"{{"type":"product","external_id":"sku-{number:06}","attributes":{attributes}}}"#)
}
