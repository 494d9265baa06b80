"""`python3 -m unittest discover infra`: every alarm of the template rings when that happens which it is for, and not before.

Each alarm is given the samples that its metric has when the thing happens, minute by minute, and is evaluated each minute as
CloudWatch describes it. `tests/it/alarms.rs` shows that the metric is written when the thing happens.
"""

import math
import re
import unittest
from pathlib import Path

TEXT = Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")
FUNCTIONS = ["accept", "consume", "status", "records", "bury", "sweep"]

# Samples arrive in CloudWatch so many minutes late.
DELAYS = [0, 2, 5]
# CloudWatch looks at more points than an alarm's EvaluationPeriods, so that real ones are found. How many more it does not say;
# in the examples of its documentation it is two.
MORE = [2, 1, 6]
# When trouble begins, and how long it is watched.
START, WATCHED = 60, 240


def default(parameter):
    """A number that is a parameter's default."""
    return float(re.search(rf"^  {parameter}:\n(?:    .*\n)*?    Default: (\d+)$", TEXT, re.M)[1])


class Alarm:
    def __init__(self, properties):
        self.name = properties["AlarmName"].removeprefix("!Sub ${AWS::StackName}-")
        self.properties = properties
        self.metric = properties["MetricName"]
        self.period = int(properties["Period"]) // 60
        self.statistic = properties.get("Statistic") or properties["ExtendedStatistic"]
        self.periods = int(properties["EvaluationPeriods"])
        self.to_alarm = int(properties["DatapointsToAlarm"])
        threshold = properties["Threshold"]
        self.threshold = default(threshold[5:]) if threshold.startswith("!Ref ") else float(threshold)

    @property
    def missing_breaches(self):
        # With the other two the alarm would be left in INSUFFICIENT_DATA, or in the state that it happens to be in.
        return {"breaching": True, "notBreaching": False}[self.properties["TreatMissingData"]]

    def breaches(self, value):
        match self.properties["ComparisonOperator"]:
            case "GreaterThanThreshold":
                return value > self.threshold
            case "GreaterThanOrEqualToThreshold":
                return value >= self.threshold
            case "LessThanThreshold":
                return value < self.threshold
            case other:
                raise ValueError(other)

    def point(self, samples):
        """What a period's samples come to, or None when there are none."""
        if not samples:
            return None
        match self.statistic:
            case "Sum":
                return sum(samples)
            case "Maximum":
                return max(samples)
            case "p99":
                return sorted(samples)[math.ceil(len(samples) * 0.99) - 1]
            case other:
                raise ValueError(other)

    def rings(self, points):
        """Whether it is in ALARM after these points, the oldest first, all of which CloudWatch looks at: the newest that exist
        count, and missing ones only where too few do."""
        found = [self.breaches(point) for point in points if point is not None][-self.periods :]
        missing = self.periods - len(found)
        return sum(found) + (missing if self.missing_breaches else 0) >= self.to_alarm

    def states(self, samples, delay, more, prompt=None):
        """Whether it is in ALARM after each minute. `samples` are those of each minute that has some; `prompt` are others,
        which are never late."""
        states = []
        for now in range(1, WATCHED + 1):
            points = []
            for back in reversed(range(self.periods + more)):
                end = now - back * self.period
                period = range(max(end - self.period, 0), max(end, 0))
                known = [sample for minute in period if minute + delay < now for sample in samples.get(minute, [])]
                known += [sample for minute in period if prompt for sample in prompt.get(minute, [])]
                points.append(self.point(known))
            states.append(self.rings(points))
        return states


def alarms():
    blocks = re.findall(r"^  \w+:\n    Type: AWS::CloudWatch::Alarm\n((?:    .*\n)+)", TEXT, re.M)
    return [Alarm(dict(re.findall(r"^      (\w+): *(.*)$", block, re.M))) for block in blocks]


ALARMS = {alarm.name: alarm for alarm in alarms()}


def every(first, end, sample, step=1):
    """The same samples in each of these minutes."""
    return {minute: list(sample) for minute in range(first, end, step)}


def all_but(lists, gaps):
    return {minute: samples for minute, samples in lists.items() if minute not in gaps}


def again(sample, minutes, step):
    """For so many minutes, and once more every `step` minutes."""
    return {first + minute: list(sample) for first in range(START, WATCHED - minutes, step) for minute in range(minutes)}


class Story:
    """What an alarm is for, and what it is not for."""

    def __init__(self, trouble, within, quiet=()):
        # Samples of each minute. What happens begins at START.
        self.trouble = trouble
        # Minutes after which it has to ring, when samples arrive at once.
        self.within = within
        # Other samples, at which it must not ring. Nothing at all is always one of them.
        self.quiet = [*quiet, {}]


ALL = every(0, WATCHED, [0])


def with_zeros(samples):
    """Of a metric that is written all the time."""
    return {**ALL, **samples}


