"""What each user and each namespace has."""

from grafana_foundation_sdk.models import units

import queries as q
from overview import BY_PLACE, COMMAND, CONTAINER, NAMESPACE, PID, PLACE, POD, USER
from overview import sessions, value
from panels import Column, lines, make, number, table


def counts():
    return [
        number("Sessions", "Sessions of the chosen users and namespaces.", q.SESSIONS),
        number("Idle sessions", "Those that hold memory and do nothing.", q.IDLE_SESSIONS,
               alarm=(1, "orange")),
        number("Devices", "GPUs and MIG devices on which they are.", q.DEVICES_HELD),
        number("Memory", "GPU memory that they hold.", q.MEMORY, unit=units.BytesIEC),
        number("SM time", "Sum over the sessions; 100 % is all of one device.", q.UTILIZATION,
               unit=units.Percent),
        number("Longest session", "Age of the oldest of them.", f"time() - {q.OLDEST}",
               unit=units.DurationSeconds),
    ]


def totals(title, label, first):
    """A row for each value of LABEL."""
    rows = q.count_by(label)

    def column(title, expression, unit=units.Short, width=100):
        return value(title, q.or_none(expression, rows), unit, width)

    since = f"{q.values_by(label, 'start_time_seconds', 'min')} * 1000"
    return table(
        title, "SM %: 100 % is all of one device. \"-\": not known, or outside Kubernetes.",
        12, 9, rows, first,
        column("Sessions", rows),
        column("Idle", q.idle_by(label)),
        column("Devices", q.devices_by(label)),
        column("Memory", q.values_by(label, "memory_used_bytes"), units.BytesIEC),
        column("SM %", q.values_by(label, "utilization"), units.Percent),
        column("Oldest", since, units.DateTimeFromNow, 130),
        sort=("-Memory",),
    )


def over_time(label):
    return [
        lines(f"Memory by {label}", "GPU memory held by sessions.", units.BytesIEC, 8,
              (q.values_by(label, "memory_used_bytes"), f"{{{{{label}}}}}"), stacked=True),
        lines(f"SM time by {label}", "Sum over the sessions; 100 % is all of one device.",
              units.Percent, 8,
              (q.values_by(label, "utilization"), f"{{{{{label}}}}}"), stacked=True),
        lines(f"Sessions by {label}", "Active and idle ones.", units.Short, 8,
              (q.count_by(label), f"{{{{{label}}}}}"), stacked=True),
    ]


def allocations():
    return [
        table("Allocated, unused", "Containers that were given a device and have no session on "
              "it. Known only where the kubelet is asked.", 12, 8,
              f"max by (cluster, node, gpu, namespace, pod, container) ({q.UNUSED_ALLOCATIONS})",
              *PLACE, NAMESPACE, POD, CONTAINER, sort=BY_PLACE),
        table("Used without allocation", "Sessions on a device that was not given to their pod. "
              "Known only where the kubelet is asked.", 12, 8,
              "max by (cluster, node, gpu, user, namespace, pod, command, pid)"
              f" ({q.UNALLOCATED_SESSIONS})",
              *PLACE, USER, NAMESPACE, POD, COMMAND, PID, sort=BY_PLACE),
    ]


def dashboard():
    return make(
        "gpu-sessions-users", "GPU sessions / Users and namespaces",
        "What each user and each namespace has of the GPUs, and what they leave unused.",
        [
            *counts(), totals("Users", "user", USER),
            totals("Namespaces", "namespace", NAMESPACE), sessions("Their sessions", 10),
            *allocations(), *over_time("user"), *over_time("namespace"),
        ],
    )
