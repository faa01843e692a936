"""Pod metadata and the user of a session, against a real TLS server."""

import json
from pathlib import Path

import pytest

from harness import samples, value, wait_until
from kube_server import NODE, event, pod, status

DATA = Path(__file__).resolve().parents[1] / "data/kube"
TRAINER = ("ml-team", "llm-train-worker-0")


@pytest.fixture(params=["kubelet", "apiserver"])
def either(request, kube):
    """(server, flags): what both must do alike."""
    return kube, getattr(kube, request.param)


def uids_of(node):
    return {(s["namespace"], s["pod"]): s["pod_uid"] for s in node.json()["sessions"] if s["pod"]}


@pytest.fixture
def node(simulated):
    return simulated("default")


def session(document, namespace, name):
    return next(s for s in document["sessions"] if (s["namespace"], s["pod"]) == (namespace, name))


def trainer(uid, **more):
    return pod(*TRAINER, uid, **more)


def source(document):
    return next((s for s in document["sources"] if s["source"] == "kubernetes"), None)


def infos(page):
    return [dict(labels) for (name, labels) in page if name == "gpu_process_info"]


def info(page, name):
    found = [labels for labels in infos(page) if labels["pod"] == name]
    return found[0] if found else None


def user_of(page, name=TRAINER[1]):
    found = info(page, name)
    return found and found["user"]


# --- who is the user ------------------------------------------------------------------------


@pytest.mark.parametrize("chain, user, origin", [
    ("annotation:example.org/user,namespace", "jane@example.org", "annotation:example.org/user"),
    ("label:user,namespace", "jane", "label:user"),
    ("label:absent,label:user", "jane", "label:user"),
    ("label:absent,namespace", "ml-team", "namespace"),
    ("owner,namespace", "Deployment/llm-train", "owner"),
    ("preset:jupyterhub,namespace", "jane_doe", "label-escaped:hub.jupyter.org/username"),
    ("unix", None, None),
    ("namespace,unix", "ml-team", "namespace"),
])
def test_user(node, either, chain, user, origin):
    server, flags = either
    server.state.pods = [trainer(
        uids_of(node)[TRAINER],
        labels={"user": "jane", "pod-template-hash": "7d9c6b5f4",
                "hub.jupyter.org/username": "jane-5fdoe"},
        annotations={"example.org/user": " jane@example.org "},
        owner=("ReplicaSet", "llm-train-7d9c6b5f4"),
    )]
    found = session(node.json(*flags(f"--user.from={chain}")), *TRAINER)
    assert (found["user"], found["user_from"]) == (user, origin)
    assert found["owner"] == "Deployment/llm-train"


def test_default_chain_is_namespace_then_unix(node):
    users = {s["user"]: s["user_from"] for s in node.json()["sessions"]}
    assert users["ml-team"] == "namespace" and users["jiwoo"] == "unix"


def test_users_are_counted_by_the_chain(node, either):
    server, flags = either
    server.state.pods = [pod(*name, uid, labels={"user": "jane"})
                         for name, uid in uids_of(node).items()]
    document = node.json(*flags("--user.from=label:user,unix"))
    assert document["gpu_total_users"] == 2  # jane, and jiwoo outside any pod
    page = samples(node.page(*flags("--user.from=label:user,unix")))
    assert value(page, "gpu_total_users", node=NODE) == 2
    assert value(page, "gpu_user_count", gpu="1", node=NODE) == 1


def test_label_without_its_pod_known_is_empty(node, either):
    server, flags = either
    server.state.pods = [trainer(uids_of(node)[TRAINER], labels={"team": "llm", "myTeam.x": "y"})]
    page = samples(node.page(*flags("--kube.label=team,myTeam.x")))
    assert info(page, TRAINER[1])["label_team"] == "llm"
    assert info(page, TRAINER[1])["label_my_team_x"] == "y"
    assert info(page, "notebook-0")["label_team"] == ""
    assert all("label_team" in labels for labels in infos(page))


def test_unwanted_text_never_appears(node, either):
    server, flags = either
    server.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane", "secret": "s3"},
                                 annotations={"secret": "s4"})]
    text = node.page(*flags("--user.from=label:user"))
    assert "jane" in text
    assert not any(word in text for word in ("s3", "s4", "hunter2", "decoy"))


