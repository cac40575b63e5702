"""Nothing is lost and nothing doubled, whatever is killed.

    python -m benchmarks.faults --kills 60 --seed 4
    python -m benchmarks.faults --kills 300 --seed 5 --keep /tmp/faults

Everything is started here: PostgreSQL and Valkey from wheels, two processes of the API, two workers, two
schedulers, a mail server. Clients make, change, move, delete and restore tasks, alone and in atomic batches,
with and without idempotency keys, while all of these are killed by SIGKILL, in an order and at times that
the seed says. In the end what the clients remember is held against the database and the mails. The exit code
is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from benchmarks.faults.findings import Fault
from benchmarks.faults.running import Outcome, Plan, run

_SHOWN: Final = 40
"""Findings that are told one by one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    options = _options(arguments)
    plan = Plan(kills=options.kills, seed=options.seed, clients=options.clients, pause=options.pause)
    print(machine.describe(), file=sys.stderr)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(run(plan, options.keep))
    else:
        with tempfile.TemporaryDirectory(prefix="taskflow-faults-") as name:
            outcome = asyncio.run(run(plan, Path(name)))
    print(json.dumps(_figures(outcome), indent=2) if options.json else _told(outcome))
    return 1 if outcome.findings else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--kills", type=int, default=60, help="how many (%(default)s), one in 3 s")
    parser.add_argument("--seed", type=int, default=4, help="of what is killed when (%(default)s)")
    parser.add_argument("--clients", type=int, default=10, help="that change tasks (%(default)s)")
    parser.add_argument(
        "--pause", type=float, default=0.05, help="of a client between requests, at most (%(default)s s)"
    )
    parser.add_argument("--keep", type=Path, help="a directory for data and logs, which stay")
    parser.add_argument("--json", action="store_true", help="tell figures as JSON")
    return parser.parse_args(arguments)


def _figures(outcome: Outcome) -> dict[str, Any]:
    counted, notices = outcome.account, outcome.account.notices
    faults = Counter(finding.fault for finding in outcome.findings)
    return {
        "seed": outcome.plan.seed,
        "kills": outcome.plan.kills,
        "seconds": round(outcome.seconds, 1),
        **{str(fault): faults[fault] for fault in Fault},
        "findings": [str(finding) for finding in outcome.findings],
        "requests": {kind: tally._asdict() for kind, tally in counted.requests.items()},
        "jobs": {f"{kind} {state}": number for (kind, state), number in sorted(counted.jobs.items())},
        "notices": {
            "mails": notices.mails,
            "overdue owed": len(notices.owed),
            "overdue told": len(notices.told),
            "came more than once": notices.twice,
            "put off by the mail server": outcome.put_off,
        },
        "recovery": {
            "worst": max(each.job for each in outcome.recoveries),
            "median": statistics.median(each.job for each in outcome.recoveries),
            "worst of the API": max(each.apis for each in outcome.recoveries),
            "one worker and scheduler alone": [each.job for each in outcome.alone],
        },
        "settled after": round(outcome.settled, 1),
        "left": outcome.left._asdict(),
        "tracebacks in logs": outcome.tracebacks,
    }


def _told(outcome: Outcome) -> str:
    counted, notices = outcome.account, outcome.account.notices
    columns = ("sent", "acknowledged", "refused", "unknown", "of these done")
    lines = [f"{'requests':<12}" + "".join(f"{column:>14}" for column in columns)]
    lines += [f"{kind:<12}" + "".join(f"{n:>14,}" for n in tally) for kind, tally in counted.requests.items()]
    lines += ["", f"{'jobs':<28}{'done':>10}{'dead':>10}{'other':>10}"]
    for kind in sorted({kind for kind, _ in counted.jobs}):
        of_kind = {state: number for (its, state), number in counted.jobs.items() if its == kind}
        other = sum(of_kind.values()) - of_kind.get("done", 0) - of_kind.get("dead", 0)
        lines.append(f"{kind:<28}{of_kind.get('done', 0):>10,}{of_kind.get('dead', 0):>10,}{other:>10,}")
    lines += [
        "",
        f"mails: {notices.mails:,}; {notices.twice} ids came more than once; put off: {outcome.put_off}",
        f"overdue: {len(notices.owed):,} due dates had to be told; {len(notices.told):,} were, by an id each",
        *_told_of_recovery(outcome),
        *(f"tracebacks in the log of {name}: {number}" for name, number in outcome.tracebacks.items()),
        "",
        *(str(finding) for finding in outcome.findings[:_SHOWN]),
    ]
    faults = Counter(finding.fault for finding in outcome.findings)
    lines.append(
        f"{outcome.plan.kills} kills, seed {outcome.plan.seed}: "
        + ", ".join(f"{fault} {faults[fault]}" for fault in Fault)
    )
    return "\n".join(lines)


def _told_of_recovery(outcome: Outcome) -> list[str]:
    worst = max(outcome.recoveries, key=lambda each: each.job)
    alone = ", ".join(f"{each.job:.1f} s" for each in outcome.alone)
    median = statistics.median(each.job for each in outcome.recoveries)
    again = f"{median:.1f} s after a kill (median), {worst.job:.1f} s at worst ({worst.what})"
    left = f"{outcome.left.jobs} jobs, {outcome.left.overdue} overdue"
    return [
        f"everything worked again {again}; with one worker and one scheduler alone: {alone}",
        f"settled {outcome.settled:.0f} s after the load; left: {left}; {outcome.seconds:.0f} s in all",
    ]


if __name__ == "__main__":
    sys.exit(main())
