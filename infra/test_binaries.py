"""`python3 -m unittest discover infra`: what infra/check-binaries makes of the sizes of programs."""

import importlib.machinery
import importlib.util
import json
import re
import sys
import unittest
from pathlib import Path

PATH = Path(__file__).with_name("check-binaries")


def load():
    """The program as a module: its name has no ending by which Python would know it."""
    loader = importlib.machinery.SourceFileLoader("check_binaries", str(PATH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    # Its classes look for their module there.
    sys.modules[loader.name] = module
    loader.exec_module(module)
    return module


check_binaries = load()


class Sizes(unittest.TestCase):
    """The budget of each program."""

    def judged(self, size: int) -> list[str]:
        """What is said of one program of this size, of which 1,000 bytes are recorded."""
        return check_binaries.judge({"x86_64": {"accept": size}}, {"x86_64": {"accept": 1_000}})

    def test_a_program_may_grow_by_a_twentieth(self):
        self.assertEqual([self.judged(size) for size in (1, 1_000, 1_050)], [[], [], []])
        self.assertEqual(
            self.judged(1_051),
            ["accept for x86_64 has 1,051 bytes, more than 5 % above the 1,000 recorded"],
        )

    def test_what_is_not_recorded_is_told_with_the_command(self):
        for recorded in ({}, {"x86_64": {}}, {"arm64": {"accept": 1}}):
            said = check_binaries.judge({"x86_64": {"accept": 1}}, recorded)
            self.assertEqual(said, ["accept for x86_64 is not recorded: infra/check-binaries --record x86_64"])

    def test_each_function_of_the_template_is_recorded(self):
        recorded = json.loads(check_binaries.RECORDED.read_text())
        template = (PATH.parent / "template.yaml").read_text(encoding="utf-8")
        self.assertEqual(recorded["x86_64"].keys(), set(re.findall(r"Binary: (\w+)", template)))


if __name__ == "__main__":
    unittest.main()