@pytest.mark.parametrize("flags, words", [
    (["--user.from=label:x"], "need --kube.metadata"),
    (["--user.from=owner"], "need --kube.metadata"),
    (["--kube.label=x"], "need --kube.metadata"),
    (["--user.from=planet"], '"planet" is not valid'),
    (["--user.from=label:"], '"label:" is not valid'),
    (["--user.from=preset:none"], '"preset:none" is not valid'),
    (["--user.from=namespace,,unix"], '"namespace,,unix" is not valid'),
    (["--kube.label=a.b,a-b", "--kube.metadata=kubelet"], "same metric label"),
    (["--kube.label=a.b", "--kube.label=a-b", "--kube.metadata=kubelet"], "same metric label"),
    (["--kube.metadata=apiserver"], "needs --node"),
    (["--kube.metadata=apiserver", "--node=n"], "needs --kube.api-url"),
    (["--kube.api-url=http://plain"], "not valid"),
    (["--kube.kubelet-address=nowhere"], "not valid"),
])
def test_usage_errors(node, flags, words):
    done = node.collect(*flags)
    assert done.returncode == 2 and words in done.stderr.decode().replace('\\"', '"')


# --- names ----------------------------------------------------------------------------------


POD_WITHOUT_LINKS = """
description: pods whose log links are not there
gpus:
  - {name: NVIDIA A100-SXM4-40GB, count: 2}
pods:
  - {namespace: ml-team, name: trainer-0, log_links: false}
  - {namespace: kube-system, name: static-node-a, static: true, log_links: false}
processes:
  - {command: /usr/bin/python3, pod: ml-team/trainer-0, gpu: 0, memory: 1GiB, sm: 10}
  - {command: /usr/bin/python3, pod: kube-system/static-node-a, gpu: 1, memory: 1GiB, sm: 10}
"""


@pytest.fixture
def nameless(simulated, tmp_path):
    path = tmp_path / "nameless.yaml"
    path.write_text(POD_WITHOUT_LINKS)
    return simulated(path)


def test_names_where_no_link_gives_them(nameless, either):
    server, flags = either
    uid, static_uid = (s["pod_uid"] for s in nameless.json()["sessions"])
    mirror = pod("kube-system", "static-node-a", "5c0e8e62-0000-4000-8000-000000000001",
                 annotations={"kubernetes.io/config.hash": static_uid}, owner=("Node", NODE))
    server.state.pods = [pod("ml-team", "trainer-0", uid), mirror]
    found = nameless.json(*flags())["sessions"]
    assert [s["pod"] for s in found] == ["trainer-0", "static-node-a"]
    assert [s["pod_resolver"] for s in found] == [flags()[0].partition("=")[2]] * 2
    assert [s["owner"] for s in found] == [None, None]


def test_two_claims_to_one_static_pod_name_nobody(nameless, kube):
    static_uid = nameless.json()["sessions"][1]["pod_uid"]
    claim = {"kubernetes.io/config.hash": static_uid}
    kube.state.pods = [pod("kube-system", "static-node-a", "uid-1", annotations=claim),
                       pod("evil", "impostor", "uid-2", annotations=claim)]
    assert nameless.json(*kube.apiserver())["sessions"][1]["pod_state"] == "unresolved"


def test_same_name_with_another_uid_is_another_pod(nameless, either):
    server, flags = either
    server.state.pods = [pod("ml-team", "trainer-0", "9e4f3b4c-0000-4000-8000-00000000000f",
                             labels={"user": "jane"})]
    found = nameless.json(*flags("--user.from=label:user,namespace"))["sessions"][0]
    assert (found["pod"], found["pod_state"], found["user"]) == (None, "unresolved", None)


def test_real_kubelet_and_api_server(nameless, either):
    """Captured answers, one of their pods being that of the simulated process."""
    server, flags = either
    is_kubelet = flags == server.kubelet
    name = "kubelet-pods.json" if is_kubelet else "apiserver-pods.json"
    uid = nameless.json()["sessions"][0]["pod_uid"]
    text = (DATA / name).read_text()
    server.state.body = text.replace("48f7f843-4708-4753-935f-610c4828474e", uid).encode()
    found = nameless.json(*flags("--kube.label=app"))
    assert source(found)["gpu_session_source_up"] == 1
    assert found["sessions"][0]["pod"] == "llm-train-worker-0"
    assert found["sessions"][0]["labels"] == {"label_app": "llm-train"}


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("code, words, reason", [
    (401, "does not accept the token", "unauthorized"),
    (403, "service account needs", "forbidden"),
    (429, "", "too_many_requests"),
    (410, "", "expired"),
    (500, "", "server_error"),
    (302, "", "bad_status"),
])
def test_refusal_costs_only_metadata(node, either, code, words, reason):
    server, flags = either
    server.state.refuse = code
    document = node.json(*flags("--user.from=label:user,namespace"))
    assert source(document)["gpu_session_source_up"] == 0
    assert words in source(document)["reason"]
    assert session(document, *TRAINER)["user"] == "ml-team"
    errors = {(e["source"], e["reason"]) for e in document["errors"]}
    assert ("kubernetes", reason) in errors


