"""A policy's rules for people and for programs: what each asks for, who can tell, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli import render
from cli.plain import visible
from ledger.policy import Policy
from ledger.policy_text import Rule
from ledger.policy_words import KNOWN, say_outcome, say_rule


def facts(rule: Rule) -> dict[str, Any]:
    """One rule as JSON facts."""
    return {
        "rule": rule.name,
        "strength": rule.strength,
        "limit": rule.limit,
        "words": list(rule.words),
        "on_fail": rule.on_fail,
        "permille": rule.permille,
        "asks": say_rule(rule),
        "known": KNOWN[rule.strength][0],
        "follows": say_outcome(rule)[1],
    }


def pins(policy: Policy) -> list[dict[str, str]]:
    canary = [{"name": "canary", "use": "canary", "sha256": policy.canary}] if policy.canary else []
    return canary + [{"name": name, "use": label, "sha256": digest} for name, label, digest in policy.lists]


def document(policy: Policy) -> dict[str, Any]:
    return {"policy": policy.hash, "rules": [facts(rule) for rule in policy.rules], "pins": pins(policy)}


def show(policy: Policy, is_kept: Callable[[str], bool] = lambda digest: False) -> None:
    """The rules as a table, the pinned files below it; `is_kept` says which of them this peer has."""
    if not policy.rules:
        render.say("No rule: whatever an admitted peer publishes is folded.")
    else:
        rows = [
            (rule.name, visible(say_rule(rule), 200), KNOWN[rule.strength][0], say_outcome(rule)[0])
            for rule in policy.rules
        ]  # fmt: skip
        render.table(("rule", "asks for", "known as", "if not"), rows)
        legend = dict(KNOWN[rule.strength] for rule in policy.rules) | dict(say_outcome(rule) for rule in policy.rules)
        render.say()
        for word, meaning in legend.items():
            render.say(f"{word:12}{meaning}")
    for pin in pins(policy):
        use = "rows that all receivers measure on" if pin["use"] == "canary" else f"labels requests as {pin['use']}"
        told = "kept here" if is_kept(pin["sha256"]) else "keep it with: gossip policy pin FILE"
        render.say(f"needs   {pin['name']}  {pin['sha256']}  {use}; {told}")
