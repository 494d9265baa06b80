//! The document as one page of HTML, with the style of `docs/reference.css`: it needs no script and nothing from
//! elsewhere, and can be read without the style.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::operations::ALWAYS;

/// Renders a document as HTML.
pub fn render(document: &Value) -> String {
    let page = Page { document, html: String::with_capacity(200_000) };
    page.written()
}

struct Page<'document> {
    document: &'document Value,
    html: String,
}

/// Text with nothing in it that HTML would take for its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A sentence: what stands between backticks is code.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (place, part) in escaped(text).split('`').enumerate() {
        let _ = if place % 2 == 1 { write!(html, "<code>{part}</code>") } else { write!(html, "{part}") };
    }
    html
}

fn text<'value>(value: &'value Value, name: &str) -> &'value str {
    value[name].as_str().unwrap_or_default()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

impl Page<'_> {
    /// Appends; writing to a String never fails.
    fn put(&mut self, html: impl AsRef<str>) {
        self.html.push_str(html.as_ref());
        self.html.push('\n');
    }

    /// What a `$ref` leads to, or the value itself.
    fn resolved<'value>(&'value self, value: &'value Value) -> &'value Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap_or(value),
            None => value,
        }
    }

    fn written(mut self) -> String {
        let document = self.document;
        let title = escaped(text(&document["info"], "title"));
        self.put("<!doctype html>");
        self.put(format!(
            "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<link rel=\"stylesheet\" href=\"reference.css\">\n</head>\n<body>"
        ));
        self.contents();
        self.put("<main>");
        self.put(format!("<h1>{title}</h1>"));
        self.put(format!("<p>{}</p>", prose(text(&document["info"], "summary"))));
        self.put(format!("<p>{}</p>", prose(text(&document["info"], "description"))));
        self.put(format!(
            "<p>Every path stands beneath <code>{}</code>. The same as an OpenAPI document: <a href=\"openapi.json\">openapi.json</a>.</p>",
            escaped(text(&document["servers"][0], "url"))
        ));
        self.access();
        self.refusals();
        for tag in entries(&document["tags"]) {
            self.tag(tag);
        }
        self.schemas();
        self.put("</main>\n</body>\n</html>");
        self.html
    }

    fn operations_of<'document>(
        document: &'document Value,
        tag: &str,
    ) -> Vec<(&'document str, &'document str, &'document Value)> {
        let mut operations = Vec::new();
        for (path, methods) in members(&document["paths"]) {
            for (method, operation) in members(methods) {
                if operation["tags"][0] == tag {
                    operations.push((method, path, operation));
                }
            }
        }
        operations
    }

    fn contents(&mut self) {
        let document = self.document;
        self.put("<nav aria-label=\"Contents\">");
        for tag in entries(&document["tags"]) {
            let name = text(tag, "name");
            self.put(format!("<h2>{}</h2>\n<ul>", escaped(name)));
            for (_, _, operation) in Self::operations_of(document, name) {
                let (id, summary) = (text(operation, "operationId"), text(operation, "summary"));
                self.put(format!("<li><a href=\"#{id}\">{}</a></li>", escaped(summary)));
            }
            self.put("</ul>");
        }
        self.put("<h2><a href=\"#schemas\">Schemas</a></h2>\n</nav>");
    }

    fn access(&mut self) {
        let document = self.document;
        self.put("<h2 id=\"access\">Who is calling</h2>\n<p>In one of these ways:</p>\n<ul>");
        for (_, scheme) in members(&document["components"]["securitySchemes"]) {
            self.put(format!("<li>{}</li>", prose(text(scheme, "description"))));
        }
        self.put("</ul>");
    }

    fn refusals(&mut self) {
        let document = self.document;
        self.put("<h2 id=\"errors\">Errors</h2>\n<p>Every route that asks who is calling may answer 400, 401, 403, 429, 500 and 503.</p>\n<table><thead><tr><th>code</th><th>when</th><th>body</th></tr></thead><tbody>");
        for (name, response) in members(&document["components"]["responses"]) {
            let schema = &response["content"]["application/json"]["schema"];
            let when = prose(text(response, "description"));
            let row = format!(
                "<tr id=\"error-{name}\"><td><code>{name}</code></td><td>{when}</td><td>{}</td></tr>",
                self.kind(schema)
            );
            self.put(row);
        }
        self.put("</tbody></table>");
    }

    fn tag(&mut self, tag: &Value) {
        let name = text(tag, "name");
        self.put(format!("<section>\n<h2>{}</h2>\n<p>{}</p>", escaped(name), prose(text(tag, "description"))));
        for (method, path, operation) in Self::operations_of(self.document, name) {
            self.operation(method, path, operation);
        }
        self.put("</section>");
    }

    fn operation(&mut self, method: &str, path: &str, operation: &Value) {
        let id = text(operation, "operationId");
        let method = method.to_uppercase();
        self.put(format!(
            "<article id=\"{id}\">\n<h3>{}</h3>\n<p class=\"route\"><b>{method}</b> <code>{}</code></p>",
            escaped(text(operation, "summary")),
            escaped(path)
        ));
        if let Some(description) = operation["description"].as_str() {
            self.put(format!("<p>{}</p>", prose(description)));
        }
        if operation["security"] == Value::Array(Vec::new()) {
            self.put("<p>Needs no credentials.</p>");
        }
        self.parameters(&operation["parameters"]);
        if operation.get("requestBody").is_some() {
            self.put(format!("<h4>Body</h4>\n<p>{}</p>", prose(text(&operation["requestBody"], "description"))));
            self.content(&operation["requestBody"]["content"]);
        }
        self.put("<h4>Answers</h4>");
        let mut refusals = Vec::new();
        for (status, response) in members(&operation["responses"]) {
            match response["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
                // What every route may answer is said once, above.
                Some(name) if !ALWAYS.iter().any(|always| always.to_string() == status) => {
                    refusals.push(format!("<a href=\"#error-{name}\">{status}</a>"));
                }
                Some(_) => {}
                None => {
                    let headers: Vec<&str> = members(&response["headers"])
                        .map(|(name, _)| name)
                        .filter(|name| !name.starts_with("X-"))
                        .collect();
                    let headers = if headers.is_empty() {
                        String::new()
                    } else {
                        format!(" With <code>{}</code>.", headers.join("</code>, <code>"))
                    };
                    self.put(format!("<p><b>{status}</b> {}{headers}</p>", prose(text(response, "description"))));
                    self.content(&response["content"]);
                }
            }
        }
        if !refusals.is_empty() {
            self.put(format!("<p>Also {}.</p>", refusals.join(", ")));
        }
        self.put("</article>");
    }

    fn parameters(&mut self, parameters: &Value) {
        if entries(parameters).next().is_none() {
            return;
        }
        self.put("<table><thead><tr><th>parameter</th><th>in</th><th>is</th><th></th></tr></thead><tbody>");
        for parameter in entries(parameters) {
            let parameter = self.resolved(parameter).clone();
            let required = if parameter["required"] == true { " <em>required</em>" } else { "" };
            let kind = self.kind(&parameter["schema"]);
            self.put(format!(
                "<tr><td><code>{}</code>{required}</td><td>{}</td><td>{kind}</td><td>{}</td></tr>",
                escaped(text(&parameter, "name")),
                text(&parameter, "in"),
                prose(text(&parameter, "description"))
            ));
        }
        self.put("</tbody></table>");
    }

    /// What a body is, by media type, with its examples.
    fn content(&mut self, content: &Value) {
        for (media_type, media) in members(content) {
            let kind = self.kind(&media["schema"]);
            self.put(format!("<p><code>{media_type}</code>: {kind}</p>"));
            let named = members(&media["examples"]).map(|(_, example)| (text(example, "summary"), &example["value"]));
            for (title, example) in named.chain(media.get("example").map(|example| ("", example))) {
                let body = match example {
                    Value::String(lines) => lines.clone(),
                    other => serde_json::to_string_pretty(other).unwrap_or_default(),
                };
                let of = if title.is_empty() { String::new() } else { format!(" of <code>{}</code>", escaped(title)) };
                let body = escaped(body.trim_end());
                self.put(format!("<details><summary>Example{of}</summary><pre>{body}</pre></details>"));
            }
        }
    }

    /// What a schema asks for, in a few words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            return format!("<a href=\"#schema-{name}\">{name}</a>");
        }
        if let Some(constant) = schema.get("const") {
            return format!("<code>{}</code>", escaped(&constant.to_string()));
        }
        if entries(&schema["enum"]).next().is_some() {
            let values: Vec<String> = entries(&schema["enum"])
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                .map(|value| format!("<code>{}</code>", escaped(&value)))
                .collect();
            return values.join(", ");
        }
        for alternatives in ["oneOf", "anyOf"] {
            if entries(&schema[alternatives]).next().is_some() {
                let kinds: Vec<String> = entries(&schema[alternatives]).map(|schema| self.kind(schema)).collect();
                return kinds.join(" or ");
            }
        }
        let names: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name.as_str()],
            names => entries(names).filter_map(Value::as_str).collect(),
        };
        let kinds: Vec<String> = names.into_iter().map(|name| self.plain_kind(name, schema)).collect();
        if kinds.is_empty() { "anything".to_owned() } else { kinds.join(" or ") }
    }

    fn plain_kind(&self, name: &str, schema: &Value) -> String {
        match name {
            "array" => format!("array of {}", self.kind(&schema["items"])),
            "object" if schema["properties"].is_object() => {
                let shown: Vec<String> = members(&schema["properties"])
                    .map(|(name, schema)| format!("<code>{}</code>: {}", escaped(name), self.kind(schema)))
                    .collect();
                format!("{{{}}}", shown.join(", "))
            }
            "string" => {
                let most = schema["maxLength"]
                    .as_u64()
                    .map_or_else(String::new, |most| format!(" of at most {most} characters"));
                let format = schema["format"].as_str().map_or_else(String::new, |format| format!(" ({format})"));
                format!("string{format}{most}")
            }
            "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
                (Some(least), Some(most)) => format!("whole number from {least} to {most}"),
                (Some(least), None) => format!("whole number of at least {least}"),
                _ => "whole number".to_owned(),
            },
            other => other.to_owned(),
        }
    }

    fn schemas(&mut self) {
        let document = self.document;
        self.put("<section id=\"schemas\">\n<h2>Schemas</h2>");
        for (name, schema) in members(&document["components"]["schemas"]) {
            self.put(format!("<article id=\"schema-{name}\">\n<h3>{name}</h3>"));
            if let Some(description) = schema["description"].as_str() {
                self.put(format!("<p>{}</p>", prose(description)));
            }
            if schema["properties"].is_object() {
                self.put("<table><thead><tr><th>member</th><th>is</th><th></th></tr></thead><tbody>");
                for (member, property) in members(&schema["properties"]) {
                    let required = entries(&schema["required"]).any(|required| required == member);
                    let optional = if required { "" } else { " <em>optional</em>" };
                    let row = format!(
                        "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{}</td></tr>",
                        escaped(member),
                        self.kind(property),
                        prose(text(property, "description"))
                    );
                    self.put(row);
                }
                self.put("</tbody></table>");
            } else {
                let kind = self.kind(schema);
                self.put(format!("<p>{kind}</p>"));
            }
            self.put("</article>");
        }
        self.put("</section>");
    }
}