def test_403_names_the_right_that_is_missing(node, kube):
    kube.state.refuse = 403
    reason = source(node.json(*kube.kubelet()))["reason"]
    assert "get on nodes/pods" in reason and "not nodes/proxy" in reason
    assert "list and watch on pods" in source(node.json(*kube.apiserver()))["reason"]


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[]", b"null", b'{"kind":"PodList"}', b'{"items":[]}', b'{"kind":"PodList","items":[{',
    b'{"kind":"PodList","items":[]} and more', b"<html>", b"[" * 100000,
    b'{"kind":"PodList","items":[{"metadata":{"uid":"' + b"\x00" * 100,
])
def test_malformed(node, either, body):
    server, flags = either
    server.state.body = body
    document = node.json(*flags())
    assert source(document)["gpu_session_source_up"] == 0
    assert document["gpu_total_sessions"] == node.json()["gpu_total_sessions"]
    assert {"source": "kubernetes", "reason": "malformed",
            "gpu_session_collect_errors_total": 1} in document["errors"]


def test_empty_list_is_an_answer(node, either):
    server, flags = either
    server.state.body = b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":null}'
    assert source(node.json(*flags()))["gpu_session_source_up"] == 1


def test_slow_server_costs_a_second(node, either):
    server, flags = either
    server.state.delay = 3
    document = node.json(*flags())
    assert "in time" in source(document)["reason"]
    assert document["gpu_session_collect_duration_seconds"] < 2.5


@pytest.mark.parametrize("piece", [
    b" " * 65536, b'{"metadata":{"name":"a"}},' * 4096,
    b'{"metadata":{"uid":"u","name":"' + b"x" * (1 << 20) + b'"}},',
])
def test_endless_list_is_bounded(node, either, piece):
    server, flags = either
    server.state.endless = piece
    document = node.json(*flags())
    assert source(document)["gpu_session_source_up"] == 0
    assert document["gpu_session_collect_duration_seconds"] < 2.5


def test_certificates(node, either, certificates):
    server, flags = either
    server.state.pods = []
    wrong = (f"--kube.kubelet-ca-file={certificates}/stranger.crt",
             f"--kube.ca-file={certificates}/stranger.crt")
    reason = source(node.json(*flags(*wrong)))["reason"]
    assert "certificate" in reason
    absent = ("--kube.kubelet-ca-file=/absent.crt", "--kube.ca-file=/absent.crt")
    assert "/absent.crt" in source(node.json(*flags(*absent)))["reason"]
    other_name = ("--kube.kubelet-server-name=other",
                  f"--kube.api-url=https://127.0.0.1:{server.port}")
    assert source(node.json(*flags(*other_name)))["gpu_session_source_up"] == 0
    assert server.state.requests == [], "nobody unverified has seen a token"


def test_unverified_kubelet_only_on_this_node(node, kube, certificates):
    careless = "--kube.kubelet-send-token-to-unverified-server"
    stranger = f"--kube.kubelet-ca-file={certificates}/stranger.crt"
    assert source(node.json(*kube.kubelet(stranger, careless)))["gpu_session_source_up"] == 1
    for address in ("192.0.2.1:10250", f"localhost:{kube.port}"):
        elsewhere = f"--kube.kubelet-address={address}"
        reason = source(node.json(*kube.kubelet(careless, elsewhere)))["reason"]
        assert "not an address of this node" in reason


def test_token_file(node, either):
    server, flags = either
    server.token_file.write_text("")
    assert "holds no token" in source(node.json(*flags()))["reason"]
    server.token_file.write_text("two\nlines")
    assert "holds no token" in source(node.json(*flags()))["reason"]
    server.token_file.unlink()
    assert "automountServiceAccountToken" in source(node.json(*flags()))["reason"]
    assert server.state.requests == []


# --- over time ------------------------------------------------------------------------------

