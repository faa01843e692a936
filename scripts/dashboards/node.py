"""One node: its devices, its sessions, and how well it is measured."""

from grafana_foundation_sdk.models import units

import queries as q
from overview import device_map, sessions
from panels import lines, make, number, states

UP = {0: ("down", "red"), 1: ("up", "green")}


def counts():
    return [
        number("Sessions", "Sessions on the chosen devices.", f"sum({q.COUNTED})"),
        number("Users on the node", "Distinct users with a session.",
               f"sum({q.node('total_users')})"),
        number("Power", "Drawn by the chosen GPUs together.",
               f"sum({q.device('device_power_watts')})", unit=units.Watt),
        number("Hottest GPU", "Temperature of the hottest of the chosen GPUs.",
               f"max({q.device('device_temperature_celsius')})", unit=units.Celsius),
        number("Sources down", "Sources that did not answer in the last collection.",
               q.SOURCES_DOWN, alarm=(1, "red")),
        number("Age of data", "Time since the last collection ended.", f"max({q.AGE})",
               unit=units.Seconds, alarm=(180, "orange")),
    ]


def by_device(title, description, unit, name):
    return lines(title, description, unit, 12, (q.device(name), "{{gpu}}"))


def devices_over_time():
    return [
        states("Device states", "As in the device map.", 24, q.STATE, "{{gpu}}", q.STATES),
        by_device("Utilisation by device", "Share of time in which a kernel ran. Of MIG devices "
                  "only where the driver or DCGM tells.", units.Percent, "device_utilization"),
        by_device("Memory in use by device", "A GPU that is split by MIG has the sum of its MIG "
                  "devices, and a line of its own.", units.BytesIEC, "device_memory_used_bytes"),
        by_device("Power by GPU", "MIG devices have none of their own.", units.Watt,
                  "device_power_watts"),
        by_device("Temperature by GPU", "MIG devices have none of their own.", units.Celsius,
                  "device_temperature_celsius"),
    ]


def sessions_over_time():
    legend = "{{gpu}} {{pod}} {{command}} {{pid}}"
    return [
        lines("SM time by session", "Share of the device's SM time.", units.Percent, 12,
              (q.values("utilization"), legend)),
        lines("Memory by session", "Device memory of the session.", units.BytesIEC, 12,
              (q.values("memory_used_bytes"), legend)),
        lines("Sessions by device", "Of all users.", units.Short, 12, (q.COUNTED, "{{gpu}}")),
        lines("Sessions begun and ended", "Within the resolution of the graph.", units.Short, 12,
              (q.increase("sessions_started_total"), "begun"),
              (q.increase("sessions_ended_total"), "ended"),
              no_value="Only the daemon counts these."),
    ]


def collection():
    return [
        states("Sources", "Whether each source answered in the last collection.", 12,
               q.SOURCES, "{{source}}", UP),
        lines("Age of data", "A line that only rises: nothing is collected any more.",
              units.Seconds, 12, (q.AGE, "{{node}}")),
    ]


def dashboard():
    return make(
        "gpu-sessions-node", "GPU sessions / Node",
        "The devices and sessions of one node, and how well it is measured.",
        [
            *counts(), device_map(), sessions("Sessions on the node", 10), *devices_over_time(),
            *sessions_over_time(), *collection(),
        ],
        one_node=True,
    )