# It happens once, and nothing is written before and after.
ONCE = Story([{START: [1]}], 1)
# It happens in one of the calls of a minute. The others are counted as zeros.
ONE_CALL = Story([{START: [0, 1, 0]}, with_zeros({START: [0, 1, 0]}), {START: [0], START + 1: [1]}], 2, [ALL])

AGE = 300
SLOW = 3_000
# A message that bury is handed over and over: in flight, but for a moment every six minutes, and nothing is written then.
AGAIN = all_but(every(START, START + 120, [1]), range(START + 6, WATCHED, 7))

STORIES = {
    "dead-letters": ONCE,
    "dead-letters-stay-in-flight": Story(
        [every(START, START + 120, [1]), AGAIN, with_zeros(AGAIN)],
        20,
        # Closed at once; at the second try; and so now and then.
        [{START: [1]}, every(START, START + 8, [1]), with_zeros(again([1], 8, 28))],
    ),
    "dead-letters-stay-waiting": Story(
        [every(START, START + 120, [3]), with_zeros(every(START, START + 120, [3]))],
        20,
        # Many at once, which bury takes off the queue twenty at a time.
        [with_zeros({START + minute: [240 - 40 * minute] for minute in range(6)}), with_zeros(again([9], 6, 25)), ALL],
    ),
    "queue-age": Story(
        # Nobody takes a chunk, which gets older and older; and then the queue is empty.
        [{START + minute: [60 * minute] for minute in range(60)}],
        AGE // 60 + 8,
        [every(0, WATCHED, [AGE]), {START: [AGE + 1]}, with_zeros(again([AGE + 1], 1, 12))],
    ),
    "server-errors": Story(
        [every(START, START + 10, [0, 1, 0]), {START: [1] * 5}, with_zeros(every(START, START + 10, [0, 1, 0]))],
        10,
        [ALL, with_zeros({START: [1] * 4}), every(0, WATCHED, [1], 2)],
    ),
    "latency": Story(
        [{**every(0, WATCHED, [20] * 20), **every(START, START + 20, [20] * 18 + [SLOW + 1] * 2)}],
        16,
        [every(0, WATCHED, [SLOW] * 20), {**every(0, WATCHED, [20] * 20), **again([SLOW + 1], 5, 20)}],
    ),
    "sweep-not-run": Story(
        # It runs, does not for an hour and a half, and runs again.
        [all_but(every(0, WATCHED, [1], 5), range(START, START + 90))],
        # The last run is five minutes before.
        20,
        # In time; by hand as well; some a little late; one left out.
        [
            every(0, WATCHED, [1], 5),
            every(0, WATCHED, [1, 1]),
            {minute + minute % 3: [1] for minute in range(0, WATCHED, 5)},
            all_but(every(0, WATCHED, [1], 5), [START]),
        ],
    ),
}
for function in FUNCTIONS:
    STORIES[f"function-errors-{function}"] = ONE_CALL
    STORIES[f"dynamodb-throttles-{function}"] = Story(
        [every(START, START + 16, [7]), every(START, START + 21, [1], 5)],
        16,
        # It was refused for a moment; for five minutes; and so now and then.
        [{START: [1_000]}, every(START, START + 5, [7]), with_zeros(again([7], 5, 20))],
    )
for function in FUNCTIONS[:-1]:
    STORIES[f"function-throttles-{function}"] = ONE_CALL
for function in ["consume", "bury", "sweep"]:
    STORIES[f"jobs-failed-{function}"] = ONCE


def settled(alarm, delay, more):
    """From which minute on its past is there: an alarm on absence takes one that is not for an absence."""
    return (alarm.periods + more) * alarm.period + delay if alarm.missing_breaches else 0


class Evaluation(unittest.TestCase):
    """The examples of CloudWatch's documentation, of an alarm of three periods."""

    def state(self, points, to_alarm, missing):
        alarm = Alarm(
            {
                "AlarmName": "an-example",
                "MetricName": "Any",
                "Period": "300",
                "Statistic": "Sum",
                "EvaluationPeriods": "3",
                "DatapointsToAlarm": str(to_alarm),
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": "0",
                "TreatMissingData": missing,
            }
        )
        return alarm.rings([{"0": 0, "X": 1, "-": None}[point] for point in points.split()])

    def test_missing_points_count_only_where_too_few_exist(self):
        for points, to_alarm, breaching, not_breaching in [
            ("0 - X - X", 3, False, False),
            ("0 - - - -", 3, False, False),
            ("- - - - -", 3, True, False),
            ("0 X X - X", 3, True, True),
            ("- - X - -", 3, True, False),
            ("0 - X - X", 2, True, True),
            ("0 0 X 0 X", 2, True, True),
            ("0 - X - -", 2, True, False),
            ("- - - - 0", 2, True, False),
            ("- - - - X", 2, True, False),
        ]:
            with self.subTest(points=points, to_alarm=to_alarm):
                self.assertEqual(self.state(points, to_alarm, "breaching"), breaching)
                self.assertEqual(self.state(points, to_alarm, "notBreaching"), not_breaching)

    def test_a_percentile_is_that_of_all_samples(self):
        alarm = ALARMS["latency"]
        self.assertEqual(alarm.point([1] * 98 + [5, 9]), 5)
        self.assertEqual(alarm.point([1] * 99 + [9]), 1)
        self.assertEqual(alarm.point([3]), 3)


