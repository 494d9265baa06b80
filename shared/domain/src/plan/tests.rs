use proptest::prelude::*;

use super::*;
use crate::limits;

fn id(byte: u8) -> RecordId {
    RecordId::from_bytes([byte; 16])
}

fn rendered(outcome: &Outcome) -> String {
    let mut json = Vec::new();
    outcome.render(&mut json);
    String::from_utf8(json).unwrap()
}

#[test]
fn a_plan_says_by_how_many_records_the_account_grows() {
    let entries = vec![
        Entry { makes: true, ..Entry::new(0, Outcome::Success(id(1)), 0) },
        Entry::new(1, Outcome::Success(id(1)), 0),
        Entry::new(2, Outcome::failure(Problem::internal()), 0),
        Entry::new(3, Outcome::Success(id(2)), 7),
    ];
    let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries };
    for (operation, growth) in [
        (Operation::CreateObjects, 1),
        (Operation::SetObjects, 1),
        (Operation::UpdateObjects, 0),
        (Operation::DeleteObjects, -3),
        (Operation::DeleteObjectsByExternalId, -3),
        (Operation::CreateRelationships, 1),
        (Operation::DeleteRelationships, -3),
    ] {
        assert_eq!(plan.growth(operation), growth, "{operation:?}");
    }
}

#[test]
fn results_look_as_published() {
    assert_eq!(
        rendered(&Outcome::Success(id(1))),
        r#"{"success":true,"data":{"id":"01010101-0101-0101-0101-010101010101"}}"#
    );
    let taken = "External Id is already in use for the Resource Type key: product";
    assert_eq!(
        rendered(&Outcome::failure(Problem::unprocessable(taken))),
        format!(
            r#"{{"success":false,"errors":[{{"code":"UnprocessableEntity","status":"422","title":"Unprocessable Entity","detail":"{taken}"}}]}}"#
        )
    );
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        any::<[u8; 16]>().prop_map(|bytes| Outcome::Success(RecordId::from_bytes(bytes))),
        proptest::collection::vec(".{0,900}", 1..12)
            .prop_map(|details| Outcome::Failure(details.into_iter().map(Problem::unprocessable).collect())),
    ]
}

proptest! {
    #[test]
    fn a_plan_reads_back(
        outcomes in proptest::collection::vec((1..9_u32, outcomes(), 0..=u64::MAX / 2, any::<bool>()), 0..20)
    ) {
        let mut position = 0;
        let entries = outcomes.into_iter().map(|(step, outcome, base, flag)| {
            let earlier = position;
            position += step;
            if outcome.is_success() {
                return Entry { makes: flag, ..Entry::new(position, outcome, base) };
            }
            Entry { relies_on: flag.then_some(earlier), ..Entry::new(position, outcome, 0) }
        });
        let made_at = Timestamp::from_seconds(1_700_000_000);
        let plan = Plan { revision: 7, made_at, closed: true, entries: entries.collect() };
        prop_assert_eq!(Plan::unpack(7, true, &plan.pack()), Ok(plan));
    }

    #[test]
    fn a_plan_without_what_makes_a_record_reads_back(bases in proptest::collection::vec(any::<u64>(), 0..20)) {
        let entries = (0..).zip(&bases).map(|(position, base)| Entry::new(position, Outcome::Success(id(1)), *base));
        let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries: entries.collect() };
        let mut packed = vec![FORMAT_WITHOUT_MAKING, 0];
        put_number(&mut packed, bases.len() as u64);
        for (place, base) in bases.iter().enumerate() {
            packed.extend([u8::from(place > 0), 0]);
            packed.extend_from_slice(id(1).as_bytes());
            put_number(&mut packed, *base);
        }
        prop_assert_eq!(Plan::unpack(1, false, &packed), Ok(plan));
    }

    #[test]
    fn a_plan_of_two_releases_before_reads_back(details in proptest::collection::vec(".{0,40}", 0..20)) {
        let failure = |detail: String| Outcome::failure(Problem::unprocessable(detail));
        let entries = (0..).zip(details).map(|(position, detail)| Entry::new(position, failure(detail), 0));
        let plan = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries: entries.collect() };
        // One byte less an entry, and another number before them.
        let mut packed = vec![FORMAT_WITHOUT_RELIANCE];
        put_number(&mut packed, 0);
        put_number(&mut packed, plan.entries.len() as u64);
        for (place, entry) in plan.entries.iter().enumerate() {
            put_number(&mut packed, u64::from(place > 0));
            let Outcome::Failure(problems) = &entry.outcome else { unreachable!("all of them fail") };
            packed.extend([1, problems[0].code.number()]);
            put_number(&mut packed, problems[0].detail.len() as u64);
            packed.extend_from_slice(problems[0].detail.as_bytes());
        }
        prop_assert_eq!(Plan::unpack(1, false, &packed), Ok(plan));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Plan::unpack(1, false, &bytes);
    }

    #[test]
    fn a_fitted_outcome_fits_and_says_why(outcome in outcomes(), total in 1..=10_000_u32) {
        let budget = Budget::of_job(total);
        let fitted = budget.fit(outcome.clone());
        let json = rendered(&fitted);
        let escaped: usize = serde_json::to_string(&json).unwrap().len() - 2;
        prop_assert!(escaped <= budget.0, "{} bytes in {:?}", escaped, budget);
        match (outcome, fitted) {
            (Outcome::Failure(before), Outcome::Failure(after)) => {
                prop_assert!(!after.is_empty());
                prop_assert!(before[0].detail.is_empty() || !after[0].detail.is_empty());
            }
            (before, after) => prop_assert_eq!(before, after),
        }
    }
}

