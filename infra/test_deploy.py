"""`python3 -m unittest discover infra`: infra/deploy and infra/teardown, with stand-ins for what they call."""

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest
from pathlib import Path

INFRA = Path(__file__).parent
TEMPLATE = (INFRA / "template.yaml").read_text(encoding="utf-8")
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/abc"

# What the scripts may use of the machine. Everything else they have to find among the stand-ins.
SYSTEM = ["bash", "cat", "dirname", "env", "grep", "sed", "sleep", "tail"]

# Answers as the AWS command line does with `--output text`, and writes down how it was called.
AWS = """
case "$1 $2" in
"configure get") printf '%s\\n' "$PROFILE_REGION" ;;
"sts get-caller-identity")
    [ -z "$NO_CREDENTIALS" ] || { echo "Unable to locate credentials" >&2; exit 253; }
    echo 123456789012 ;;
"lambda get-account-settings") printf '%s\\t%s\\n' "$EXECUTIONS" "$UNRESERVED" ;;
"cloudformation describe-stacks")
    [ -n "$STATUS" ] || { echo "An error occurred (ValidationError): Stack with id sundial does not exist" >&2; exit 254; }
    case $* in
    *StackStatus*) echo "$STATUS" ;;
    *Parameters*) printf "$PARAMETERS" ;;
    *ApiUrl*) echo "$API_URL" ;;
    *AccountUrl*) echo "$ACCOUNT_URL" ;;
    esac ;;
*) ;;
esac
"""

CARGO = """
case $* in
--version) echo "cargo $RUST_VERSION (abc 2026-01-01)" ;;
*"token create"*) printf 'id: 1\\nsend: Authorization: Bearer sundial_acme_secret\\n' ;;
esac
"""

SAM = """
[ "$1" != --version ] || echo "SAM CLI, version $SAM_VERSION"
"""

DEFAULTS = {
    "EXECUTIONS": "1000",
    "UNRESERVED": "1000",
    "PROFILE_REGION": "eu-central-1",
    "RUST_VERSION": "1.95.0",
    "SAM_VERSION": "1.170.0",
    "STATUS": "",
    "PARAMETERS": "",
    "NO_CREDENTIALS": "",
    "ACCOUNT_URL": "",
    "API_URL": "http://127.0.0.1:9/api/sunshine",
}


