//! A job with its results as JSON, written straight into bytes.

use crate::job::Job;
use crate::plan::{Entry, Outcome, Plan, append};
use crate::problem::Problem;

/// The JSON `{"data":{…}}` of one job. `plans` are the results of its chunks, in any order; empty where the job shows
/// no results.
///
/// An item without an entry (its chunk was given up before any worker agreed on it) shows a failed result that says so.
#[must_use]
pub fn job(job: &Job, plans: &[Plan]) -> Vec<u8> {
    let mut json = Vec::with_capacity(512 + job.total as usize * 80);
    json.extend_from_slice(br#"{"data":"#);
    append(&mut json, job);
    // The object ends with `}`; its last member goes in before that.
    json.pop();
    json.extend_from_slice(br#","results":["#);
    if job.status.shows_results() {
        results(&mut json, job.total, plans);
    }
    json.extend_from_slice(b"]}}");
    json
}

fn results(json: &mut Vec<u8>, total: u32, plans: &[Plan]) {
    let mut by_position: Vec<Option<&Entry>> = vec![None; total as usize];
    for entry in plans.iter().flat_map(|plan| &plan.entries) {
        if let Some(place) = by_position.get_mut(entry.position as usize) {
            *place = Some(entry);
        }
    }
    let not_applied = Outcome::failure(Problem::not_applied());
    for (position, entry) in by_position.into_iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        match entry {
            Some(entry) => entry.render(json),
            None => not_applied.render(json),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::job::{JobId, JobStatus, Operation};
    use crate::record::RecordId;
    use crate::time::Timestamp;

    fn example() -> Job {
        let clock = Clock::manual(Timestamp::from_millis(1_509_724_806_500), 1);
        Job::queued(JobId::new(&clock), Operation::CreateObjects, 3, 2)
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_queued_job_looks_as_published() {
        let queued = example();
        assert_eq!(
            text(job(&queued, &[])),
            format!(
                r#"{{"data":{{"id":"{}","job_status":"queued","created_at":"2017-11-03T16:00:06Z","updated_at":"2017-11-03T16:00:06Z","completed_at":null,"type":"resources","action":"post","progress":{{"total":3,"processed":0,"succeeded":0,"failed":0}},"results":[]}}}}"#,
                queued.id
            )
        );
    }

    #[test]
    fn results_stand_by_position_whatever_the_order_of_chunks() {
        let mut completed = example();
        completed.status = JobStatus::Completed;
        let entry = |position, outcome| Entry::new(position, outcome, 0);
        let success = |byte| Outcome::Success(RecordId::from_bytes([byte; 16]));
        let plans = [
            Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries: vec![entry(1, success(1))] },
            Plan {
                revision: 1,
                made_at: Timestamp::default(),
                closed: false,
                entries: vec![entry(0, success(0)), entry(2, Outcome::failure(Problem::unprocessable("no")))],
            },
        ];
        let json: serde_json::Value = serde_json::from_slice(&job(&completed, &plans)).unwrap();
        let results = json["data"]["results"].as_array().unwrap();
        assert_eq!(results[0]["data"]["id"], "00000000-0000-0000-0000-000000000000");
        assert_eq!(results[1]["data"]["id"], "01010101-0101-0101-0101-010101010101");
        assert_eq!(results[2]["errors"][0]["detail"], "no");
    }

    #[test]
    fn a_failed_job_shows_why_and_each_item_without_an_outcome_says_so() {
        let mut failed = example();
        failed.status = JobStatus::Failed;
        failed.error = Some(Problem::internal());
        let json: serde_json::Value = serde_json::from_slice(&job(&failed, &[])).unwrap();
        assert_eq!(json["data"]["error"]["code"], "InternalServerError");
        let results = json["data"]["results"].as_array().unwrap();
        assert_eq!(results.len(), 3);
        assert!(results.iter().all(|result| result["errors"][0]["status"] == "500"));
    }

    #[test]
    fn a_job_that_is_under_way_shows_no_results() {
        let mut processing = example();
        processing.status = JobStatus::Processing;
        let entries = vec![Entry::new(0, Outcome::failure(Problem::internal()), 0)];
        assert!(
            text(job(&processing, &[Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries }]))
                .ends_with(r#""results":[]}}"#)
        );
    }
}