/// What a result takes in an answer, with the comma after it.
fn taken(problems: &[Problem]) -> usize {
    serde_json::to_string(&rendered(&Outcome::Failure(problems.to_vec()))).unwrap().len() - 2 + 1
}

#[test]
fn as_many_problems_are_listed_as_fit_and_the_last_says_how_many_do_not() {
    let of_lengths = |lengths: &[usize]| -> Vec<Problem> {
        lengths.iter().map(|length| Problem::unprocessable("x".repeat(*length))).collect()
    };
    let with = |mut problems: Vec<Problem>, unlisted: usize| {
        if unlisted > 0 {
            let last = problems.last_mut().unwrap();
            last.detail = format!("{}, and {unlisted} more", last.detail).into();
        }
        problems
    };
    let mut cut = 0;
    for lengths in [&[30_usize; 12][..], &[0, 40, 0, 5], &[200, 1], &[1, 300, 1, 1], &[500], &[7, 7]] {
        let problems = of_lengths(lengths);
        for budget in 100..=2_000 {
            let Outcome::Failure(listed) = Budget(budget).fit(Outcome::Failure(problems.clone())) else {
                panic!("a failure stays one")
            };
            let fits = (1..=problems.len())
                .rev()
                .map(|count| with(problems[..count].to_vec(), problems.len() - count))
                .find(|problems| taken(problems) <= budget);
            if let Some(fits) = fits {
                assert_eq!(listed, fits, "{lengths:?} in {budget}");
                continue;
            }
            // Not even the first fits as it is.
            let [only] = &listed[..] else { panic!("{listed:?} in {budget}") };
            let detail = only.detail.as_ref();
            let suffix = with(of_lengths(&[0]), problems.len() - 1)[0].detail.clone();
            let text = detail.strip_suffix(suffix.as_ref()).unwrap_or(detail).trim_end_matches('…');
            assert!(text.bytes().all(|byte| byte == b'x') && text.len() < lengths[0].max(1), "{detail:?} in {budget}");
            if text.is_empty() {
                assert!(detail.is_empty() || taken(&listed) <= budget, "{detail:?} in {budget}");
            } else {
                cut += 1;
                assert!((budget - 4..=budget).contains(&taken(&listed)), "{} in {budget}", taken(&listed));
                assert!(detail.ends_with(suffix.as_ref()));
            }
        }
    }
    assert!(cut > 100, "{cut}");
}

#[test]
fn a_result_may_take_what_is_left_by_all_else_in_an_answer_and_in_a_row() {
    const JOB_OBJECT: usize = 4_096;
    // For the largest jobs it is the answer that binds, for those before a row.
    for total in [0, 1, 2, 21, 22, 383, 384, 499, 500, 501, 1_000].into_iter().chain(8_900..=10_000) {
        let items = total.max(1) as usize;
        let check = |Budget(budget): Budget, of_answer: usize, of_row: usize| {
            let fits = |budget: usize| {
                JOB_OBJECT + of_answer + items * (budget + 1) <= limits::ANSWER_BYTES
                    && of_row + items.min(limits::ITEMS_PER_CHUNK) * budget <= limits::RESULTS_BYTES
                    && budget <= limits::RESULT_BYTES
            };
            assert!(fits(budget) && !fits(budget + 1), "{budget} of {total}");
        };
        check(Budget::of_job(total), 0, 0);
        let names = 16 * total as usize;
        check(Budget::beside_refs(total), limits::CLIENT_REFS_BYTES + names, limits::CLIENT_REFS_PER_CHUNK);
    }
}

#[test]
fn the_longest_results_of_the_largest_job_fit_one_answer() {
    let total = u32::try_from(limits::ITEMS_PER_JOB).unwrap();
    let long = Outcome::Failure(vec![Problem::unprocessable("\"\\é".repeat(5_000)); 20]);
    let fitted = Budget::of_job(total).fit(long);
    let each = serde_json::to_string(&rendered(&fitted)).unwrap().len();
    assert!((each + 1) * limits::ITEMS_PER_JOB + 4_096 <= limits::ANSWER_BYTES);
}