class Machine:
    """A machine that has the stand-ins and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.log = folder, folder / "bin", folder / "log"
        self.bin.mkdir()
        self.log.touch()
        for name in SYSTEM:
            (self.bin / name).symlink_to(shutil.which(name))
        programs = {"aws": AWS, "cargo": CARGO, "sam": SAM, "cargo-lambda": "", "zig": "", "python3": "", "cc": ""}
        for name, body in programs.items():
            self.program(name, f'printf \'%s\\n\' "{name} $*" >>"$LOG"\n{body}')
        self.program("uname", "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac")

    def program(self, name: str, body: str) -> None:
        """Puts a program there."""
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        """Takes programs away."""
        for name in names:
            (self.bin / name).unlink()

    def run(self, script: str, *arguments: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs one of the scripts."""
        own = {"PATH": str(self.bin), "HOME": str(self.folder), "LOG": str(self.log)}
        return subprocess.run(
            [str(INFRA / script), *arguments],
            env={**own, **DEFAULTS, **environment},
            input=answer,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self, program: str) -> list[str]:
        """How a program was called, but for its version."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if line.startswith(f"{program} ") and not line.endswith("--version")]


class Scripts(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.machine = Machine(Path(folder.name))
        self.maxDiff = None

    def says(self, expected: str, *arguments: str, **environment: str) -> None:
        """This is what it says it would do, and it does nothing."""
        done = self.machine.run("deploy", "--dry-run", *arguments, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, textwrap.dedent(expected).lstrip())
        self.nothing_was_done()

    def refuses(self, sentence: str, *arguments: str, **environment: str) -> None:
        """It fails with this, and has done nothing."""
        done = self.machine.run("deploy", *arguments, **environment)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(sentence, done.stderr)
        self.nothing_was_done()

    def nothing_was_done(self) -> None:
        self.assertEqual(self.machine.calls("sam") + self.machine.calls("cargo"), [])
        changing = [line for line in self.machine.calls("aws") if not re.match(r"aws \S+ (get|describe)", line)]
        self.assertEqual(changing, [])


class DryRun(Scripts):
    def test_a_new_account(self) -> None:
        expected = r"""
            This makes the stack sundial in the AWS account 123456789012, region eu-central-1.
            ConsumerConcurrency=2: a quarter of the 10 concurrent executions that no function has reserved in eu-central-1 (of 10), at least 2 and at most 100.
            would run: cargo build --locked --package admin
            would run: sam build --region eu-central-1 --parameter-overrides Architecture=\"arm64\"
            would run: sam deploy --region eu-central-1 --stack-name sundial --no-execute-changeset --parameter-overrides Architecture=\"arm64\" ConsumerConcurrency=\"2\"
            would run: sam deploy --region eu-central-1 --stack-name sundial --no-confirm-changeset --parameter-overrides Architecture=\"arm64\" ConsumerConcurrency=\"2\"
            would run: env -u TABLE_CATALOG cargo run --quiet --locked --package admin -- --stack sundial --region eu-central-1 account create acme
            would run: env -u TABLE_CATALOG cargo run --quiet --locked --package admin -- --stack sundial --region eu-central-1 user create acme agent@acme.example --role agent
            would run: env -u TABLE_CATALOG cargo run --quiet --locked --package admin -- --stack sundial --region eu-central-1 token create acme agent@acme.example --kind bearer --label deploy
            would run: infra/smoke --url URL, with the token in SUNDIAL_TOKEN
        """
        arguments = ("--account", "acme", "--agent", "agent@acme.example")
        self.says(expected, *arguments, EXECUTIONS="10", UNRESERVED="10")

    def test_a_domain_of_its_own(self) -> None:
        expected = rf"""
            This makes the stack sundial in the AWS account 123456789012, region eu-central-1.
            ConsumerConcurrency=100: a quarter of the 900 concurrent executions that no function has reserved in eu-central-1 (of 1000), at least 2 and at most 100.
            would run: sam build --region eu-central-1 --parameter-overrides Architecture=\"arm64\"
            would run: sam deploy --region eu-central-1 --stack-name sundial --no-confirm-changeset --parameter-overrides Architecture=\"arm64\" BaseDomain=\"jobs.example.com\" CertificateArn=\"{CERTIFICATE}\" ConsumerConcurrency=\"100\"
        """
        self.says(expected, "--yes", "BaseDomain=jobs.example.com", f"CertificateArn={CERTIFICATE}", UNRESERVED="900")

    def test_a_domain_without_a_certificate_fails_at_once(self) -> None:
        sentence = (
            "deploy: BaseDomain=jobs.example.com needs CertificateArn, the ARN of a certificate of *.jobs.example.com in ACM "
            "in eu-central-1: give both, or neither\n"
        )
        self.refuses(sentence, "--dry-run", "BaseDomain=jobs.example.com")
        self.refuses(sentence, "--yes", "BaseDomain=jobs.example.com")
        # One that the stack has is taken away.
        both = f"BaseDomain\\tjobs.example.com\\nCertificateArn\\t{CERTIFICATE}\\n"
        self.refuses(sentence, "--yes", "CertificateArn=", STATUS="UPDATE_COMPLETE", PARAMETERS=both)
        self.refuses("needs BaseDomain: give both", "--yes", "BaseDomain=", STATUS="UPDATE_COMPLETE", PARAMETERS=both)
        self.refuses("DisableExecuteApiEndpoint=true needs BaseDomain", "--yes", "DisableExecuteApiEndpoint=true")

    def test_an_update_that_empties_a_parameter(self) -> None:
        expected = r"""
            This changes the stack sundial of the AWS account 123456789012, region eu-central-1.
            ConsumerConcurrency=20, of 1000 concurrent executions that no function has reserved in eu-central-1.
            would run: sam build --region eu-central-1 --parameter-overrides Architecture=\"arm64\"
            would run: sam deploy --region eu-central-1 --stack-name sundial --no-confirm-changeset --parameter-overrides Architecture=\"arm64\" CorsAllowedOrigins=\"\" ThrottleRate=\"1000\"
        """
        has = "CorsAllowedOrigins\\thttps://app.example.com\\nThrottleRate\\t7\\nConsumerConcurrency\\t20\\n"
        self.says(expected, "--yes", "CorsAllowedOrigins=", "ThrottleRate=", STATUS="UPDATE_COMPLETE", PARAMETERS=has)

    def test_a_value_with_blanks_stays_one_word(self) -> None:
        done = self.machine.run("deploy", "--yes", "CorsAllowedOrigins=https://a.example, https://b.example")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn('CorsAllowedOrigins="https://a.example, https://b.example"', self.machine.calls("sam")[-1])


class Consumers(Scripts):
    def deployed(self, *arguments: str, **environment: str) -> tuple[str, str]:
        """What the last command says of consumers, and what was said about it."""
        done = self.machine.run("deploy", "--dry-run", "--yes", *arguments, **environment)
        self.assertEqual(done.returncode, 0, done)
        found = re.findall(r'ConsumerConcurrency=\\"(\d+)', done.stdout.splitlines()[-1])
        return ",".join(found), done.stderr

    def test_a_quarter_of_what_is_not_reserved_within_what_an_event_source_takes(self) -> None:
        for unreserved, expected in [("1", "2"), ("10", "2"), ("13", "3"), ("50", "12"), ("400", "100"), ("5000", "100")]:
            self.assertEqual(self.deployed(UNRESERVED=unreserved), (expected, ""), unreserved)

    def test_what_was_given_stays_and_is_warned_about(self) -> None:
        number, warning = self.deployed("ConsumerConcurrency=100", EXECUTIONS="10", UNRESERVED="10")
        self.assertEqual(number, "100")
        self.assertIn("ConsumerConcurrency=100 is more than half of the 10 concurrent executions", warning)
        self.assertEqual(self.deployed("ConsumerConcurrency=500"), ("500", ""))
        self.assertEqual(self.deployed("ConsumerConcurrency=5", UNRESERVED="10"), ("5", ""))
        self.assertIn("more than half of the 10", self.deployed("ConsumerConcurrency=6", UNRESERVED="10")[1])
        # What the stack has is not said again, and is warned about too.
        has = {"STATUS": "UPDATE_COMPLETE", "PARAMETERS": "ConsumerConcurrency\\t100\\n"}
        number, warning = self.deployed(UNRESERVED="10", **has)
        self.assertEqual(number, "")
        self.assertIn("2 would be safe", warning)

    def test_an_empty_one_is_chosen_again(self) -> None:
        has = {"STATUS": "UPDATE_COMPLETE", "PARAMETERS": "ConsumerConcurrency\\t2\\n"}
        self.assertEqual(self.deployed("ConsumerConcurrency=", UNRESERVED="200", **has), ("50", ""))

    def test_a_quota_that_cannot_be_read_is_no_number(self) -> None:
        self.refuses("should be two numbers, and are: None", "--yes", EXECUTIONS="None", UNRESERVED="None")


class Region(Scripts):
    def test_the_first_of_three_is_said_and_told_to_every_command(self) -> None:
        for environment, expected in [
            ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
            ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
            ({"PROFILE_REGION": "eu-west-3"}, "eu-west-3"),
        ]:
            self.machine.log.write_text("")
            done = self.machine.run("deploy", "--yes", "--no-smoke", "--account", "acme", "--agent", "a@b", **environment)
            self.assertEqual(done.returncode, 0, done)
            self.assertIn(f"the AWS account 123456789012, region {expected}.\n", done.stdout)
            calls = self.machine.calls("aws") + self.machine.calls("sam")
            calls += [line for line in self.machine.calls("cargo") if line.startswith("cargo run")]
            silent = [line for line in calls if f"--region {expected}" not in line and "configure get region" not in line]
            self.assertEqual(silent, [])
            self.assertGreater(len(calls), 6)

    def test_sundial_admin_and_the_sdks_find_it_in_the_environment(self) -> None:
        self.machine.program("sam", SAM + 'echo "$AWS_REGION $AWS_DEFAULT_REGION"')
        done = self.machine.run("deploy", "--yes", AWS_DEFAULT_REGION="eu-west-2")
        self.assertIn("\neu-west-2 eu-west-2\n", done.stdout)

    def test_without_one_nothing_is_done(self) -> None:
        self.refuses("no AWS region is set", "--yes", PROFILE_REGION="")

    def test_without_credentials_nothing_is_done(self) -> None:
        self.refuses("no AWS credentials that are good in eu-central-1", "--yes", NO_CREDENTIALS="yes")

    def test_what_is_deleted_is_said_and_is_where_it_was_said(self) -> None:
        done = self.machine.run("teardown", answer="sundial\n", STATUS="UPDATE_COMPLETE", AWS_DEFAULT_REGION="eu-west-2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("the stack sundial of the AWS account 123456789012, region eu-west-2, and every record", done.stdout)
        calls = self.machine.calls("aws")
        self.assertEqual([line for line in calls if "--region eu-west-2" not in line], [])
        self.assertIn("aws cloudformation delete-stack --region eu-west-2 --stack-name sundial", calls)

    def test_nothing_is_deleted_unless_it_is_named(self) -> None:
        for answer, environment, sentence in [
            ("", {"STATUS": "UPDATE_COMPLETE"}, "nothing was deleted"),
            ("other\n", {"STATUS": "UPDATE_COMPLETE"}, "nothing was deleted"),
            ("sundial\n", {}, "no stack sundial in the AWS account 123456789012, region eu-central-1"),
            ("sundial\n", {"PROFILE_REGION": ""}, "no AWS region is set"),
        ]:
            done = self.machine.run("teardown", answer=answer, **environment)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(sentence, done.stderr)
            self.assertNotIn("delete-stack", self.machine.log.read_text())


class Prerequisites(Scripts):
    def test_all_that_is_missing_is_said_at_once_and_nothing_is_asked_of_aws(self) -> None:
        self.machine.without("cargo", "cargo-lambda", "sam", "zig", "python3", "cc", "aws")
        done = self.machine.run("deploy", "--yes", "--account", "acme", "--agent", "a@b")
        self.assertEqual(done.returncode, 1)
        venv = "python3 -m venv ~/.sundial-tools && ~/.sundial-tools/bin/pip install"
        for line in [
            "cargo is missing: curl https://sh.rustup.rs -sSf | sh && . ~/.cargo/env",
            f"cargo-lambda is missing: {venv} cargo-lambda",
            f"zig is missing, which links what is built for arm64 here: {venv} ziglang",
            f"sam is missing: {venv} aws-sam-cli",
            f"aws is missing: {venv} awscli",
            "python3 is missing: sudo apt-get install python3 python3-venv",
            "a C compiler is missing, for --account: sudo apt-get install gcc libc6-dev",
        ]:
            self.assertIn(f"deploy: {line}\n", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 8)
        self.assertEqual(done.stdout, "")

    def test_versions_are_compared_as_numbers(self) -> None:
        for environment, sentence in [
            ({"SAM_VERSION": "1.99.0"}, "sam is 1.99.0, and has to be 1.170.0 or later"),
            ({"SAM_VERSION": "0.999.0"}, "sam is 0.999.0"),
            ({"SAM_VERSION": "unknown"}, "sam is of no known version"),
            ({"RUST_VERSION": "1.94.9"}, "cargo is 1.94.9, and has to be 1.95 or later"),
        ]:
            self.refuses(sentence, "--yes", **environment)
            self.assertEqual(self.machine.calls("aws"), [])
        for environment in [{"SAM_VERSION": "1.171.0"}, {"SAM_VERSION": "2.0.0"}, {"RUST_VERSION": "1.100.0"}]:
            self.assertEqual(self.machine.run("deploy", "--dry-run", **environment).returncode, 0)

    def test_zig_is_needed_to_build_for_another_machine_alone(self) -> None:
        self.machine.program("python3", "exit 1")
        self.machine.without("zig")
        self.refuses("zig is missing", "--yes")
        self.assertEqual(self.machine.run("deploy", "--dry-run", "--architecture", "x86_64").returncode, 0)
        # The Python package has no program of that name.
        self.machine.program("python3", 'case "$*" in "-m ziglang version") ;; *) exit 1 ;; esac')
        self.assertEqual(self.machine.run("deploy", "--dry-run").returncode, 0)

    def test_programs_of_the_virtual_environment_are_found(self) -> None:
        folder = self.machine.folder / ".sundial-tools" / "bin"
        folder.mkdir(parents=True)
        shutil.move(self.machine.bin / "sam", folder / "sam")
        self.assertEqual(self.machine.run("deploy", "--dry-run").returncode, 0)

    def test_what_would_be_run_shows_no_secret(self) -> None:
        secret = "s3cret-of-a-proxy-that-has-32-letters"
        done = self.machine.run("deploy", "--dry-run", "--yes", f"TrustedProxySecret={secret}", "ThrottleRate=7")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(secret, done.stdout + done.stderr)
        self.assertIn("TrustedProxySecret=…", done.stdout)
        self.assertIn("ThrottleRate=", done.stdout)

    def test_a_parameter_that_the_template_does_not_have_is_refused(self) -> None:
        self.refuses("ThrotleRate is no parameter of infra/template.yaml", "--yes", "ThrotleRate=1")
        self.refuses("CaBundle may have no quotation mark", "--yes", 'CaBundle=/a"b')

    def test_no_line_installs_into_the_systems_python(self) -> None:
        for name in ["infra/deploy", "infra/teardown", "docs/deploy.md", "docs/operations.md"]:
            page = INFRA.parent / name
            text = page.read_text(encoding="utf-8")
            self.assertEqual(re.findall(r".*(?<!/bin/)pip install.*", text), [], page)


class Asking(Scripts):
    def test_without_a_terminal_it_has_to_be_told_yes(self) -> None:
        self.refuses("there is no terminal to ask at: say --yes")

    def terminal(self, answer: str, **environment: str) -> str:
        """Runs it at a terminal at which this is typed; what it prints."""
        import pty

        own = {"PATH": str(self.machine.bin), "HOME": str(self.machine.folder), "LOG": str(self.machine.log)}
        outer, inner = pty.openpty()
        options = {"stdin": inner, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen([str(INFRA / "deploy")], env={**own, **DEFAULTS, **environment}, **options)
        os.close(inner)
        os.write(outer, answer.encode())
        printed, _ = process.communicate(timeout=60)
        os.close(outer)
        self.status = process.returncode
        return printed

    def test_the_changes_are_shown_then_made_when_they_are_agreed_to(self) -> None:
        printed = self.terminal("yes\n")
        self.assertIn("Make these changes in the AWS account 123456789012, region eu-central-1?", printed)
        _, shown, made = self.machine.calls("sam")
        self.assertIn("--no-execute-changeset", shown)
        self.assertEqual(made, shown.replace("--no-execute-changeset", "--no-confirm-changeset"))
        self.assertEqual(self.status, 0)

    def test_nothing_is_changed_when_they_are_not(self) -> None:
        for answer in ["no\n", "y\n", "\n"]:
            self.machine.log.write_text("")
            printed = self.terminal(answer, STATUS="UPDATE_COMPLETE")
            self.assertIn("deploy: nothing was changed", printed)
            self.assertEqual(len(self.machine.calls("sam")), 2)
            self.assertNotIn("delete-stack", self.machine.log.read_text())
            self.assertEqual(self.status, 1)

    def test_a_new_stack_that_nobody_wants_leaves_no_change_set(self) -> None:
        self.terminal("no\n", STATUS="REVIEW_IN_PROGRESS")
        self.assertEqual(
            self.machine.calls("aws")[-1], "aws cloudformation delete-stack --region eu-central-1 --stack-name sundial"
        )

    def test_a_stack_that_cannot_be_changed_says_what_to_do(self) -> None:
        sentence = "is ROLLBACK_COMPLETE, which cannot be changed: run infra/teardown --stack sundial first"
        self.refuses(sentence, STATUS="ROLLBACK_COMPLETE")
        self.refuses("is UPDATE_IN_PROGRESS: wait", STATUS="UPDATE_IN_PROGRESS")


class Afterwards(Scripts):
    ACCOUNT = ("--yes", "--account", "acme", "--agent", "agent@acme.example")

    def test_the_api_is_tried_with_the_new_token(self) -> None:
        # infra/smoke starts by `env python3`.
        self.machine.program("python3", 'echo "tried $* with $SUNDIAL_TOKEN"; exit "$TRIED"')
        has = {"STATUS": "UPDATE_COMPLETE", "PARAMETERS": "CorsAllowedOrigins\\thttps://a.example, https://b.example\\n"}
        done = self.machine.run("deploy", *self.ACCOUNT, TRIED="0", **has)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("send: Authorization: Bearer sundial_acme_secret\n", done.stdout)
        arguments = "./smoke --url http://127.0.0.1:9/api/sunshine --origin https://a.example with sundial_acme_secret"
        self.assertIn(f"tried {arguments}\n", done.stdout)
        done = self.machine.run("deploy", *self.ACCOUNT, TRIED="1", **has)
        self.assertEqual(done.returncode, 1)
        self.assertIn("it does not do all that it should", done.stderr)
        done = self.machine.run("deploy", *self.ACCOUNT, "--no-smoke", TRIED="1", **has)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("tried", done.stdout)

    def test_a_host_name_of_the_accounts_is_tried_once_it_leads_there(self) -> None:
        has = {"STATUS": "UPDATE_COMPLETE", "ACCOUNT_URL": "https://ACCOUNT.jobs.example.com/api/sunshine"}
        has["PARAMETERS"] = f"BaseDomain\\tjobs.example.com\\nCertificateArn\\t{CERTIFICATE}\\n"
        own = "https://acme.jobs.example.com/api/sunshine"
        self.machine.program("python3", 'case $1 in -c) exit "$UNKNOWN" ;; esac; echo "tried $*"')
        done = self.machine.run("deploy", *self.ACCOUNT, UNKNOWN="1", **has)
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("Not tried: acme.jobs.example.com leads nowhere yet. Once DNS leads *.jobs.example.com", done.stdout)
        self.assertNotIn("tried ./smoke", done.stdout)
        done = self.machine.run("deploy", *self.ACCOUNT, UNKNOWN="0", **has)
        self.assertIn(f"tried ./smoke --url {own}\n", done.stdout)
        # The other address is open.
        done = self.machine.run("deploy", *self.ACCOUNT, "DisableExecuteApiEndpoint=false", UNKNOWN="1", **has)
        self.assertIn("tried ./smoke --url http://127.0.0.1:9/api/sunshine\n", done.stdout)

    def test_an_account_is_made_only_in_a_stack_that_stands(self) -> None:
        for status in ["", "REVIEW_IN_PROGRESS"]:
            done = self.machine.run("deploy", *self.ACCOUNT, "--guided", STATUS=status)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the stack sundial in eu-central-1 was not deployed", done.stderr)
            self.assertNotIn("account create", self.machine.log.read_text())
        done = self.machine.run("deploy", *self.ACCOUNT, "--guided", "--no-smoke", STATUS="UPDATE_COMPLETE")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("account create acme", self.machine.log.read_text())

    def test_what_is_there_already_is_no_failure_and_anything_else_is(self) -> None:
        for status, expected in [("4", 0), ("3", 1)]:
            self.machine.program("cargo", CARGO + f'case $* in *"account create"*) exit {status} ;; esac')
            done = self.machine.run("deploy", *self.ACCOUNT, "--no-smoke")
            self.assertEqual(done.returncode, expected, done)
            self.assertEqual("the account was not made" in done.stderr, expected == 1)


class Template(unittest.TestCase):
    """What the template says, by its text: there is no YAML reader in Python's own library."""

    @staticmethod
    def block(name: str) -> str:
        """An entry of a section, with what is indented beneath it."""
        found = re.search(rf"^  {name}:\n((?:    .*\n|\n)+)", TEMPLATE, re.MULTILINE)
        assert found, name
        return found[1]

    def test_a_chain_of_chunks_is_no_endless_loop(self) -> None:
        # Those that a queue invokes and that may send to a queue.
        looping = []
        for name in ["Accept", "Consume", "Status", "Records", "Bury", "Sweep"]:
            invoked, sends = "Type: SQS" in self.block(name), "sqs:SendMessage" in self.block(f"{name}Role")
            allowed = re.findall(r"^      RecursiveLoop: (\w+)$", self.block(name), re.MULTILINE)
            self.assertEqual(allowed, ["Allow"] if invoked and sends else [], name)
            looping += [name] if allowed else []
        self.assertEqual(looping, ["Consume", "Bury"])

    def test_the_default_number_of_consumers_is_safe_on_a_new_account(self) -> None:
        number = int(re.search(r"Default: (\d+)", self.block("ConsumerConcurrency"))[1])
        bury = int(re.search(r"MaximumConcurrency: (\d+)", self.block("Bury"))[1])
        # Of the 10 executions of a new account, with one sweep, half are left for requests.
        self.assertLessEqual(number + bury + 1, 5)

    def test_domain_and_certificate_go_together(self) -> None:
        for one, other in [("BaseDomain", "CertificateArn"), ("CertificateArn", "BaseDomain")]:
            rule = (
                f'    RuleCondition: !Not [!Equals [!Ref {one}, ""]]\n'
                f'    Assertions:\n      - Assert: !Not [!Equals [!Ref {other}, ""]]\n        AssertDescription: '
            )
            self.assertIn(rule, TEMPLATE)

    def test_the_endpoint_is_turned_off_and_on_again(self) -> None:
        value = re.search(r"DisableExecuteApiEndpoint: (!If .*)", self.block("HttpApi"))[1]
        self.assertEqual(
            value, "!If [DecidesByDomain, !If [HasDomain, true, false], !If [HasNoExecuteApiEndpoint, true, false]]"
        )


if __name__ == "__main__":
    unittest.main()
