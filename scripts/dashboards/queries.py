"""The questions of the dashboards, in PromQL over the series that the chart's rules record.

What was not measured has no row. So a count that may truly be 0 is given an arm `or 0 * …`
that has a row only where the answer is known, and a column of a table an arm `or … * NaN`,
which Grafana shows as "n/a": a column without any row would be gone.
"""

NODE = 'cluster=~"$cluster",node=~"$node"'
DEVICE = f'{NODE},gpu=~"$gpu"'
OWNER = 'namespace=~"$namespace",user=~"$user"'

# What rows are joined on.
ON_NODE = "cluster, node"
ON_DEVICE = "cluster, node, gpu"
ON_SESSION = "cluster, node, gpu, pid"


def select(name, *matchers):
    return f"{name}{{{','.join(matchers)}}}"


def device(name, *matchers):
    """A family of devices: device("session_count")."""
    return select(f"device:gpu_{name}:max", DEVICE, *matchers)


def node(name, operation="max"):
    return select(f"node:gpu_{name}:{operation}", NODE)


def session(name, *matchers):
    """A family of sessions: session("memory_used_bytes")."""
    return select(f"session:gpu_process_{name}:max", DEVICE, *matchers)


def sessions(*matchers):
    """1 for each session. Of a device without a session there is a row of value 0."""
    return f"{session('info', *matchers)} == 1"


def owned(*matchers):
    """Those of the chosen namespaces and users."""
    return sessions(OWNER, *matchers)


def or_zero(count, known):
    """COUNT, and 0 where it has no row although KNOWN has one."""
    return f"{count} or 0 * count({known})"


def or_none(column, rows):
    """COLUMN, and no value for those of ROWS (with the same labels) that it has none for."""
    return f"{column} or {rows} * NaN"


# --- devices ------------------------------------------------------------------------------

COUNTED = device("session_count")
STATUS_KNOWN = session("info", 'status=~"active|idle"')


def devices_with(status):
    rows = sessions(f'status="{status}"')
    return f"count by ({ON_DEVICE}) ({rows})"


def without(devices, rows):
    return f"{devices} unless on ({ON_DEVICE}) {rows}"


DEVICES = f"count({COUNTED})"
NO_SESSION = or_zero(f"count({COUNTED} == 0)", COUNTED)
BUSY = or_zero(f"count({devices_with('active')})", STATUS_KNOWN)
ONLY_IDLE = without(devices_with("idle"), sessions('status!="idle"'))
HELD_IDLE = or_zero(f"count({ONLY_IDLE})", STATUS_KNOWN)
UNCLEAR = without(devices_with(""), sessions('status="active"'))
ACTIVITY_UNKNOWN = f"count({UNCLEAR})"


def in_state(state):
    return device("device_state", f'state="{state}"')


ALLOCATED_UNUSED = f"sum({in_state('allocated_unused')})"
USED_UNALLOCATED = f"sum({in_state('used_unallocated')})"

# GPUs that have MIG devices.
PARENTS = (
    'label_replace(device:gpu_device_info:max{parent_uuid!=""},'
    ' "uuid", "$1", "parent_uuid", "(.+)")'
)
SPLIT = f"max by ({ON_DEVICE}) ({device('device_info')} and on (cluster, node, uuid) {PARENTS})"

# One number for the state of a device: the sum of those of its states that apply, else whether
# it has a session, else whether it is split.
STATES = {
    1: ("used", "green"),
    2: ("allocated, unused", "orange"),
    3: ("used; allocated, unused", "orange"),
    4: ("used without allocation", "red"),
    5: ("used; used without allocation", "red"),
    6: ("allocated, unused; used without allocation", "red"),
    7: ("used; allocated, unused; used without allocation", "red"),
    8: ("free", "blue"),
    16: ("no session", "blue"),
    17: ("has sessions", "green"),
    32: ("split by MIG", "text"),
}
STATE = f"""sum by ({ON_DEVICE}) (
  {in_state("used")}
  or 2 * {in_state("allocated_unused")}
  or 4 * {in_state("used_unallocated")}
  or 8 * {in_state("free")}
) > 0
or on ({ON_DEVICE}) 16 + ({COUNTED} > bool 0)
or on ({ON_DEVICE}) 32 * {SPLIT}"""