#[test]
fn more_items_than_any_job_has_leave_no_room_for_words() {
    for total in [6_287_361, u32::MAX] {
        let fitted = Budget::of_job(total).fit(Outcome::failure(Problem::not_applied()));
        let said_nothing = Problem { detail: "".into(), ..Problem::not_applied() };
        assert_eq!(fitted, Outcome::failure(said_nothing));
    }
}

#[test]
fn a_chunk_of_the_longest_results_fits_its_row() {
    for total in [1, 2, 20, 250, 499, 500, 501, 10_000] {
        let long = Outcome::Failure(vec![Problem::unprocessable("x".repeat(20_000))]);
        let outcome = Budget::of_job(total).fit(long);
        let items = total.min(u32::try_from(limits::ITEMS_PER_CHUNK).unwrap());
        let entries = (0..items).map(|position| Entry::new(position, outcome.clone(), 0)).collect();
        let packed = Plan { revision: 1, made_at: Timestamp::default(), closed: false, entries }.pack().len();
        assert!(packed < 380_000, "{total}: {packed}");
    }
}

/// A plan with everything that few jobs have: names of items, records that are made, what only a validating job says, and reliance.
fn rich() -> Plan {
    let named = |entry: Entry, name: &str| Entry { client_ref: Some(name.into()), ..entry };
    let failure = |detail: &'static str| Outcome::failure(Problem::unprocessable(detail));
    let entries = vec![
        named(Entry { makes: true, ..Entry::new(0, Outcome::Success(id(1)), 0) }, "row 1"),
        Entry::new(3, Outcome::Success(id(2)), 700),
        named(Entry::new(300, Outcome::WouldMake, 0), "row \"2\""),
        named(Entry { relies_on: Some(0), ..Entry::new(301, failure("after"), 0) }, ""),
        Entry::new(9_999, failure("by itself"), 0),
    ];
    Plan { revision: 2, made_at: Timestamp::from_seconds(1_700_000_000), closed: false, entries }
}

#[test]
fn names_of_items_and_what_is_made_are_kept_in_a_plan_and_counted() {
    let plan = rich();
    assert_eq!(Plan::unpack(plan.revision, plan.closed, &plan.pack()), Ok(plan.clone()));
    assert_eq!((plan.succeeded(), plan.failed()), (3, 2));
    let unnamed = Plan {
        entries: plan.entries.iter().take(2).map(|entry| Entry { client_ref: None, ..entry.clone() }).collect(),
        ..plan.clone()
    };
    assert_eq!(Plan::unpack(2, false, &unnamed.pack()), Ok(unnamed.clone()));
    assert_eq!(unnamed.pack()[0], FORMAT, "what an earlier release reads too");
    assert_eq!(plan.pack()[0], FORMAT_WITH_REFS);
}

/// What an entry has decides the format of a whole plan, so each is tried without others.
#[test]
fn each_entry_alone_reads_back() {
    let failure = || Outcome::failure(Problem::unprocessable("no"));
    for outcome in [Outcome::Success(id(1)), failure(), Outcome::WouldMake] {
        for client_ref in [None, Some(""), Some("row")] {
            for makes in [false, true] {
                let makes = makes && outcome.is_success();
                let entry =
                    Entry { makes, client_ref: client_ref.map(Into::into), ..Entry::new(3, outcome.clone(), 0) };
                let plan = Plan { entries: vec![entry], ..Plan::empty(Timestamp::default()) };
                assert_eq!(Plan::unpack(plan.revision, plan.closed, &plan.pack()), Ok(plan));
            }
        }
    }
}

#[test]
fn a_result_repeats_the_clients_name_and_on_a_page_its_position() {
    let plan = rich();
    let shown = |render: fn(&Entry, &mut Vec<u8>), place: usize| {
        let mut json = Vec::new();
        render(&plan.entries[place], &mut json);
        String::from_utf8(json).unwrap()
    };
    let data = format!(r#""success":true,"data":{{"id":"{}"}}"#, id(1));
    assert_eq!(shown(Entry::render, 0), format!(r#"{{{data},"client_ref":"row 1"}}"#));
    assert_eq!(shown(Entry::render_with_position, 0), format!(r#"{{"position":0,"client_ref":"row 1",{data}}}"#));
    assert_eq!(
        shown(Entry::render_with_position, 2),
        r#"{"position":300,"client_ref":"row \"2\"","success":true,"data":{}}"#
    );
    assert_eq!(
        shown(Entry::render_with_position, 1),
        format!(r#"{{"position":3,"success":true,"data":{{"id":"{}"}}}}"#, id(2))
    );
}