class Alarms(unittest.TestCase):
    def each(self, check):
        for name, story in STORIES.items():
            for delay in DELAYS:
                for more in MORE:
                    with self.subTest(alarm=name, delay=delay, more=more):
                        check(ALARMS[name], story, delay, more)

    def test_there_is_a_story_of_each(self):
        self.assertEqual(ALARMS.keys(), STORIES.keys())
        self.assertEqual(len(ALARMS), TEXT.count("Type: AWS::CloudWatch::Alarm"))

    def test_none_looks_at_more_than_a_metric(self):
        for alarm in ALARMS.values():
            with self.subTest(alarm=alarm.name):
                # What an expression makes of missing points is not said for certain, and FILL hides those that arrive late.
                self.assertNotIn("Metrics", alarm.properties)

    def test_each_rings_when_it_happens_and_is_over_when_that_is_over(self):
        def check(alarm, story, delay, more):
            # Until all that CloudWatch looks at is missing: only of an alarm on absence.
            late = more * alarm.period if alarm.missing_breaches else 0
            for trouble in story.trouble:
                # states[n] is after minute n.
                states = alarm.states(trouble, delay, more)
                self.assertNotIn(True, states[settled(alarm, delay, more) : START], "it rang before")
                self.assertIn(True, states[START : START + story.within + late + delay], trouble)
                self.assertFalse(states[-1], trouble)
                # It does not go off and on meanwhile: who is told that it is over can believe it.
                watched = states[START - 1 :]
                self.assertEqual(sum(one != after for one, after in zip(watched, watched[1:])), 2, trouble)

        self.each(check)

    def test_where_one_point_is_enough_it_may_be_the_only_late_one(self):
        for alarm in ALARMS.values():
            if alarm.to_alarm > 1:
                continue
            for late in range(6):
                for more in MORE:
                    with self.subTest(alarm=alarm.name, late=late, more=more):
                        enough = {START: [1] * max(1, int(alarm.threshold))}
                        self.assertIn(True, alarm.states(enough, late, more, ALL))
                        self.assertNotIn(True, alarm.states({}, late, more, ALL))
            # It says what has just happened, and not what was half an hour ago.
            with self.subTest(alarm=alarm.name):
                self.assertNotIn(True, alarm.states(enough, 0, 1)[START + 20 :])

    def test_none_rings_when_it_does_not_happen(self):
        def check(alarm, story, delay, more):
            for quiet in story.quiet:
                if alarm.missing_breaches and not quiet:
                    continue
                states = alarm.states(quiet, delay, more)
                self.assertNotIn(True, states[settled(alarm, delay, more) :], quiet)

        self.each(check)

    def test_only_a_run_that_is_missing_is_a_breach(self):
        absent = [alarm.name for alarm in ALARMS.values() if alarm.missing_breaches]
        self.assertEqual(absent, ["sweep-not-run"])
        sweep = ALARMS["sweep-not-run"]
        self.assertIn("Schedule: rate(5 minutes)", TEXT)
        for more in MORE:
            # Never written: in a new stack until the first run, and in one whose schedule never was.
            self.assertTrue(all(sweep.states({}, 0, more)))
            self.assertEqual(sweep.states({4: [1]}, 0, more)[3:6], [True, False, False])


class Email(unittest.TestCase):
    def test_it_is_empty_unless_it_is_given_and_is_one_address(self):
        [parameter] = re.findall(r"^  AlarmEmail:\n((?:    .*\n)+)", TEXT, re.M)
        self.assertIn('    Default: ""\n', parameter)
        pattern = re.search(r"AllowedPattern: (.*)", parameter)[1]
        for text, allowed in [
            ("", True),
            ("you@example.com", True),
            ("on-call+sundial@ops.example.com", True),
            ("you", False),
            ("you@example.com,me@example.com", False),
            ("you @example.com", False),
        ]:
            with self.subTest(text=text):
                self.assertEqual(re.fullmatch(pattern, text) is not None, allowed)

    def test_it_makes_a_topic_a_subscription_and_nothing_else(self):
        resources = re.findall(r"^  (\w+):\n    Type: (\S+)\n    Condition: TellsByEmail\n", TEXT, re.M)
        self.assertEqual(
            [kind for _, kind in resources],
            ["AWS::SNS::Topic", "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy"],
        )
        self.assertEqual(TEXT.count("Type: AWS::SNS::"), 3)
        self.assertIn("  TellsByEmail: !And [!Condition HasAlarms, !Condition HasAlarmEmail]\n", TEXT)
        self.assertIn('  HasAlarmEmail: !Not [!Equals [!Ref AlarmEmail, ""]]\n', TEXT)
        self.assertIn("      Protocol: email\n      Endpoint: !Ref AlarmEmail\n", TEXT)


if __name__ == "__main__":
    unittest.main()