EACH_DEVICE = f"max by ({ON_DEVICE}) ({device('device_info')})"


def of_devices(column):
    return or_none(column, EACH_DEVICE)


def of_gpus(name):
    """Sum over the GPUs: their MIG devices have parts of it."""
    rows = device(name, 'gpu!~".+_.+_.+"')
    return f"sum({rows})"


# --- sessions and who owns them -----------------------------------------------------------

USER_KNOWN = owned('user!=""')
IDLE = owned('status="idle"')

SESSIONS = or_zero(f"count({owned()})", COUNTED)
USERS = or_zero(f"count(count by (user) ({USER_KNOWN}))", COUNTED)
NAMESPACES = or_zero("count(count by (namespace) (" + owned('namespace!=""') + "))", COUNTED)
DEVICES_HELD = or_zero(f"count(count by ({ON_DEVICE}) ({owned()}))", COUNTED)
IDLE_SESSIONS = or_zero(f"count({IDLE})", STATUS_KNOWN)

ALL_OF_SESSION = "cluster, node, gpu, user, namespace, pod, container, command, pid, status"
SESSION_ROWS = f"max by ({ALL_OF_SESSION}) ({owned()})"
EACH_SESSION = f"max by ({ON_SESSION}) ({owned()})"


def values(name, rows=None):
    """The values of the chosen sessions, or of ROWS."""
    return f"{session(name)} and on ({ON_SESSION}) {rows or owned()}"


def of_sessions(name, factor=""):
    """A column of a table of sessions."""
    return or_none(f"max by ({ON_SESSION}) ({values(name)}){factor}", EACH_SESSION)


MEMORY = f"sum({values('memory_used_bytes')})"
IDLE_MEMORY = or_zero(f"sum({values('memory_used_bytes', IDLE)})", values("memory_used_bytes"))
UTILIZATION = f"sum({values('utilization')})"
OLDEST = f"min({values('start_time_seconds')})"


# --- by user or namespace, which is named LABEL below -------------------------------------


def count_by(label, rows=None):
    return f"count by ({label}) ({rows or owned()})"


def devices_by(label):
    return f"count by ({label}) (count by ({label}, {ON_DEVICE}) ({owned()}))"


def values_by(label, name, operation="sum"):
    """The values of the chosen sessions, under the label that gpu_process_info has."""
    rows = f"max by ({ON_SESSION}, {label}) ({owned()})"
    joined = f"{session(name)} * on ({ON_SESSION}) group_left ({label}) {rows}"
    return f"{operation} by ({label}) ({joined})"


def idle_by(label):
    known = owned('status=~"active|idle"')
    return f"{count_by(label, IDLE)} or 0 * {count_by(label, known)}"


# --- given and taken ----------------------------------------------------------------------

ALLOCATED = device("device_allocated")
CHOSEN_ALLOCATED = device("device_allocated", 'namespace=~"$namespace"')
# Containers that have a device and no session on it; sessions on a device of somebody else.
UNUSED_ALLOCATIONS = (
    f"{CHOSEN_ALLOCATED} unless on ({ON_DEVICE}, namespace, pod, container) {sessions()}"
    f" and on ({ON_DEVICE}) {in_state('allocated_unused')} == 1"
)
UNALLOCATED_SESSIONS = (
    f"{owned()} unless on ({ON_DEVICE}, namespace, pod) {ALLOCATED}"
    f" and on ({ON_DEVICE}) {in_state('used_unallocated')} == 1"
)

# --- the collection itself ----------------------------------------------------------------

SOURCES = node("session_source_up", "min")
COLLECTED = node("session_last_collect_timestamp_seconds")
NODES = f"count({COLLECTED})"
SOURCES_DOWN = or_zero(f"count({SOURCES} == 0)", SOURCES)
AGE = f"time() - {COLLECTED}"


def increase(counter):
    """Of a counter that only the daemon has."""
    return f"sum(increase({device(counter)}[$__rate_interval]))"
