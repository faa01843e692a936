"""Who holds which GPU."""

from grafana_foundation_sdk.models import units

import queries as q
from panels import Column, lines, make, number, table, to_node, to_user

STATUS = {"active": ("active", "green"), "idle": ("idle", "orange")}

CLUSTER = Column("Cluster", "cluster")
NODE = Column("Node", "node", width=140, links=[to_node(node="Node")])
DEVICE = Column("Device", "gpu", width=80, links=[to_node(node="Node", gpu="Device")])
PLACE = (CLUSTER, NODE, DEVICE)  # there is no column of a label that no row has
BY_PLACE = ("Cluster", "Node", "Device")
USER = Column("User", "user", width=140, links=[to_user(user="User")])
NAMESPACE = Column("Namespace", "namespace", width=140, links=[to_user(namespace="Namespace")])
POD = Column("Pod", "pod")
CONTAINER = Column("Container", "container", width=110)
COMMAND = Column("Command", "command", width=110)
PID = Column("PID", "pid", width=90)


def value(title, expression, unit=units.Short, width=100):
    return Column(title, expression=expression, unit=unit, width=width)


def counts():
    return [
        number("Devices", "GPUs and MIG devices on which sessions can run; a GPU that is split "
               "by MIG counts as its MIG devices. Without those that could not be read.",
               q.DEVICES),
        number("Busy", "Devices with an active session: one for which the device has worked "
               "lately.", q.BUSY),
        number("Held idle", "Devices that have sessions, all of them idle: memory is held and "
               "nothing is done.", q.HELD_IDLE, alarm=(1, "orange")),
        number("No session", "Devices without any session.", q.NO_SESSION),
        number("Allocated, unused", "Devices that Kubernetes gave to a container which has no "
               "session on them. Known only where the kubelet is asked.",
               q.ALLOCATED_UNUSED, alarm=(1, "orange")),
        number("Used, not allocated", "Devices with a session of somebody to whom Kubernetes "
               "did not give them. Known only where the kubelet is asked.",
               q.USED_UNALLOCATED, alarm=(1, "red")),
        number("Sessions", "Sessions of the chosen users and namespaces.", q.SESSIONS),
        number("Users", "Users with a session, of the chosen ones; a user of two nodes counts "
               "once. Sessions whose user is not known are not in it.", q.USERS),
        number("GPU memory in use", "Share of the memory of all chosen GPUs.",
               f"{q.of_gpus('device_memory_used_bytes')} / "
               f"{q.of_gpus('device_memory_total_bytes')}", unit=units.PercentUnit),
        number("Nodes", "Nodes from which there are data.", q.NODES),
        number("Sources down", "Sources (driver, /proc, …) that did not answer in the last "
               "collection, over all nodes. See the node dashboard.",
               q.SOURCES_DOWN, alarm=(1, "red")),
        number("Oldest data", "Age of the data of the node that is furthest behind.",
               f"max({q.AGE})", unit=units.Seconds, alarm=(180, "orange")),
    ]


def sessions(title="Sessions", height=12):
    return table(
        title, "Who is on each device, since when, and how much. A pod \"-\": a process outside "
        "Kubernetes. n/a: the driver does not tell.", 24, height,
        q.SESSION_ROWS, *PLACE, USER, NAMESPACE, POD, CONTAINER,
        COMMAND, PID, Column("Status", "status", width=90, words=STATUS),
        value("Since", q.of_sessions("start_time_seconds", " * 1000"), units.DateTimeFromNow, 130),
        value("Memory", q.of_sessions("memory_used_bytes"), units.BytesIEC),
        value("Memory %", q.of_sessions("memory_utilization"), units.Percent),
        value("SM %", q.of_sessions("utilization"), units.Percent),
        sort=BY_PLACE,
    )


def device_map():
    def of(title, name, unit=units.Short, width=100):
        return value(title, q.of_devices(q.device(name)), unit, width)

    return table(
        "Device map", "Each GPU and, below it, its MIG devices. State: as Kubernetes' "
        "allocations and the sessions say together; without allocations, whether there are "
        "sessions.", 24, 10,
        f"max by (cluster, node, gpu, mig_profile, name) ({q.device('device_info')})",
        *PLACE, Column("MIG profile", "mig_profile", width=110), Column("GPU", "name"),
        Column("State", expression=q.of_devices(q.STATE), unit=units.NoUnit, words=q.STATES),
        of("Sessions", "session_count"),
        of("Users", "user_count"),
        of("Utilisation", "device_utilization", units.Percent),
        of("Memory used", "device_memory_used_bytes", units.BytesIEC, 120),
        of("Memory", "device_memory_total_bytes", units.BytesIEC),
        sort=BY_PLACE,
    )


def over_time():
    return [
        lines("Sessions and users", "Of the chosen users and namespaces.", units.Short, 8,
              (q.SESSIONS, "sessions"), (q.USERS, "users")),
        lines("Devices", "Busy: with an active session. Activity not known: with sessions of "
              "which the driver does not tell.", units.Short, 8,
              (q.BUSY, "busy"), (q.HELD_IDLE, "held idle"), (q.NO_SESSION, "no session"),
              (q.ACTIVITY_UNKNOWN, "activity not known"), stacked=True),
        lines("Allocation", "Devices by what Kubernetes gave and what is used. Known only "
              "where the kubelet is asked.", units.Short, 8,
              (q.ALLOCATED_UNUSED, "allocated, unused"),
              (q.USED_UNALLOCATED, "used without allocation")),
        lines("GPU memory", "Of all chosen GPUs; idle: held by idle sessions of the chosen users "
              "and namespaces.", units.BytesIEC, 12,
              (q.of_gpus("device_memory_total_bytes"), "total"),
              (q.of_gpus("device_memory_used_bytes"), "used"), (q.IDLE_MEMORY, "idle")),
        lines("Sessions begun and ended", "Within the resolution of the graph.", units.Short, 12,
              (q.increase("sessions_started_total"), "begun"),
              (q.increase("sessions_ended_total"), "ended"),
              no_value="Only the daemon counts these."),
    ]


def dashboard():
    return make(
        "gpu-sessions-overview", "GPU sessions / Overview",
        "Who is using each GPU and MIG device, since when, and how much.",
        [*counts(), sessions(), device_map(), *over_time()],
    )