USER = "--user.from=label:user,namespace"


def is_kube_up(page):
    return value(page, "gpu_session_source_up", source="kubernetes", node=NODE) == 1


def watching(serve, node, kube):
    """A daemon that shows what its first list said, and watches."""
    daemon = serve(node, *kube.apiserver(USER))
    daemon.wait(lambda page: user_of(page) == "jane", "the first list")
    wait_until(lambda: kube.state.watchers, "a watch")
    return daemon


def is_kube_down(page):
    return value(page, "gpu_session_source_up", source="kubernetes", node=NODE) == 0


def test_label_change_is_seen_by_the_watch(node, kube, serve):
    uid = uids_of(node)[TRAINER]
    kube.state.pods = [trainer(uid, labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    assert kube.state.watches()[0].query["resourceVersion"] == "100"
    assert kube.state.watches()[0].query["allowWatchBookmarks"] == "true"
    kube.state.send(event("MODIFIED", trainer(uid, labels={"user": "joe"}, version="101")))
    daemon.wait(lambda page: user_of(page) == "joe", "the change")
    assert len(kube.state.lists()) == 1


def test_idle_watch_asks_nothing(node, kube, serve):
    kube.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    before = len(kube.state.requests)
    for _ in range(5):
        daemon.wait_collected()
    assert len(kube.state.requests) == before


def test_deleted_pod_keeps_its_user_while_it_runs(node, kube, serve):
    uid = uids_of(node)[TRAINER]
    kube.state.pods = [trainer(uid, labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    kube.state.send(event("DELETED", trainer(uid, labels={"user": "jane"}, version="101")))
    daemon.wait_collected()
    daemon.wait_collected()
    assert user_of(daemon.samples()) == "jane"


def test_cut_watch_goes_on_from_the_last_version(node, kube, serve):
    uid = uids_of(node)[TRAINER]
    kube.state.pods = [trainer(uid, labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    kube.state.send(event("BOOKMARK", {"metadata": {"resourceVersion": "170"}}))
    daemon.wait_collected()
    kube.state.end_watches(orderly=False)
    wait_until(lambda: len(kube.state.watches()) > 1, "a second watch")
    assert kube.state.watches()[1].query["resourceVersion"] == "170"
    assert len(kube.state.lists()) == 1
    daemon.wait(is_kube_up, "the source")
    assert user_of(daemon.samples()) == "jane"


@pytest.mark.parametrize("how", ["event", "status"])
def test_expired_version_makes_a_new_list(node, kube, serve, how):
    uid = uids_of(node)[TRAINER]
    kube.state.pods = [trainer(uid, labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    kube.state.pods = [trainer(uid, labels={"user": "joe"})]
    if how == "event":
        kube.state.send(event("ERROR", status(410)))
    else:
        kube.state.refuse_watch = 410
        kube.state.end_watches()
    daemon.wait(lambda page: user_of(page) == "joe", "a new list")
    assert kube.state.lists()[1].query["resourceVersion"] == "0"


def test_recorded_watch(nameless, kube, serve):
    """The captured stream of a real API server, then its error event."""
    uid = nameless.json()["sessions"][0]["pod_uid"]
    lines = (DATA / "apiserver-pods-watch.jsonl").read_text()
    lines = lines.replace("041f6e72-5f16-4a79-95fe-c9d0bc77d730", uid)
    daemon = serve(nameless, *kube.apiserver())
    wait_until(lambda: kube.state.watchers, "a watch")
    data = lines.encode()
    kube.state.send(*(data[i:i + 1000] for i in range(0, len(data), 1000)))
    daemon.wait(lambda page: info(page, "crashloop"), "the pod of the stream")
    kube.state.send((DATA / "apiserver-pods-watch-too-large-rv.jsonl").read_bytes())
    wait_until(lambda: "Too large resource version" in daemon.log, "the reason in the log")
    assert info(daemon.samples(), "crashloop"), "what was known stays"


@pytest.mark.parametrize("data", [
    b"not json\n", b'{"type":"NONSENSE","object":{}}\n', b'{"type":"ADDED"}}\n', b"[" * 200,
])
def test_malformed_watch_keeps_what_is_known(node, kube, serve, data):
    kube.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    kube.state.send(data)
    daemon.wait(is_kube_down, "the failure")
    assert user_of(daemon.samples()) == "jane"
    daemon.wait(is_kube_up, "a new list")


def test_endless_event_is_given_up(node, kube, serve):
    kube.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    first = kube.state.watchers[0]
    try:
        first.chunk(b'{"type":"ADDED","object":{"x":"')
        for _ in range(64):
            first.chunk(b"x" * (1 << 20))
    except OSError:
        pass
    wait_until(lambda: "does not end" in daemon.log, "the reason in the log")
    assert user_of(daemon.samples()) == "jane"


def test_rotated_token(node, kube, serve):
    kube.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane"})]
    daemon = watching(serve, node, kube)
    kube.state.token = "token-2"
    kube.state.end_watches(orderly=False)
    daemon.wait(is_kube_down, "the refusal")
    kube.set_token("token-2")
    daemon.wait(is_kube_up, "the new token")
    assert user_of(daemon.samples()) == "jane"
    assert "token-" not in daemon.log


def test_failure_backs_off_and_ends(node, either, serve):
    server, flags = either
    server.state.refuse = 500
    server.state.pods = [trainer(uids_of(node)[TRAINER], labels={"user": "jane"})]
    daemon = serve(node, *flags(USER))
    daemon.wait(is_kube_down, "the failure")
    for _ in range(3):
        daemon.wait_collected()
    assert len(server.state.requests) <= 2, "not at each collection"
    server.state.refuse = 0
    daemon.wait(lambda page: user_of(page) == "jane", "the recovery")
    refused, answered = (request.at for request in server.state.lists()[:2])
    assert answered - refused > 0.9


def test_retry_after_is_honoured(node, kube, serve):
    kube.state.refuse, kube.state.retry_after = 429, "4"
    daemon = serve(node, *kube.apiserver())
    daemon.wait(is_kube_down, "the refusal")
    kube.state.refuse = 0
    daemon.wait(is_kube_up, "the recovery")
    first, second = (request.at for request in kube.state.lists()[:2])
    assert second - first > 3.9


@pytest.mark.parametrize("code, reason", [
    (401, "unauthorized"), (403, "forbidden"), (429, "too_many_requests"),
])
def test_late_refusal_of_a_watch_is_one(node, kube, serve, code, reason):
    """The status comes after the half second for which it is waited."""
    kube.state.refuse_watch, kube.state.retry_after = code, "4"
    kube.state.watch_delay = 0.9
    daemon = serve(node, *kube.apiserver())
    page = daemon.wait(is_kube_down, "the refusal")
    name = "gpu_session_collect_errors_total"
    assert value(page, name, source="kubernetes", reason=reason, node=NODE) == 1
    assert value(page, name, source="kubernetes", reason="malformed", node=NODE) is None
    wait_until(lambda: len(kube.state.lists()) > 1, "the next list")
    assert kube.state.lists()[1].at - kube.state.watches()[0].at > 4.7


def test_unknown_pod_makes_the_kubelet_be_asked_soon(node, kube, serve):
    uid = uids_of(node)[TRAINER]
    daemon = serve(node, *kube.kubelet(USER))
    daemon.wait(lambda page: value(page, "gpu_session_source_up", source="kubernetes",
                                   node=NODE) is not None, "the first answer")
    kube.state.pods = [trainer(uid, labels={"user": "jane"})]
    daemon.wait(lambda page: user_of(page) == "jane", "the pod", timeout=20)
    first, second = (request.at for request in kube.state.requests[:2])
    assert 4.9 < second - first < 20
    assert len(kube.state.requests) == 2


def test_five_thousand_pods(node, either):
    server, flags = either
    uid = uids_of(node)[TRAINER]
    server.state.pods = [pod("many", f"p-{i}", f"uid-{i}", labels={"user": f"u-{i}"})
                         for i in range(5000)] + [trainer(uid, labels={"user": "jane"})]
    document = node.json(*flags(USER))
    assert source(document)["gpu_session_source_up"] == 1
    assert session(document, *TRAINER)["user"] == "jane"


def test_too_many_pods_are_counted(node, kube):
    text = json.dumps(pod("many", "p", "UID", labels={"user": "u"}))
    many = ",".join(text.replace("UID", f"uid-{i}") for i in range(10050))
    kube.state.body = f'{{"kind":"PodList","items":[{many}]}}'.encode()
    document = node.json(*kube.kubelet(USER))
    assert source(document)["gpu_session_source_up"] == 1
    assert {"source": "kubernetes", "reason": "too_many_pods",
            "gpu_session_collect_errors_total": 50} in document["errors"]
