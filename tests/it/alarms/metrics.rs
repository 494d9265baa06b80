//! Metrics: those that the template's alarms watch, and those that lines in the embedded metric format tell.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::template::Template;

/// A metric, by all that `CloudWatch` tells metrics apart by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Metric {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
}

impl Metric {
    /// One with a single dimension.
    pub fn new(namespace: &str, name: &str, (dimension, value): (&str, &str)) -> Self {
        let dimensions = BTreeMap::from([(dimension.to_owned(), value.to_owned())]);
        Self { namespace: namespace.to_owned(), name: name.to_owned(), dimensions }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.namespace, self.name)?;
        self.dimensions.iter().try_for_each(|(name, value)| write!(formatter, " {name}={value}"))
    }
}

/// An alarm of the template, with the values that its expressions come to.
pub struct Alarm {
    /// As the template calls it.
    pub name: String,
    pub properties: Value,
}

/// What an alarm looks at.
pub struct Watched {
    pub metric: Metric,
    pub statistic: String,
    /// In seconds.
    pub period: u64,
}

impl Alarm {
    pub fn all_of(template: &Template) -> Vec<Self> {
        let names = template.resources_of("AWS::CloudWatch::Alarm").into_iter();
        names.map(|name| Self { properties: template.properties(&name), name }).collect()
    }

    /// The metric that it watches.
    ///
    /// # Panics
    /// When it watches an expression over metrics. Most are written only when something happens; filling up what is missing
    /// also takes the place of what arrives late, and such an alarm may stay silent for ever.
    pub fn watched(&self) -> Watched {
        let properties = &self.properties;
        assert!(properties.get("Metrics").is_none(), "{} watches an expression", self.name);
        let statistic = properties.get("Statistic").or(properties.get("ExtendedStatistic"));
        watched(properties, statistic.expect("a statistic"), &properties["Period"])
    }

    /// A number among its properties.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.properties[name].as_u64()
    }
}

fn watched(metric: &Value, statistic: &Value, period: &Value) -> Watched {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{metric}: {value} is no text")).to_owned();
    let dimensions = metric["Dimensions"].as_array().expect("dimensions").iter();
    Watched {
        metric: Metric {
            namespace: text(&metric["Namespace"]),
            name: text(&metric["MetricName"]),
            dimensions: dimensions.map(|dimension| (text(&dimension["Name"]), text(&dimension["Value"]))).collect(),
        },
        statistic: text(statistic),
        period: period.as_u64().expect("a period"),
    }
}

/// What a line says was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub metric: Metric,
    /// The sum of what was measured.
    pub value: f64,
}

/// What `CloudWatch` makes of a function's output: each line that has `_aws` tells metrics, each with every set of dimensions
/// that is named there, whose values are members of the line.
pub fn measured(output: &str) -> Vec<Measured> {
    // The test binary may write before the program does, and does not end its line.
    let lines = output.lines().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok());
    lines.flat_map(|line: Value| of_line(&line)).collect()
}

fn of_line(line: &Value) -> Vec<Measured> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut all = Vec::new();
    for directive in list(&line["_aws"]["CloudWatchMetrics"]) {
        for set in list(&directive["Dimensions"]) {
            let dimensions =
                list(&set).iter().map(|name| (text(name), text(&line[text(name)]))).collect::<BTreeMap<_, _>>();
            for metric in list(&directive["Metrics"]) {
                let name = text(&metric["Name"]);
                let value = match &line[&name] {
                    Value::Array(values) => values.iter().filter_map(Value::as_f64).sum(),
                    value => value.as_f64().expect("a number"),
                };
                let metric = Metric { namespace: text(&directive["Namespace"]), name, dimensions: dimensions.clone() };
                all.push(Measured { metric, value });
            }
        }
    }
    all
}

#[test]
fn a_line_tells_what_it_says_under_the_dimensions_that_it_names() {
    let output = r#"
running 1 test
test a_function ... {"timestamp":"2017-11-03T16:00:06.123Z","level":"INFO","message":"{}"}
{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Function"]],"Metrics":[{"Name":"A","Unit":"Count"},{"Name":"B","Unit":"Count"}]}]},"Function":"accept","A":2,"B":[0.5,1.0],"C":7}
{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["Function","Action"]],"Metrics":[{"Name":"D","Unit":"Count"}]}]},"Function":"accept","Action":"post","D":1}"#;
    let told: Vec<_> = measured(output).iter().map(|told| format!("{} {}", told.metric, told.value)).collect();
    assert_eq!(told, ["N A Function=accept 2", "N B Function=accept 1.5", "N D Action=post Function=accept 1"]);
}
