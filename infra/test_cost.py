"""`python3 -m unittest discover infra`"""

import unittest
from pathlib import Path

import cost

FIGURES = cost.load(Path(__file__).with_name("cost.toml"))


class ConsumerLog(unittest.TestCase):
    def test_the_time_of_large_invocations_is_shared_by_their_items(self):
        def chunk(invocation, items):
            return f'{{"message":"chunk processed","invocation.id":"{invocation}","chunk.items":{items}}}\n'

        lines = [chunk("a", 500), chunk("a", 400), "REPORT RequestId: a\tDuration: 90.0 ms\tBilled Duration: 91 ms\n"]
        lines += [chunk("b", 10), "REPORT RequestId: b\tDuration: 50 ms\tBilled Duration: 50 ms\n", chunk("d", 600)]
        lines.append('{"type":"platform.report","record":{"requestId":"d","metrics":{"durationMs":60.0}}}\n')
        small = lines[3:5]
        lines += [chunk("c", 500), "START RequestId: c\n"]
        self.assertEqual(cost.consumer_ms_per_item(lines), 0.1)
        with self.assertRaises(SystemExit):
            cost.consumer_ms_per_item(small)


class QueueRequests(unittest.TestCase):
    def test_small_messages_are_sent_ten_at_a_time(self):
        # 25 messages: three sends, 25 receives, 25 deletes.
        self.assertEqual(cost.queue_requests(25, 100), 3 + 25 + 25)

    def test_a_call_counts_once_for_each_64_kib_begun(self):
        # Four messages of 240 KiB fill one send of 1 MiB, and each is received as four requests.
        self.assertEqual(cost.queue_requests(4, 240 * 1024), 15 + 4 * 4 + 4)
        self.assertEqual(cost.queue_requests(1, 64 * 1024), 3)
        self.assertEqual(cost.queue_requests(1, 64 * 1024 + 1), 5)


class Jobs(unittest.TestCase):
    def test_the_cost_is_the_sum_of_what_was_used_times_its_price(self):
        figures = {
            "prices": {
                "write_units": 2.0,
                "read_units": 1.0,
                "queue_requests": 10.0,
                "fair_queue_requests": 0.0,
                "function_gb_seconds": 1.0,
                "function_invocations": 0.0,
                "api_requests": 1.0,
                "log_ingestion": 1.0,
            },
            "job": {"items": 1_000, "items_per_chunk": 500, "polls": 1, "read_units_of_polls": 0, "response_kib": 513},
            "functions": {
                "consumer_memory_mb": 1_024,
                "consumer_ms_per_item": 2,
                "http_memory_mb": 512,
                "accept_ms_per_job": 900,
                "status_ms_per_poll": 100,
                "log_bytes_per_chunk": 400,
                "log_bytes_per_request": 100,
            },
            "access": {"write_units": 2, "read_units": 3},
        }
        action = {"write_units": 1.0, "index_write_units": 0.5, "read_units": 0.25, "message_bytes": 100}
        expected = {
            # The items, and who makes the two requests.
            "DynamoDB writes": (1_500 + 4) * 2e-6,
            "DynamoDB reads": (250 + 6) * 1e-6,
            # Two messages of 50,000 bytes: one send that counts twice, two receives, two deletes.
            "SQS": 6 * 10e-6,
            # Two seconds at 1 GB and one at half a GB.
            "Lambda": 2.5,
            # The post, and one poll whose answer is longer than 512 KiB.
            "HTTP API": 3e-6,
            "Logs": 1_000e-9,
        }
        actual = cost.job_cost(figures, action)
        self.assertEqual(actual.keys(), expected.keys())
        for service, dollars in expected.items():
            self.assertAlmostEqual(actual[service], dollars, places=12, msg=service)

    def test_writes_are_most_of_the_bill_of_every_action(self):
        for name, action in FIGURES["actions"].items():
            bill = cost.job_cost(FIGURES, action)
            self.assertGreater(bill["DynamoDB writes"], sum(bill.values()) / 2, name)


class Access(unittest.TestCase):
    def test_requests_now_and_then_cost_more_than_many(self):
        figures = {
            "prices": {"write_units": 2.0, "read_units": 1.0},
            "access": {"write_units": 2, "read_units": 3, "busy_write_units": 0.1},
        }
        self.assertEqual(cost.access_cost(figures), (7.0, 0.2))


class Template(unittest.TestCase):
    """The figures of an idle month follow the template."""

    TEXT = Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")

    def test_every_metric_of_every_alarm_is_counted(self):
        alarms = self.TEXT.split("Type: AWS::CloudWatch::Alarm")[1:]
        # With metric math an alarm would look at several.
        self.assertEqual([alarm for alarm in alarms if "MetricStat:" in alarm.split("\n\n")[0]], [])
        self.assertEqual(len(alarms), FIGURES["idle"]["alarm_metrics"])

    def test_memory_is_what_the_template_gives(self):
        for parameter, figure in [("HttpMemory", "http_memory_mb"), ("ConsumerMemory", "consumer_memory_mb")]:
            default = self.TEXT.split(f"\n  {parameter}:\n", 1)[1].split("Default: ", 1)[1].split("\n", 1)[0]
            self.assertEqual(int(default), FIGURES["functions"][figure])


if __name__ == "__main__":
    unittest.main()
