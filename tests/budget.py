"""What is counted of programs, held to what was recorded of them."""

from __future__ import annotations

MOST_ABOVE_RECORDED = 1.05


def above(counted: dict[str, int], recorded: dict[str, int], says: str, record: str) -> list[str]:
    """What takes more than 5 % above its record, or has none: a line of each.

    `says` is what a count means, such as "has {:,} bytes"; `record` is the command that records.
    """
    faults = []
    for name, count in counted.items():
        if name not in recorded:
            faults.append(f"{name} is not recorded: {record}")
        elif count > recorded[name] * MOST_ABOVE_RECORDED:
            faults.append(f"{name} {says.format(count)}, more than 5 % above the {recorded[name]:,} recorded")
    return faults
