"""Nothing that was planted leaves the machine, in whatever shape it was planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.diagnosis.redact import SECRET, Redactor, redactor

KNOWN = redactor(
    {"MY_API_KEY": "swordfish99", "PATH": "/usr/bin:/bin", "PIN_TOKEN": "123"},
    ["/data/people/alice", "/"],
    ["alice", "spark-7", "root"],
)
PLANTED = {
    "hub": ("token hf_QwErTyUiOpAsDfGhJkLzXc is mine", "hf_QwErTyUiOpAsDfGhJkLzXc"),
    "openai": ("key sk-proj-abcDEF123456_7890xyz", "sk-proj-abcDEF123456_7890xyz"),
    "github": ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c6912E7710c838347Ae178B4a"),
    "github, fine": ("github_pat_11ABCDEFG0aBcDeFgHiJk", "11ABCDEFG0aBcDeFgHiJk"),
    "gitlab": ("glpat-aBcDeFgHiJkLmNoPqRsT", "aBcDeFgHiJkLmNoPqRsT"),
    "slack": ("xoxb-123456789012-abcdefGHIJ", "abcdefGHIJ"),
    "nvidia": ("nvapi-aBcDeFg_1234567", "aBcDeFg_1234567"),
    "aws": ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    "wandb": ("wandb: 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcd"),
    "jwt": ("cookie eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJ", "eyJzdWIiOiIx"),
    "telegram": ("bot 123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOpp", "AAbbCCddEEffGGhhIIjj"),
    "a private key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1r",
    ),
    "a key cut off": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC", "MIIEow"),
    "url with a token": ("see https://hub.example/x?token=abcdef12", "abcdef12"),
    "url with a password": ("postgres://bob:pencil@db.example/x", "pencil"),
    "apprise": ("alerts to tgram://12345:abc/678 and discord://4711/tok", "4711"),
    "apprise mail": ("mailtos://bob:pencil@example.com?to=x", "pencil"),
    "ntfy": ("ntfy://topic-nobody-knows", "topic-nobody-knows"),
    "mail": ("write to bob.b@example.org", "bob.b"),
    "bearer": ("Authorization: Bearer abcdef.123456", "abcdef.123456"),
    "basic": ("header 'Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
    "assigned": ("HF_TOKEN=plainword python train.py", "plainword"),
    "assigned, quoted": ("export WANDB_API_KEY='plain word'", "plain word"),
    "in yaml": ("  api_key: plainword", "plainword"),
    "in json": ('{"client_secret": "plainword", "lr": 1}', "plainword"),
    "password in words": ("password: plainword", "plainword"),
    "an option": ("train.py --hub-token plainword --lr 1", "plainword"),
    "an option with =": ("train.py --hub_token=plainword", "plainword"),
    "of our environment": ("it said swordfish99 aloud", "swordfish99"),
    "long and mixed": ("state Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZkdISg== end", "Zm9vYmFyMTIz"),
    "in a json text in a json text": (
        json.dumps({"a": json.dumps({"hf_token": "plainword"})}),
        "plainword",
    ),
    "an option in a list": ("['train.py', '--hf-token', 'plainword']", "plainword"),
    "an option in a list, as json": (
        json.dumps(["train.py", "--hf-token", "plainword"]),
        "plainword",
    ),
    "an option in a list, quoted": (json.dumps('["--hf-token", "plainword"]'), "plainword"),
    "curl": ("curl -u carol:plainword x", "plainword"),
    "curl, long": ("curl --proxy-user=carol:plainword x", "plainword"),
    "netrc": ("machine api.wandb.ai login user password plainword", "plainword"),
    "cookies": ("Cookie: sid=abc; csrf=plainword", "plainword"),
    "a password of words": ("password: correct, horse plainword", "plainword"),
    "in yaml, of several lines": ("a:\n  password: |\n    plainword\n  lr: 1", "plainword"),
    "pwd": ("pwd=plainword", "plainword"),
    "a key of PGP": (
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBFx\n-----END PGP PRIVATE KEY BLOCK-----",
        "lQOYBFx",
    ),
    "a key whose first lines are cut off": (
        "MIIEvQIBADANBg\nxkqhkiG9w0BA\n-----END PRIVATE KEY-----\nafter",
        "kqhkiG9w0BA",
    ),
    "a key behind a prefix": (
        "[0] -----BEGIN EC PRIVATE KEY-----\n[0] MHcCAQEE\n[0] -----END EC PRIVATE KEY-----",
        "MHcCAQEE",
    ),
    "a key in json": (
        '"-----BEGIN PRIVATE KEY-----\\nMIIEvQ\\n-----END PRIVATE KEY-----"',
        "MIIEvQ",
    ),
    "a public key": ("ssh-rsa AAAAB3NzaC1yc2E carol@box", "AAAAB3NzaC1yc2E"),
    "stripe": ("sk_live_abcdefgh12345678", "abcdefgh12345678"),
    "sendgrid": ("SG.abcdefgh12345678.ijklmnop", "ijklmnop"),
    "google": ("ya29.a0AfH6SMB_abcdef", "a0AfH6SMB"),
    "slack, a hook": ("POST hooks.slack.com/services/T000/B000/plainword", "plainword"),
    "discord": (
        "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
        "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
    ),
    "aws, the secret alone": ("with wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bPxRfiCYEXAMPLE"),
    "azure": ("AccountKey=abc1DEF4ghi7==;Suffix=x", "abc1DEF4"),
    "azure, signed": ("sv=2020-08-04&ss=b&sig=plainword%3D", "plainword"),
    "a query without a scheme": ("at hub.example/x?t=plainword", "plainword"),
    "a repository by ssh": ("git@github.com:carol/nobody-knows.git", "nobody-knows"),
    "home below another folder": ("/mnt/pool/home/carol/x", "carol"),
    "home in a url's path": ("path=%2Fhome%2Fcarol%2Fx", "carol"),
    "home by a tilde": ("cd ~carol/x", "carol"),
    "home": ("/home/carol/ckpt/iter_1", "carol"),
    "home on a mac": ("File '/Users/carol/x.py'", "carol"),
    "home of root": ("/root/.cache/huggingface", "/root"),
    "a home elsewhere": ("/data/people/alice/runs", "people"),
    "the user": ("owner alice, group users", "alice"),
    "the machine": ("on spark-7 since noon", "spark-7"),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_was_planted_is_gone(planted: tuple[str, str]) -> None:
    text, secret = planted
    assert secret in text
    for shown in (
        KNOWN.text(text),
        KNOWN.text(f"before {text}\nafter"),
        json.dumps(KNOWN.json({"words": ["python", text]})),
    ):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "iteration 12/40 | loss 0.1234 | lr 1.0e-04 | grad norm 1.00 | step 4.00 s",
        "num_tokens: 1200, tokens=3, the tokenizer: fast, author: none",
        '  File "/opt/venv/lib/python3.12/site-packages/torch/functional.py", line 5, in cat',
        "stalled: no progress for 61 s; its process is stopped, `kill -CONT 4711`",
        "runs/reference-20261128-170538-26cf/README.txt",
        "recipe_hash 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    ],
)
def test_what_a_helper_needs_is_left(text: str) -> None:
    assert KNOWN.text(text) == text


def test_a_value_is_hidden_by_the_name_that_it_stands_under() -> None:
    value: dict[str, Any] = {
        "env": {"LANG": "plainword", "N": 3},
        "alerts": {"urls": ["plainword"], "password": 123456},
        "secrets": {"inner": ["plainword"]},
        "argv": ["run", "--api-key", "plainword", "--lr", "0.1"],
        "iterations": 40,
        "tokens": 1200,
        "done": None,
        "ok": True,
    }
    shown = KNOWN.json(value)
    assert "plainword" not in json.dumps(shown)
    assert "123456" not in json.dumps(shown)
    assert shown["argv"] == ["run", "--api-key", SECRET, "--lr", "0.1"]
    assert (shown["iterations"], shown["tokens"], shown["done"], shown["ok"]) == (
        40,
        1200,
        None,
        True,
    )


SAMPLES = Path(__file__).parents[1] / "samples" / "logs"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("log", sorted(SAMPLES.glob("*.log")), ids=lambda log: log.stem)
def test_real_logs_take_no_time_and_keep_their_lines(log: Path) -> None:
    """A pattern that goes back and forth over a long line took minutes of one of these."""
    text = log.read_text(errors="replace") * 4
    shown = Redactor().text(text)
    kept = [a == b for a, b in zip(text.split("\n"), shown.split("\n"), strict=True)]
    assert sum(kept) > 0.95 * len(kept), "what a helper needs is left"


HARD = (
    "a",
    "-",
    "/a",
    "/home",
    "token_",
    "token='",
    "key\\\\",
    "a@",
    "a.b.",
    "ya29.",
    " -u",
    "x?a=",
    "password ",
    "  password: |\n",
    "--api-key-",
    "/x/users",
    "QUJD\n",
    "-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "eyJ",
    "sk-",
    "http://",
    "AKIA",
    '\\"token\\": ',
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HARD)
def test_no_text_makes_it_go_back_and_forth(piece: str) -> None:
    """What a log may hold over and over: a pattern that tries all ways takes minutes of it."""
    assert Redactor().text(piece * (60_000 // len(piece))) is not None


@given(st.text(), st.text(alphabet="abcdefghijkXYZ0123456789", min_size=8, max_size=40))
def test_a_token_of_the_hub_is_found_wherever_it_stands(around: str, secret: str) -> None:
    assert f"hf_{secret}" not in Redactor().text(f"{around} hf_{secret} {around}")
